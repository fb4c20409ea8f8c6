"""Stored data names public names, and what was stored before is still read: see tests/golden/README.md.

Of the kind: pickles of queues, results, tasks, errors, states, also as globals of a function that goes by value; envelopes,
records, histories and the dead list in Redis, signed or not; class paths in them; names of modules that are no more.
"""

from __future__ import annotations

import importlib
import json
import pickle
import pickletools
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import cloudpickle
import pytest

import hotqueue
from hotqueue import ConfigError, HotQueue, QueueFull, TaskRejected, errors, keys, moved, tasks
from hotqueue.tasks import ResultSet, Task
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.wire import payload
from tests.golden import make

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ("7f0478a", "today")
PUBLIC = {"hotqueue", "hotqueue.tasks"}


def stored(version: str, name: str) -> Any:
    return pickle.loads((GOLDEN / version / name).read_bytes())


def names_in(data: bytes) -> set[tuple[str, str]]:
    """Return the module and the name of each class and function of ours that a pickle names."""
    found, texts = set(), []
    for code, value, _ in pickletools.genops(data):
        if code.name == "GLOBAL":
            found.add(tuple(value.split(" ", 1)))
        elif code.name == "STACK_GLOBAL":
            found.add(tuple(texts[-2:]))
        elif isinstance(value, str):
            texts.append(value)
        elif code.name in ("BINGET", "LONG_BINGET"):  # a name that was there before
            texts.append(f"memo {value}")
    return {(module, name) for module, name in found if module.partition(".")[0] == "hotqueue"}


def modules_in(data: bytes) -> set[str]:
    """Return the modules of ours that are named anywhere in stored bytes, in class paths too; not the files of tracebacks."""
    return {name.decode() for name in re.findall(rb"(?<![\w/])hotqueue(?:\.[a-z_]\w*)*(?=[.\x94])", data)}


def bytes_of(keys: dict[bytes, Any]) -> bytes:
    return b"\n".join(item for _, value in keys.values() for item in ([value] if isinstance(value, bytes) else value))


def all_modules() -> list[ModuleType]:
    return [importlib.import_module(module.name) for module in pkgutil.walk_packages(hotqueue.__path__, "hotqueue.")]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in make.HOME.items():
        monkeypatch.setenv(name, value)


def described(value: Any) -> Any:
    """Return what makes an object what it is, comparable."""
    if isinstance(value, HotQueue):
        server = value._store.embedded
        place = (str(value._store), value._store.address, server and (server.path, server.durability))
        return value.name, value.key, value.serializer, value.max_queue_length, value._secret_key, place
    if isinstance(value, BaseException):
        return type(value), value.args, vars(value)
    if isinstance(value, ResultSet):
        return list(value)
    if isinstance(value, Task):
        made = definition_of(value)
        return value.name, made.options, value.__wrapped__, described(made.client.owner)
    if isinstance(value, list):
        return set(value)
    if type(value) is type(tasks.current_task):  # has nothing of its own
        return type(value)
    return value


OBJECTS = sorted(stored("today", "pickles"))


@pytest.mark.parametrize("name", OBJECTS)
def test_what_is_pickled_today_names_public_names_and_the_same_as_ever(name: str, home: None) -> None:
    all_modules()  # one of the name of something stored would stand in its way
    value = make.objects()[name]
    for data in (pickle.dumps(value, 5), cloudpickle.dumps(value), payload.dumps(value)):
        assert {module for module, _ in names_in(data)} <= PUBLIC
        assert modules_in(data) <= PUBLIC
    assert names_in(pickle.dumps(value, 5)) == names_in(stored("today", "pickles")[name])


@pytest.mark.parametrize("kind", [value for name in tasks.__all__ if isinstance(value := getattr(tasks, name), type)])
def test_the_hints_of_a_public_class_are_found_though_it_is_somewhere_else(kind: type) -> None:
    assert isinstance(get_type_hints(kind), dict)


@pytest.mark.parametrize(("version", "name"), [(version, name) for version in VERSIONS for name in stored(version, "pickles")])
def test_what_was_pickled_is_read(version: str, name: str, home: None) -> None:
    again, value = pickle.loads(stored(version, "pickles")[name]), make.objects()[name]
    if "secret" in name:
        value._secret_key = again._secret_key  # stays behind, but for a queue of the same name that has one here
    if name == "classes":
        assert described(again) <= described(value)
    else:
        assert described(again) == described(value)


@pytest.fixture(params=[(version, name) for version in VERSIONS for name in make.SECRETS], ids="-".join)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[HotQueue, dict[str, str]]]:
    """A queue in which everything is that one of a version held, and the ids of its tasks."""
    version, name = request.param
    found = stored(version, f"queue-{name}")
    with HotQueue("golden", dbfilename=tmp_path / "q.rdb", secret_key=make.SECRETS[name]) as queue:
        for key, (kind, value) in found["keys"].items():
            write(queue, key, kind, value)
        yield queue, found["ids"]


def write(queue: HotQueue, key: bytes, kind: bytes, value: Any) -> None:
    if kind == b"zset":
        value = [part for member, score in zip(value[::2], value[1::2], strict=True) for part in (score, member)]
    command = {b"string": "SET", b"list": "RPUSH", b"set": "SADD", b"hash": "HSET", b"zset": "ZADD"}[kind]
    queue._store.command(key, command, key, *([value] if kind == b"string" else value))


def test_results_that_were_stored_are_read(golden: tuple[HotQueue, dict[str, str]]) -> None:
    queue, ids = golden
    assert queue.result(ids["value"]).get(30) == [{"id": 7}, {"id": 7}]
    assert queue.result(ids["sent by value"]).get(30) == 120
    (other, result, error) = queue.result(ids["handles"]).get(30)[0]
    assert described(other) == described(HotQueue("orders", url=make.AWAY))
    assert result == other.result("a" * 32)
    assert described(error) == (ConfigError, ("as a value",), {})


def test_errors_that_were_stored_are_read(golden: tuple[HotQueue, dict[str, str]]) -> None:
    queue, ids = golden
    wanted = {"key": KeyError("no such order"), "ours": ConfigError("not set up"), "chained": QueueFull("is full")}
    for name, error in {**wanted, "rejected": TaskRejected("bad order")}.items():
        found = queue.result(ids[name]).get(5, propagate=False)
        assert (type(found), found.args) == (type(error), error.args)
    junk = queue.result(ids["junk"]).get(5, propagate=False)
    assert type(junk) in (hotqueue.CorruptEnvelope, hotqueue.SignatureError)


def test_a_dead_list_that_was_stored_is_read_and_sent_again(golden: tuple[HotQueue, dict[str, str]]) -> None:
    queue, ids = golden
    dead = {task.id: task for task in queue.dead()}
    assert {dead[ids[name]].error for name in ("key", "ours", "chained", "rejected")} == {
        "KeyError",
        "hotqueue.ConfigError",
        "hotqueue.QueueFull",
        "hotqueue.TaskRejected",
    }
    assert dead[ids["junk"]].error in ("hotqueue.CorruptEnvelope", "hotqueue.SignatureError")
    make.define(queue)
    assert queue.retry_dead(ids["ours"]) == 1
    queue.run_worker(burst=True)
    assert isinstance(queue.result(ids["ours"]).get(5, propagate=False), ConfigError)


def test_tasks_that_waited_are_run(golden: tuple[HotQueue, dict[str, str]]) -> None:
    queue, ids = golden
    make.define(queue)
    queue.run_worker(burst=True)
    assert queue.result(ids["waits"]).get(30) == [{"id": 8}] * 3
    assert described(queue.result(ids["waits with handles"]).get(30)[0][0]) == described(HotQueue("orders", url=make.AWAY))
    assert queue.result(ids["waits with options"]).get(30) == ["x"]
    if sys.version_info[:2] == make.PYTHON:
        assert queue.result(ids["waits by value"]).get(30) == 720
    assert queue.scheduled() == 1
    assert [queue.get(), queue.get(), queue.get()] == ["first", {"second": 2}, None]


@pytest.mark.parametrize("version", VERSIONS)
def test_dead_tasks_that_were_pickled_are_read(version: str) -> None:
    found = stored(version, "queue-plain")
    dead = pickle.loads(found["dead"])
    assert {type(each) for each in dead} == {tasks.DeadTask}
    assert {found["ids"][name] for name in ("key", "ours", "chained", "rejected", "junk")} == {each.id for each in dead}
    assert {module for module, _ in names_in(pickle.dumps(dead))} == {"hotqueue.tasks"}


@pytest.mark.parametrize("error", [[], {}, None, 1, "no.such.Error"])
def test_class_paths_may_be_anything(error: object, tmp_path: Path) -> None:
    with HotQueue("golden", dbfilename=tmp_path / "q.rdb") as queue:
        write(queue, keys.dead("golden").encode(), b"zset", [b"a", b"1"])
        write(queue, keys.dead_tasks("golden").encode(), b"hash", [b"a", json.dumps({"error": error}).encode()])
        assert [dead.error for dead in queue.dead()] == [error]


@pytest.mark.parametrize("name", make.SECRETS)
def test_a_queue_of_today_names_public_names(name: str, tmp_path: Path) -> None:
    with HotQueue("golden", dbfilename=tmp_path / "q.rdb", secret_key=make.SECRETS[name]) as queue:
        make.fill(queue)
        data = bytes_of(make.contents(queue))
    assert modules_in(data) == modules_in(bytes_of(stored("today", f"queue-{name}")["keys"])) == PUBLIC
    assert modules_in(bytes_of(stored("7f0478a", f"queue-{name}")["keys"])) - PUBLIC  # so they would be seen


def test_a_function_that_goes_by_value_names_public_names() -> None:
    def uses_ours() -> Any:
        return tasks.State, current_task, ConfigError, HotQueue, queue

    current_task, queue = tasks.current_task, HotQueue("orders", url=make.AWAY)
    data = payload.dumps(uses_ours, by_value=True)
    assert {module for module, _ in names_in(data)} <= PUBLIC
    state, current, error, kind, _ = payload.loads(data)()
    assert (state, current, error, kind) == (tasks.State, tasks.current_task, ConfigError, HotQueue)


@pytest.mark.parametrize("old", moved.NAMES)
def test_old_names_lead_to_what_they_named(old: str) -> None:
    module, _, name = old.rpartition(".")
    found = pickle.loads(
        b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    )
    assert found is moved.find(module, name)


def test_a_module_that_is_no_more_has_only_what_stored_data_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(moved.NAMES, "hotqueue.corridor.Door", "hotqueue.HotQueue")
    monkeypatch.delitem(sys.modules, "hotqueue.corridor", raising=False)
    assert pickle.loads(b"chotqueue.corridor\nDoor\n.") is HotQueue
    with pytest.raises(AttributeError, match="attribute 'Desk'"):
        pickle.loads(b"chotqueue.corridor\nDesk\n.")
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(b"chotqueue.cellar\nDoor\n.")


def test_every_error_is_public_by_its_own_name() -> None:
    kinds = {getattr(hotqueue, name) for name in hotqueue.__all__ if isinstance(getattr(hotqueue, name), type)}
    assert {kind.__module__ for kind in kinds} == {"hotqueue"}
    assert {kind.__module__ for kind in (getattr(tasks, name) for name in tasks.__all__) if isinstance(kind, type)} <= PUBLIC


INTERNAL = {"LeftBetweenItems", "NotSent", "Replace", "TooLarge", "_StandIn", "FilterError"}  # caught by us, or named as another
INTERNAL |= {"Barred", "Amiss", "CannotDo", "NotThere", "Unknown"}  # answers of the dashboard


def test_errors_that_a_user_can_meet_are_in_one_file() -> None:
    kinds = {kind for module in all_modules() for kind in vars(module).values() if isinstance(kind, type)}
    ours = {kind for kind in kinds if issubclass(kind, BaseException) and kind.__module__.partition(".")[0] == "hotqueue"}
    assert {kind.__name__ for kind in ours} - INTERNAL <= set(hotqueue.__all__)
    assert all(vars(errors)[kind.__name__] is kind for kind in ours if kind.__name__ not in INTERNAL)


class Order:
    """Has a task of its own."""

    @HotQueue("orders", url=make.AWAY).task
    def ship(self) -> None: ...


def test_a_method_that_is_a_task_names_public_names() -> None:
    data = payload.dumps(Order().ship)
    assert {module for module, _ in names_in(data)} == PUBLIC
    assert isinstance(payload.loads(data), tasks.TaskMethod)
