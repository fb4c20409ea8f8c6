"""What is too large for the server, or for the link, or refused for another reason, costs only itself. Limits of our own:
tests/tasks/test_sizes.py.

Of the kind: a message (`put`, `aput`, bounded or not), a call (`delay`, `adelay`, `map`, `batch`, `submit`), a settlement of a
task (its result, its error); refused by Redis (proto-max-bulk-len: it answers and closes while we still send), by a proxy in
front of it (in words of its own, or by closing without any), or only slow to arrive. Whatever happens: one clear error, or the
result; nothing else waits for it; nothing is tried for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hotqueue import HotQueue, SerializationError, keys
from hotqueue.runtime.wake_pipe import readable
from tests.crash.rig import Rig
from tests.support.processes import worker_processes
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

MB = 1 << 20
SMALL = ("--proto-max-bulk-len", "1mb")  # the least that Redis can be told


@pytest.fixture
def small(start_redis: Callable[..., RedisServer], tmp_path: Path) -> str:
    """The URL of a server that takes nothing over 1 MB; over TCP and over its socket it refuses at different moments."""
    server = start_redis(*SMALL, "--unixsocket", str(tmp_path / "s"))
    return server.url


@pytest.fixture(params=["tcp", "unix"])
def url(request: pytest.FixtureRequest, small: str, tmp_path: Path) -> str:
    return small if request.param == "tcp" else f"unix://{tmp_path}/s"


# --- what a program sends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"max_queue_length": 10}], ids=["", "bounded"])
@pytest.mark.parametrize("size", [MB + 1, 3 * MB, 40 * MB])
def test_a_message_that_the_server_refuses(url: str, size: int, options: dict[str, Any]) -> None:
    with HotQueue("large", url=url, serializer=None, **options) as queue:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(
                SerializationError, match=r"put on .*MB\).*invalid bulk length.*store it elsewhere and send where"
            ):
                queue.put("x" * size)
            with pytest.raises(SerializationError, match="invalid bulk length"):
                queue.put(1, "x" * size, 2)
        assert time.monotonic() - began < allowed(4)  # and not each as long as its size takes, or patience lasts
        queue.put("after")
        assert queue.get() == "after"
        assert len(queue) == 0


@pytest.mark.parametrize("size", [MB + 1, 40 * MB])
def test_a_message_sent_from_a_loop_that_the_server_refuses(url: str, size: int) -> None:
    async def put() -> None:
        async with HotQueue("large", url=url, serializer=None) as queue:
            with pytest.raises(SerializationError, match=r"MB\).*invalid bulk length"):
                await queue.aput("x" * size)
            await queue.aput("after")
            assert await queue.aget() == "after"

    asyncio.run(put())


def test_a_call_that_the_server_refuses(url: str) -> None:
    with HotQueue("large", url=url) as queue:
        task = queue.task(len)
        for send in (task.delay, lambda value: task.apply_async((value,), countdown=60), lambda value: queue.submit(len, value)):
            with pytest.raises(SerializationError, match=r"enqueueing \(2 MB\).*invalid bulk length"):
                send(b"x" * (2 * MB))
        with pytest.raises(SerializationError, match="invalid bulk length"):
            asyncio.run(task.adelay(b"x" * (2 * MB)))  # type: ignore[arg-type]
        assert queue.pending() == 0
        task.delay(b"x")
        assert queue.pending() == 1


def test_a_call_that_the_server_refuses_keeps_none_back_that_was_sent_with_it(url: str) -> None:
    with HotQueue("large", url=url) as queue:
        task = queue.task(len)
        values = [b"a", b"x" * (2 * MB), b"b", b"y" * (3 * MB), b"c"]
        with pytest.raises(SerializationError, match=r"2 of 5 tasks were refused, the others were sent: .*\(2 MB\)"):
            task.map(values)
        assert queue.pending() == 3
        batch = queue.batch()

        def in_a_block() -> None:
            with batch:
                for value in values:
                    task.delay(value)

        with pytest.raises(SerializationError, match="2 of 5 tasks were refused"):
            in_a_block()
        assert (queue.pending(), len(batch)) == (6, 2)

        async def in_a_loop() -> None:
            async with queue.batch():
                for value in values:
                    await task.adelay(value)

        with pytest.raises(SerializationError, match="2 of 5 tasks were refused"):
            asyncio.run(in_a_loop())
        assert queue.pending() == 9


def test_a_call_that_takes_longer_than_any_deadline_arrives(start_redis: Callable[..., RedisServer]) -> None:
    """Its deadline counts from the last bytes that were taken, and the reply's too; from a loop as well."""
    proxy = Proxy(start_redis().url)
    proxy.rate = 2 * MB
    with HotQueue("large", url=proxy.url) as queue:
        began = time.monotonic()
        queue.task(len).delay(b"x" * (12 * MB))
        assert time.monotonic() - began > 5
        asyncio.run(queue.task(len).adelay(b"x" * (12 * MB)))  # type: ignore[arg-type]
        assert queue.pending() == 2
    proxy.close()


# --- what a worker tells ---------------------------------------------------------------------------------------------


@pytest.fixture
def make_rig(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """``make_rig(*options_of_the_server, between=…)`` → a queue with workers; `between` makes the address that these use."""
    made: list[Rig] = []

    def make(*options: str, between: Callable[[str], Any] | None = None) -> Rig:
        server = start_redis(*options)
        made.append(Behind(tmp_path, server, between(server.url) if between else None))
        return made[-1]

    yield make
    for rig in made:
        rig.stop()
        print(rig.said()[-4000:])


class Behind(Rig):
    """A rig whose workers reach the server through something that stands in between."""

    def __init__(self, folder: Path, server: RedisServer, between: Any) -> None:
        super().__init__(folder, server.url, server.client())
        self.between = between

    def start(self, *args: object, **options: Any) -> Any:
        """Start a worker behind it."""
        return super().start(*args, url=self.between.url if self.between else "", **options)

    def stop(self) -> None:
        """End all."""
        super().stop()
        if self.between:
            self.between.close()


class Gateway:
    """Passes on what clients send, up to so many bytes a request; beyond it answers in words of its own, or closes without any.

    Args:
        most: bytes of a request.
        words: what it says before it closes.
    """

    def __init__(self, url: str, most: int, words: bytes) -> None:
        parts = urlsplit(url)
        self._target, self._most, self._words = (parts.hostname, parts.port), most, words
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server, contextlib.suppress(OSError):
            passed = 0
            while True:
                ready = readable([client.fileno(), server.fileno()], 3600)
                for link in (link for link in (client, server) if link.fileno() in ready):
                    data = link.recv(1 << 16)
                    if not data:
                        return
                    passed = passed + len(data) if link is client else 0
                    if passed > self._most:
                        self.refused += 1
                        client.sendall(self._words)
                        return
                    (server if link is client else client).sendall(data)

    def close(self) -> None:
        self._listener.close()


REFUSALS: dict[str, Callable[[str], Any] | None] = {
    "by Redis": None,
    "in words that are known": lambda url: Gateway(url, MB, b"-ERR max request size exceeded. Limit: 1048576 bytes\r\n"),
    "in other words": lambda url: Gateway(url, MB, b"-ERR this is too much for your plan\r\n"),
    "without a word": lambda url: Gateway(url, MB, b""),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_result_that_is_refused_ends_as_a_failure_and_holds_up_nobody(
    make_rig: Callable[..., Rig], refusal: str, is_async: bool
) -> None:
    between = REFUSALS[refusal]
    rig = make_rig(*(SMALL if between is None else ()), between=between)
    blob, work = (rig.tasks.ablob, rig.tasks.awork) if is_async else (rig.tasks.blob, rig.tasks.work)
    rig.start("-t1")
    before = [rig.send(work, n) for n in range(5)]
    large = [rig.send(blob, 3 * MB), rig.send(blob, 2 * MB)]
    behind = [rig.send(work, n) for n in range(5, 30)]
    assert [r.get(30) for r in before + behind] == list(range(30))
    for result in large:
        with pytest.raises(
            SerializationError, match=r"blob ran to its end, but its result \([23] MB\) cannot be stored: .*(return|send) where"
        ):
            result.get(30)
        assert result.state == "FAILURE"
    assert rig.send(work, 31).get(30) == 31
    assert rig.send(blob, MB // 2).get(30) == b"x" * (MB // 2)
    assert rig.starts()["blob"] == 3
    assert rig.said().count("cannot be stored") == 2
    assert len(list(rig.queue.dead())) == 2
    rig.queue.discard_dead(all=True)
    assert int(rig.redis.info("stats")["total_connections_received"]) < 100
    rig.check_nothing_left()


def test_many_refused_results_hold_up_nobody_for_long(make_rig: Callable[..., Rig]) -> None:
    """More than may wait to be told apart; large ones that are fine among them."""
    rig = make_rig(*SMALL)
    rig.start("-t1")
    refused = [rig.send(rig.tasks.blob, 2 * MB) for _ in range(50)]
    fine = [rig.send(rig.tasks.blob, MB - 1000)] + [rig.send(rig.tasks.work, n) for n in range(20)]
    began = time.monotonic()
    assert len(fine[0].get(60)) == MB - 1000
    assert [r.get(60) for r in fine[1:]] == list(range(20))
    assert time.monotonic() - began < allowed(15)  # a second each, for every refusal of another's, makes a minute and a half
    for result in refused:
        assert isinstance(result.get(60, propagate=False), SerializationError)
    rig.queue.discard_dead(all=True)
    rig.check_nothing_left()


def test_the_largest_result_of_all_ends_within_seconds(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    worker = rig.start()
    large, behind = rig.send(rig.tasks.blob, 540_000_000), rig.send(rig.tasks.work, 1)
    with pytest.raises(SerializationError, match=r"takes 515 MB pickled, and a result may have 64 MB; .*return where"):
        large.get(allowed(20))
    assert behind.get(30) == 1
    [child] = worker_processes(worker.pid)
    assert resident_peak(child) < 800 << 20  # the value itself, and no copy of it
    assert rig.send(rig.tasks.retried_blob, 70_000_000).get(20, propagate=False).args
    assert rig.starts()["retried_blob"] == 1, "run again, though it would return the same"
    rig.queue.discard_dead(all=True)
    rig.check_nothing_left()


def resident_peak(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def test_several_results_that_together_are_large(make_rig: Callable[..., Rig]) -> None:
    """A step is cut by bytes; the memory for what waits to be told is bounded."""
    rig = make_rig()
    worker = rig.start("-t1")
    results = [rig.send(rig.tasks.blob, 250_000) for _ in range(200)] + [rig.send(rig.tasks.blob, 8 * MB) for _ in range(20)]
    for result in results:
        assert len(result.get(60)) in (250_000, 8 * MB)
    [child] = worker_processes(worker.pid)
    assert resident_peak(child) < 400 << 20
    rig.check_nothing_left()


def test_a_result_on_a_slow_link_arrives_and_holds_up_nobody(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(between=Proxy)
    rig.between.rate = 2 * MB
    rig.start("-t1")
    large = rig.send(rig.tasks.blob, 24 * MB)
    slowest = 0.0
    while not rig.redis.exists(keys.result(rig.name, large.id)):
        began = time.monotonic()
        assert rig.send(rig.tasks.work, 1).get(30) == 1
        slowest = max(slowest, time.monotonic() - began)
    assert len(large.get(30)) == 24 * MB
    assert slowest < allowed(2)  # and not for as long as it takes to get through
    assert rig.said().count("trying again") == 0
    rig.check_nothing_left()


def test_results_that_are_large_together_hold_up_nobody_on_a_slow_link(make_rig: Callable[..., Rig]) -> None:
    """Twelve megabytes of them, each of which would go with a step: what stands behind them waits for none.

    Only such as are fetched together: of 200 KB each, a loaded machine fetches one at a time, each with its time on the link.
    """
    size = 20_000
    rig = make_rig(between=Proxy)
    rig.start("-t1")
    assert rig.tasks.work.map(range(600)).get(30)
    rig.between.rate = 2 * MB
    rig.queue.pause()
    with rig.queue.batch():
        results = [rig.tasks.blob.delay(size) for _ in range(12_000_000 // size)]
        behind = rig.tasks.work.delay(1)
    began = time.monotonic()
    rig.queue.resume()
    assert behind.get(30) == 1
    slowest = time.monotonic() - began
    while not all(rig.redis.exists(keys.result(rig.name, r.id)) for r in results[-2:]):
        began = time.monotonic()
        assert rig.send(rig.tasks.work, 1).get(30) == 1
        slowest = max(slowest, time.monotonic() - began)
    assert [len(r.get(30)) for r in results] == [size] * len(results)
    assert slowest < allowed(2)  # and not for as long as it takes to get through
    assert rig.starts()["blob"] == len(results)
    assert rig.said().count("trying again") == 0
    rig.check_nothing_left()


def test_a_worker_that_is_stopped_tells_its_large_results_first(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(between=Proxy)
    rig.between.rate = 2 * MB
    worker = rig.start("-t1")
    large = rig.send(rig.tasks.blob, 8 * MB)
    wait_until(lambda: rig.starts()["blob"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert len(large.get(30)) == 8 * MB
    assert rig.starts()["blob"] == 1
    rig.check_nothing_left()


def test_an_outcome_that_is_refused_for_another_reason_holds_up_nobody(make_rig: Callable[..., Rig]) -> None:
    """It is no fault of the task's that the dead list is not one: it waits until that is put right, and ends as it ended."""
    rig = make_rig()
    rig.redis.set(keys.dead(rig.name), "none of ours")
    rig.start("-t1")
    failing = [rig.send(rig.tasks.flaky, n, 9) for n in range(3)]
    working = [rig.send(rig.tasks.work, n) for n in range(50)]
    assert [r.get(30) for r in working] == list(range(50))
    wait_until(lambda: "put right" in rig.said())
    assert [rig.send(rig.tasks.work, n).get(30) for n in range(5)] == list(range(5))
    wait_until(lambda: rig.said().count("kept in the dead list") == len(failing))  # each has had its last try
    assert {r.state for r in failing} <= {"STARTED", "RETRY"}
    rig.redis.delete(keys.dead(rig.name))
    for result in failing:
        with pytest.raises(OSError, match="not yet"):
            result.get(30)
    assert "cannot be stored" not in rig.said()
    rig.queue.discard_dead(all=True)
    rig.check_nothing_left()
