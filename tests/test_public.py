"""What users see of hotqueue is what the contract names: a name that is shown is a name that has to stay.

Of the kind: names of public classes and of what their methods return; attributes of one object alone; what `help` says; a name of
ours in the way of an attribute of the user's own function; properties that raise when somebody lists what there is.
"""

from __future__ import annotations

import inspect
import logging
import pickle
import pydoc
import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import cloudpickle
import pytest

import hotqueue
from hotqueue import HotQueue, NoTask, tasks
from hotqueue.tasks import current_task
from tests.support.processes import ROOT

OF_A_TASK = "name delay adelay apply_async aapply_async map amap request retry replace update_progress s si starmap chunks"
OF_A_SIGNATURE = "set on_error clone delay adelay apply_async aapply_async"

# Each name that a user can see, by class. Whoever adds one documents it: README.md or docs/.
CONTRACT = {
    "HotQueue": """
        name key serializer max_queue_length put get consume worker clear aput aget aconsume close aclose
        task submit send asend batch result tasks pending running scheduled dead retry_dead discard_dead undo_discard
        pause resume workers
        periodic schedule schedules run_worker testing
        stats revoke_all arevoke_all purge apurge why awhy results workflow
    """,
    "AsyncResult": """
        id get aget as_future state status ready successful failed result traceback retries date_done progress history
        stream astream watch awatch
        revoke forget why awhy parent children root
    """,
    "Stream": "attempt index value close",
    "AsyncStream": "attempt index value aclose",
    "ResultSet": "get aget as_completed ready successful failed completed_count revoke id",
    "Signature": OF_A_SIGNATURE,
    "chain": OF_A_SIGNATURE,
    "group": OF_A_SIGNATURE,
    "chord": OF_A_SIGNATURE,
    "Workflow": "nodes edges",
    "Task": OF_A_TASK,
    "AsyncTask": OF_A_TASK,
    "TaskMethod": "delay adelay apply_async aapply_async map amap s si starmap chunks",
    "AsyncTaskMethod": "delay adelay apply_async aapply_async map amap s si starmap chunks",
    "CurrentTask": "request name lost retry replace log update_progress checkpoint acheckpoint resumed iterate",
    "Request": "id task retries deliveries queue attempt eta headers worker lost root_id parent_id step",
    "Batch": "send asend",
    "Eager": "",
    "Schedule": """
        name when tz task next_run last_run last_result is_paused declared_by pause resume trigger update remove
    """,
    "ResultFuture": "",
    "Executor": "queue submit map shutdown",
    "TaskFuture": "async_result cancel running",
    "DeadTask": "id task args error message reason traceback retries deliveries errors died shared_deaths hosts_lost sent "
    "priority",
    "State": "PENDING SCHEDULED STARTED RETRY SUCCESS FAILURE REVOKED UNKNOWN",
    "TaskFilter": "",
    "Why": "reason text facts",
    "crontab": "",
    "ConnectionFailed": "retry sent",
    "NewerEnvelope": "version",
    "NotTaken": "ids",
    "RemoteError": "class_path message traceback",
    "RemoteTraceback": "text",
    "Retry": "countdown eta exc max_retries",
    "Reject": "reason",
}
EXPORTED = {
    name: value for package in (hotqueue, tasks) for name in package.__all__ if isinstance(value := getattr(package, name), type)
}


def names_of(kind: type) -> set[str]:
    """Return what objects of a class may show: what the contract says, and what they have of classes that are not ours."""
    others = [base for base in kind.__mro__ if not base.__module__.startswith("hotqueue")]
    assert kind.__name__ in CONTRACT or issubclass(kind, BaseException)
    own = vars(logging.Filter()) if issubclass(kind, logging.Filter) else {"name", "value"} if issubclass(kind, Enum) else ()
    return set(CONTRACT.get(kind.__name__, "").split()).union(own, *map(dir, others))


def shown(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


@cache
def queue() -> HotQueue:
    return HotQueue("public", url="redis://127.0.0.1:1", patience=0.1)


class Order:
    """Has tasks."""

    @queue().task
    def ship(self) -> None: ...

    @queue().task
    async def aship(self) -> None: ...


def instances() -> Iterator[object]:
    """Yield one object of each kind that users come by."""
    here = HotQueue("public", url="redis://127.0.0.1:1", secret_key="k" * 16)
    with here.testing():

        @here.task(bind=True)
        def fail(self: Any) -> None:
            seen.append(self.request)
            raise tasks.Reject("no")

        seen: list[object] = []
        result = fail.delay()
        many = here.task(len).map(["a", "bc"])
        many.get()
        yield from (here, fail, result, many, many[0], many[:1], result.as_future(), here.batch(), here.testing(), current_task)
        yield from (*seen, *here.dead(), result.state, tasks.TaskFilter(), tasks.crontab(), Order().ship, Order().aship)
        signature = here.task(len).s("a")
        yield from (signature, signature | signature, tasks.group(signature), tasks.chord([signature], signature))
        yield here.workflow((signature | here.task(abs).s()).delay().id)
        yield here.schedule("public", 60, len, ("a",))
        yield from (result.stream(), result.astream())
        yield from ((executor := hotqueue.Executor(here)), executor.submit(abs, -1))
    yield from (here.task(Order.aship.__wrapped__), pickle.loads(pickle.dumps(here.result("id"))))
    yield from (hotqueue.ConnectionFailed("said"), hotqueue.NotTaken("said", ["id"]), hotqueue.NewerEnvelope("said", 2))
    yield from (
        hotqueue.RemoteError("a.B", "said"),
        hotqueue.RemoteTraceback("said"),
        hotqueue.Retry(countdown=1),
        tasks.Reject("no"),
        tasks.Why("position", "it is number 2 of 3", position=2),
    )


INSTANCES = list(instances())


@pytest.mark.parametrize("kind", EXPORTED.values(), ids=lambda kind: kind.__name__)
def test_a_class_shows_what_the_contract_names(kind: type) -> None:
    assert sorted(shown(kind) - names_of(kind)) == []


@pytest.mark.parametrize("thing", INSTANCES, ids=lambda thing: type(thing).__name__)
def test_an_object_shows_what_the_contract_names_and_all_of_it(thing: object) -> None:
    kind = type(thing)
    wanted = names_of(kind) | set(OF_A_TASK.split() if isinstance(thing, tasks.TaskMethod) else ())
    assert sorted(shown(thing) - wanted) == []
    assert sorted(set(CONTRACT[kind.__name__].split() if kind.__name__ in CONTRACT else ()) - shown(thing)) == []


def test_every_class_is_seen() -> None:
    assert {type(thing).__name__ for thing in INSTANCES} >= CONTRACT.keys() - {"AsyncTaskMethod"}  # for type checkers only


def test_every_name_is_documented() -> None:
    names = {name for names in CONTRACT.values() for name in names.split()} | EXPORTED.keys() - {
        "DuplicateTask"
    }  # not yet raised
    assert sorted(names - {word for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) for word in code_of(path)}) == []


def code_of(page: Path) -> set[str]:
    """Return the words in the code of a page."""
    blocks = re.compile(r"```.*?```", re.DOTALL)
    text = page.read_text()
    return {
        word
        for code in blocks.findall(text) + re.findall(r"`[^`\n]+`", blocks.sub("", text))
        for word in re.findall(r"\w+", code)
    }


def test_the_packages_show_what_they_export() -> None:
    assert sorted(set(dir(hotqueue)) - {*hotqueue.__all__, "tasks", "web"}) == []
    assert sorted(set(dir(tasks)) - set(tasks.__all__)) == []


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [tasks.AsyncResult, tasks.ResultSet, tasks.Task, HotQueue], ids=lambda kind: kind.__name__)
def test_help_speaks_of_use(kind: type) -> None:
    doc = inspect.getdoc(kind) or ""
    assert ">>>" in doc
    assert re.findall(r"\w+\.py\b|broker|record|registry|definition|Replies|envelope|reply list", doc) == []
    first = [line for name in CONTRACT[kind.__name__].split() if (line := inspect.getdoc(getattr(kind, name, None)) or "")]
    assert all(line[0].isupper() for line in first)


def test_help_of_a_task_is_that_of_its_function() -> None:
    @queue().task
    def square(n: int) -> int:
        """Return the square of a number."""
        return n * n

    text = pydoc.plain(pydoc.render_doc(square))
    assert "square(n: 'int') -> 'int'\n    Return the square of a number.\n" in text
    assert "Definition" not in text


# --- the user's own attributes ---------------------------------------------------------------------------------------


class Callback:
    """An object that is called, with attributes that a task once had, or has, for itself."""

    client, options, signature, is_async, queue, record = "mine", 1, 2, 3, 4, 5
    delay = map = "not these"

    def __init__(self) -> None:
        self.client, self.options, self.signature, self.is_async, self.queue = "mine", 1, 2, 3, 4
        self.name = self.delay = self.map = self.retry = self.request = "a task has its own"

    def __call__(self, n: int) -> int:
        return n + len(self.client)


def attributes() -> None:
    """Have attributes of the same names."""


attributes.__dict__.update(vars(Callback()))


@pytest.mark.parametrize("function", [attributes, Callback()], ids=["function", "object"])
@pytest.mark.parametrize(
    "again", [lambda task: task, lambda task: pickle.loads(cloudpickle.dumps(task))], ids=["itself", "pickled"]
)
def test_attributes_of_the_function_are_the_tasks_but_for_what_tasks_have(function: Any, again: Callable[[Any], Any]) -> None:
    here = HotQueue("attributes", url="redis://127.0.0.1:1")
    task: Any = again(here.task(name="attributes")(function))
    assert (task.client, task.options, task.signature, task.is_async, task.queue) == ("mine", 1, 2, 3, 4)
    assert (task.name, callable(task.delay), callable(task.map), callable(task.retry)) == ("attributes", True, True, True)
    with pytest.raises(NoTask):
        task.request  # noqa: B018


def test_a_task_with_such_attributes_runs() -> None:
    with queue().testing():
        task: Any = queue().task(Callback())
        assert (task.delay(1).get(), task.map([1, 2]).get(), task(3)) == (5, [5, 6], 7)


# --- who looks at everything -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [queue().task(attributes), Order().ship, current_task], ids=lambda thing: type(thing).__name__)
def test_outside_a_task_there_is_no_request_to_whoever_lists_attributes(thing: Any) -> None:
    assert not hasattr(thing, "request")
    assert "delay" in dict(inspect.getmembers(thing)) or thing is current_task
    mock.create_autospec(thing)
    with pytest.raises(RuntimeError, match="no task is running here"):
        thing.request  # noqa: B018


def test_a_mock_of_a_task_takes_what_the_task_takes() -> None:
    made = mock.create_autospec(queue().task(name="mocked")(lambda n: n))
    made.delay.return_value = "sent"
    assert made.delay(4) == "sent"
    made.delay.assert_called_once_with(4)
