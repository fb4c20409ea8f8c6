"""put, get, len, clear on real servers: order, limits, errors, fork, pickling, threads."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import redis

from hotqueue import ConfigError, HotQueue, QueueFull, SerializationError, key_for_name
from tests.support.processes import run_python
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


def raw_list(queue: HotQueue) -> list[bytes]:
    return queue._store.command(queue.key, "LRANGE", queue.key, 0, -1)  # type: ignore[no-any-return]


def dead_messages(queue: HotQueue) -> list[bytes]:
    key = f"{{{queue.key}}}:dead-messages"
    return queue._store.command(key, "LRANGE", key, 0, -1)  # type: ignore[no-any-return]


def test_messages_come_out_in_the_order_they_went_in(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(4)
    queue.put(5, "six", {"seven": 7})
    assert len(queue) == 4
    assert [queue.get() for _ in range(5)] == [4, 5, "six", {"seven": 7}, None]


def test_a_message_that_is_none_is_taken_off(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(None)
    assert (queue.get(), len(queue)) == (None, 0)


def test_put_of_nothing_does_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put()
    assert len(queue) == 0


def test_clear_deletes_what_waits(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(1, 2)
    queue.clear()
    assert (len(queue), queue.get()) == (0, None)


@pytest.mark.servers("server")
def test_clear_of_very_many_frees_them_beside_the_work_of_others(make_queue: MakeQueue) -> None:
    """UNLINK takes a microsecond whatever it drops; DEL of ten million messages would hold up the server for a second."""
    queue = make_queue()
    queue.put(*range(1000))
    client = queue._store.client()
    client.config_resetstat()
    queue.clear()
    asked = {name for name in client.info("commandstats") if not name.startswith(("cmdstat_config", "cmdstat_info"))}
    assert asked == {"cmdstat_unlink"}


def test_queues_of_one_store_are_apart(make_queue: MakeQueue, queue_name: str) -> None:
    one, other = make_queue(), make_queue(queue_name + "-other")
    one.put("one")
    assert (other.get(), one.get()) == (None, "one")


def test_a_blocking_get_waits_for_the_next_message(make_queue: MakeQueue) -> None:
    queue, other = make_queue(), make_queue()
    with ThreadPoolExecutor() as threads:
        got = threads.submit(queue.get, block=True)
        wait_until(lambda: got.running())
        other.put("late")
        assert got.result(10) == "late"


@pytest.mark.parametrize("timeout", [1, 0.3, timedelta(seconds=0.3)])
@only_embedded
def test_a_blocking_get_ends_after_its_timeout(make_queue: MakeQueue, timeout: float | timedelta) -> None:
    queue = make_queue()
    start = time.monotonic()
    assert queue.get(block=True, timeout=timeout) is None
    wanted = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    assert wanted <= time.monotonic() - start < allowed(wanted + 2)


@only_embedded
def test_a_timeout_of_zero_looks_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(1)
    assert [queue.get(block=True, timeout=0) for _ in range(2)] == [1, None]


@pytest.mark.parametrize(
    ("timeout", "error"), [("1", TypeError), (True, TypeError), ([1], TypeError), (-1, ValueError), (float("nan"), ValueError)]
)
@pytest.mark.parametrize("method", ["get", "consume", "aconsume"])
def test_a_wrong_timeout_is_refused_at_once(method: str, timeout: Any, error: type[Exception]) -> None:
    queue = HotQueue("q", url="redis://127.0.0.1:1/0")  # nobody there: nothing may be sent
    with pytest.raises(error, match=f"{method}\\(timeout=\\) takes seconds"):
        getattr(queue, method)(timeout=timeout)


@pytest.mark.parametrize("method", ["get", "aget", "consume", "aconsume"])
def test_a_wrong_option_is_refused_with_what_was_meant(method: str) -> None:
    """In asyncio too, and before anything is connected."""
    queue = HotQueue("q", url="redis://127.0.0.1:1")

    def call(*args: Any, **options: Any) -> Any:
        made = getattr(queue, method)(*args, **options)
        return asyncio.run(made) if inspect.iscoroutine(made) else made

    with pytest.raises(TypeError, match=rf"{method}\(\) got an unknown option 'blok'; did you mean 'block'\?"):
        call(blok=True)
    with pytest.raises(TypeError, match=rf"{method}\(\) got an unknown option 'xyz'; known are .*timeout"):
        call(xyz=True)
    with pytest.raises(TypeError, match=rf"{method}\(block=\) takes True or False, not 5; did you mean timeout=5\?"):
        call(5)
    with pytest.raises(TypeError, match=rf"{method}\(block=\) takes True or False, not 'no'$"):
        call("no")


@pytest.mark.parametrize(
    ("options", "error"),
    [({"timeout": -1}, ValueError), ({"timeout": "x"}, TypeError), ({"block": 1}, TypeError), ({"timeot": 1}, TypeError)],
    ids=str,
)
def test_a_wrong_option_of_a_worker_is_refused_where_it_is_decorated(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"@queue\.worker"):
        HotQueue("q", url="redis://h").worker(**options)


def test_a_worker_decorates_a_function() -> None:
    for wrong in (5, "x"):
        with pytest.raises(TypeError, match=r"decorates a function, not .*; its options have names, such as timeout=1"):
            HotQueue("q", url="redis://h").worker(wrong)  # type: ignore[call-overload]


def test_a_misspelt_name_of_the_package_is_hinted_at() -> None:
    done = run_python("import hotqueue; hotqueue.HotQueu", check=False)
    assert "has no attribute 'HotQueu'. Did you mean: 'HotQueue'?" in done.stderr


@only_embedded
def test_a_message_that_cannot_be_serialized_stops_the_whole_put(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with pytest.raises(SerializationError, match=r"argument 2 of put\(\), <function"):
        queue.put(1, lambda: 0, 3)
    assert len(queue) == 0


def test_a_bounded_queue_takes_all_of_a_put_or_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue(max_queue_length=3)
    queue.put(1, 2)
    with pytest.raises(QueueFull, match="holds 2 messages of at most 3: 2 more do not fit, none was stored"):
        queue.put(3, 4)
    queue.put(3)
    assert [queue.get() for _ in range(4)] == [1, 2, 3, None]


@only_embedded
def test_a_bounded_queue_takes_thousands_in_one_put(make_queue: MakeQueue) -> None:
    queue = make_queue(max_queue_length=20_000)
    queue.put(*range(20_000))
    assert (len(queue), queue.get()) == (20_000, 0)


@only_embedded
def test_many_putters_never_pass_the_bound(make_queue: MakeQueue) -> None:
    queue = make_queue(max_queue_length=50)

    def fill() -> int:
        done = 0
        while True:
            try:
                queue.put("a", "b", "c")
            except QueueFull:
                return done
            done += 1

    with ThreadPoolExecutor(8) as threads:
        puts = sum(each.result() for each in [threads.submit(fill) for _ in range(8)])
    assert (puts, len(queue)) == (16, 48)


@pytest.mark.parametrize("length", [0, -1, True, 1.5, "10"])
def test_a_bound_is_a_whole_number(length: Any) -> None:
    with pytest.raises(ConfigError, match="max_queue_length is a whole number"):
        HotQueue("q", max_queue_length=length)


@pytest.mark.parametrize("name", ["", None, 5, b"q", "a{b", "a}b"])
def test_a_name_that_would_move_its_keys_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="a queue's name"):
        HotQueue(name)


def test_a_message_that_cannot_be_loaded_goes_to_dead_messages(make_queue: MakeQueue) -> None:
    queue = make_queue(serializer=json)
    queue._store.command(queue.key, "RPUSH", queue.key, b"\xffjunk", b'"good"')
    with pytest.raises(SerializationError, match=r"cannot be loaded by json: .*; it was moved to \{hotqueue:.*\}:dead-messages"):
        queue.get()
    assert queue.get() == "good"
    assert dead_messages(queue) == [b"\xffjunk"]


@only_embedded
def test_other_languages_push_and_pop(make_queue: MakeQueue) -> None:
    queue = make_queue(serializer=json)
    queue._store.command(queue.key, "RPUSH", f"hotqueue:{queue.name}", '{"a":1}')
    assert queue.get() == {"a": 1}
    queue.put({"b": 2})
    assert raw_list(queue) == [b'{"b": 2}']


@only_embedded
def test_the_serializer_can_be_set(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.serializer = None
    assert queue.serializer is None
    queue.put(b"text", b"\xff")
    assert [queue.get(), queue.get()] == ["text", b"\xff"]
    with pytest.raises(TypeError, match="a serializer has dumps and loads"):
        queue.serializer = 5


def test_name_key_and_repr() -> None:
    queue = HotQueue("mine", url="redis://:secret@host/2")
    assert (queue.name, queue.key, key_for_name("mine")) == ("mine", "hotqueue:mine", "hotqueue:mine")
    assert repr(queue) == "<HotQueue 'mine' in redis://:***@host:6379/2>"


def test_constructing_connects_to_nothing_and_imports_no_redis(tmp_path: Path) -> None:
    code = """
        import os, socket, sys
        def refuse(event, args):
            if event in ("socket.connect", "subprocess.Popen", "os.fork", "os.posix_spawn"):
                raise AssertionError(event)
        sys.addaudithook(refuse)
        from hotqueue import HotQueue
        HotQueue("a", url="redis://127.0.0.1:1/0"); HotQueue("b", dbfilename=sys.argv[1] + "/x.rdb"); HotQueue("c")
        HotQueue("d", host="nowhere", port=1).consume()
        assert "redis" not in sys.modules and not os.listdir(sys.argv[1])
    """
    run_python(dedent(code), tmp_path)


# --- processes and threads -------------------------------------------------------------------------------------------


@only_embedded
def test_many_threads_use_one_queue(make_queue: MakeQueue) -> None:
    queue = make_queue()
    got: list[int] = []

    def drain() -> None:
        while (message := queue.get(block=True, timeout=1)) is not None:
            got.append(message)

    putters = [threading.Thread(target=lambda n=n: [queue.put(n * 100 + i) for i in range(100)]) for n in range(4)]
    getters = [threading.Thread(target=drain) for _ in range(4)]
    for thread in putters + getters:
        thread.start()
    for thread in putters + getters:
        thread.join()
    assert sorted(got) == list(range(400))


@only_embedded
def test_two_queues_on_one_file_work_side_by_side(make_queue: MakeQueue) -> None:
    one, other = make_queue(), make_queue()
    one.put(1)
    assert other.get() == 1
    one.close()
    other.put(2)
    assert other.get() == 2


@only_embedded
def test_a_closed_queue_may_be_used_again(make_queue: MakeQueue) -> None:
    queue = make_queue()
    keeper = make_queue()
    keeper.put("kept")
    queue.close()
    assert queue.get() == "kept"
    with queue as same:
        assert same is queue


def test_a_queue_survives_fork(store_url: str, queue_name: str) -> None:
    code = """
        import os, sys
        from hotqueue import HotQueue
        queue = HotQueue(sys.argv[1], url=sys.argv[2])
        queue.put("parent")
        assert queue.get(block=True, timeout=0.01) == "parent" and queue.get(block=True, timeout=0.01) is None
        before = queue._store.client()
        child = os.fork()
        if not child:
            queue.put(*range(100))
            assert queue._store.client() is not before
            os._exit(0)
        got = [queue.get(block=True, timeout=30) for _ in range(100)]
        assert os.waitpid(child, 0)[1] == 0 and got == list(range(100)), got
        assert queue._store.client() is before
    """
    run_python(dedent(code), queue_name, store_url)


@only_embedded
def test_a_queue_can_be_sent_to_a_spawned_process(make_queue: MakeQueue, store_url: str) -> None:
    queue = make_queue(serializer=json, max_queue_length=2, secret_key="k")
    queue.put("here")
    again = pickle.loads(pickle.dumps(queue))
    assert (again.name, again.key, again.serializer, again.max_queue_length) == (queue.name, queue.key, json, 2)
    assert again._secret_key == "k"
    assert again.get() == "here"
    again.close()
    code = "import multiprocessing, sys; multiprocessing.get_context('spawn').Process(target=print).start()"
    run_python(code + "; import pickle; pickle.loads(bytes.fromhex(sys.argv[1])).put('there')", pickle.dumps(queue).hex())
    assert queue.get() == "there"


@only_server
def test_a_given_client_lends_its_settings_and_is_left_alone(make_queue: MakeQueue, store_url: str) -> None:
    with redis.Redis.from_url(store_url, decode_responses=True) as client:
        queue = make_queue(url=None, redis=client)
        queue.put(b"\xff")
        assert queue.get() == b"\xff"
        queue.close()
        assert client.ping()
        assert client.connection_pool.connection_kwargs["decode_responses"] is True


@only_server
def test_a_given_client_has_each_name_in_its_own_encoding_however_much_is_sent(
    make_queue: MakeQueue, store_url: str, queue_name: str
) -> None:
    with redis.Redis.from_url(store_url, encoding="latin-1") as client:
        queue = make_queue(f"{queue_name}-gr\u00f6\u00dfe", url=None, redis=client)
        queue.put("x")
        queue.put(*["x"] * 100)
        assert len(queue) == 101
        queue.clear()


@pytest.mark.servers("cluster")
def test_a_given_cluster_client_works_too(make_queue: MakeQueue, store_url: str) -> None:
    host, port = store_url.removeprefix("redis+cluster://").split(",")[0].split("/")[0].split(":")
    with redis.RedisCluster(host, int(port)) as client:
        queue = make_queue(url=None, redis=client)
        queue.put(1, 2)
        assert list(queue.consume(block=False)) == [1, 2]


def test_a_wait_of_a_millisecond_is_no_wait_for_ever(make_queue: MakeQueue) -> None:
    queue = make_queue()
    began = time.monotonic()
    for timeout in (0.0001, 0.001, 0.0011, 0.0019):
        assert queue.get(block=True, timeout=timeout) is None
        assert list(queue.consume(timeout=timeout)) == []
    assert time.monotonic() - began < allowed(2)


# --- as a Python object ----------------------------------------------------------------------------------------------
# What Python asks an object besides: none of it may need the server, or take an empty queue for no queue.

AWAY = "redis://127.0.0.1:1/0"


def test_a_queue_is_true_also_when_it_is_empty(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert (queue or "default") is queue
    with queue.batch() as batch:
        assert (len(batch), bool(batch)) == (0, True)


def test_what_python_asks_a_queue_needs_no_server() -> None:
    queue = HotQueue("away", url=AWAY)
    assert (queue or "default") is queue
    assert bool(queue.result("some-id"))
    assert repr(queue) == f"<HotQueue 'away' in {AWAY}>"
    assert queue == queue
    assert queue != HotQueue("away", url=AWAY)
    assert len({queue, queue}) == 1
    for again in (copy.copy(queue), copy.deepcopy(queue)):
        assert (again.name, repr(again)) == ("away", repr(queue))
    with pytest.raises(TypeError, match="not iterable"):
        iter(queue)  # type: ignore[call-overload]


def test_a_copy_of_a_queue_works_and_keeps_its_secret_key(make_queue: MakeQueue) -> None:
    queue = make_queue(secret_key="k")
    again = copy.copy(queue)
    again.put(1)
    assert (queue.get(), again._secret_key) == (1, "k")


def test_a_copy_of_a_queue_is_at_the_same_store_over_the_same_connections(make_queue: MakeQueue) -> None:
    queue = make_queue()
    again = copy.copy(queue)
    assert again._store is queue._store
    assert again._tasks is not queue._tasks
    assert copy.deepcopy(queue)._store is not queue._store


class OwnConnection(redis.Connection):
    """What goes into no pickle of ours."""


def test_a_queue_that_cannot_leave_the_process_can_be_copied_in_it() -> None:
    pool = redis.ConnectionPool(connection_class=OwnConnection)
    queue = HotQueue("here", redis=redis.Redis(connection_pool=pool), secret_key="k")
    with pytest.raises(ConfigError, match="OwnConnection"):
        pickle.dumps(queue)
    again = copy.copy(queue)
    assert (again._store, again._secret_key) == (queue._store, "k")
