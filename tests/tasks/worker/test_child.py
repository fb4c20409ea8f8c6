"""A supervisor's child: what it takes over of its parent, and that it ends with it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from textwrap import dedent

import pytest

from hotqueue import HotQueue
from tests.support import processes

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_a_child_whose_supervisor_died_while_it_was_born_ends_without_a_word(make_queue: MakeQueue, store_url: str) -> None:
    code = """
    import os, signal, sys
    from hotqueue.cli.worker import main
    from hotqueue.tasks.worker import child

    def orphaned(settings, pipes, close, fork=child.fork):
        def end_parent():
            close()
            os.kill(os.getppid(), signal.SIGKILL)
        return fork(settings, pipes, end_parent)

    child.fork = orphaned
    main()
    """
    done = processes.run_python(dedent(code), "-Q", make_queue().name, "--url", store_url, "-p1", "-q", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "", "")
