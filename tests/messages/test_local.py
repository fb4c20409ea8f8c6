"""What a queue object keeps in one process: leases are renewed as long as a loop lives, and a fork takes nothing along."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from textwrap import dedent

import pytest

from hotqueue import HotQueue, keys
from hotqueue.messages import local
from tests.support.plain_queue import consumers
from tests.support.processes import run_python
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
StartPython = Callable[..., subprocess.Popen[str]]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


@only_embedded
def test_a_lease_is_renewed_as_long_as_the_loop_lives(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "RENEWAL", 0.05)
    queue = make_queue()
    queue.put(1)
    loop = queue.consume()
    next(loop)
    [consumer] = consumers(queue)
    key = keys.consumers(queue.name)

    def lease() -> float:
        return float(queue._store.command(key, "ZSCORE", key, consumer))

    first = lease()
    wait_until(lambda: lease() > first)
    loop.close()
    wait_until(lambda: not any(queue.name in thread.name for thread in threading.enumerate()))


@only_embedded
def test_a_forked_child_holds_nothing_of_its_parents(queue_name: str, store_url: str) -> None:
    code = """
        import os, sys
        from hotqueue import HotQueue
        queue = HotQueue(sys.argv[1], url=sys.argv[2])
        queue.put("a", "b", "c")
        loop = queue.consume(block=False)
        assert next(loop) == "a"
        if not (child := os.fork()):
            assert next(loop) == "b"  # it goes on as a consumer of its own; a stays the parent's
            loop.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        if not (child := os.fork()):
            loop.close()  # as the end of the child would
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert len(queue) == 2, len(queue)
        assert list(loop) == ["b", "c"]
    """
    run_python(dedent(code), queue_name, store_url)
