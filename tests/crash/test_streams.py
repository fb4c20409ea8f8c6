"""A stream is whole whatever dies: no item twice, none left out, none of a run that is over, and it always ends.

Of the kind: a process that is killed before and after a batch is added, and at the end; a worker that stood still and was given
up; a limit from outside, a revocation that ends the process, a last delivery; a reader that is killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import StreamRestarted, TimeLimitExceeded, keys, presence
from hotqueue.errors import TaskRevoked, WorkerLost
from hotqueue.tasks.worker import failpoints
from tests.crash.workers import Workers
from tests.support.processes import start_python, worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def streams(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Workers]:
    """A queue whose workers can be harmed."""
    made = Workers("stream_tasks", queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


def read_all(stream: Any) -> list[Any]:
    """Return the items of the last attempt, as somebody has them who forgets what was of one that is over."""
    items: list[Any] = []
    while True:
        try:
            items.extend(iter(stream))
            return items
        except StreamRestarted:
            items.clear()


@pytest.mark.parametrize("point", [*failpoints.OF_STREAMS, "before_settle"])
@pytest.mark.parametrize("name", ["steady", "asteady", "count"])
def test_a_process_killed_at_any_point_leaves_no_gap_and_nothing_twice(
    streams: Workers, name: str, point: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    streams.start("-p1", env={"HOTQUEUE_FAULT": f"{point}:KILL:{token}"})
    result = getattr(streams.tasks, name).delay(60)
    stream = result.stream(timeout=30)
    first = next(stream)
    token.touch()
    Path(f"{streams.notes}.go").touch()
    items = read_all(stream) if name == "count" else [first, *stream]
    assert not token.exists()
    one, two = (int(pid) for _, pid in streams.noted())
    assert one != two
    assert items == list(result.stream(timeout=30)) == ([(two, i) for i in range(60)] if name == "count" else list(range(60)))


def test_a_worker_that_was_given_up_adds_nothing_to_the_new_run(streams: Workers) -> None:
    stopped = streams.start("-p1", "--lease", "1")
    (child,) = worker_processes(stopped.pid)
    result = streams.tasks.count.delay(50)
    stream = result.stream(timeout=60)
    assert next(stream) == (child, 0)
    for pid in (child, stopped.pid):
        os.kill(pid, signal.SIGSTOP)
    for name in streams.registered():
        presence.forget(presence.folder(), name)  # as if on another host: a stopped process keeps its flock
    streams.start("-p1", "--lease", "1")
    with pytest.raises(StreamRestarted):
        next(stream)
    first, _ = next(stream)
    for pid in (stopped.pid, child):
        os.kill(pid, signal.SIGCONT)
    Path(f"{streams.notes}.go").touch()
    assert [(first, 0), *stream] == [(first, i) for i in range(50)]
    wait_until(lambda: "was given up" in streams.said())
    assert list(result.stream(timeout=30)) == [(first, i) for i in range(50)]


@pytest.mark.parametrize("how", ["time_limit", "terminate", "last delivery"])
def test_it_ends_when_the_task_is_ended_from_outside(streams: Workers, how: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    streams.start("-p1", env={"HOTQUEUE_FAULT": f"before_add:KILL:{token}"})
    options: dict[str, Any] = {
        "time_limit": {"time_limit": 0.5},
        "last delivery": {"max_deliveries": 1, "result_expires": 30},
    }.get(how, {})
    result = streams.tasks.endless.apply_async(**options)
    stream = result.stream(timeout=30)
    assert next(stream) == 0
    if how == "terminate":
        result.revoke(terminate=True)
    elif how == "last delivery":
        token.touch()
    kind = {"time_limit": TimeLimitExceeded, "terminate": TaskRevoked, "last delivery": WorkerLost}[how]
    items = [0]
    with pytest.raises(kind):
        items.extend(iter(stream))
    assert items == list(range(len(items)))
    if how == "last delivery":  # of a process that is lost they would stay for an hour
        key = keys.stream(streams.name, result.id)
        wait_until(lambda: 0 < streams.redis.pttl(key) <= 60_000, what="the items go as those of a run that ended")
    streams.queue.discard_dead(all=True)


READER = """
import sys
from hotqueue import HotQueue
for item in HotQueue(sys.argv[1], url=sys.argv[2]).result(sys.argv[3]).stream(backpressure=True):
    print(item, flush=True)
    sys.stdin.read()
"""


def test_a_reader_that_is_killed_holds_nobody_up_for_long(streams: Workers, store_url: str) -> None:
    streams.start("-p1")
    result = streams.tasks.endless.apply_async(stream_max=4)
    program = READER.replace("import sys\n", "import sys\nfrom hotqueue.tasks.broker import streams\nstreams.HELD_MS = 2000\n")
    key = f"{{hotqueue:{streams.name}}}:streamed:{result.id}"
    with start_python(program, streams.name, store_url, result.id) as reader:
        assert reader.stdout is not None
        last = int(reader.stdout.readline())
        reader.kill()
    wait_until(lambda: int(streams.redis.hget(key, "count")) > last + 1000, what="the task goes on")
    result.revoke(terminate=True)
    with pytest.raises(TaskRevoked):
        result.get(30)
