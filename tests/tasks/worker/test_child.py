"""A supervisor's child: what it takes over of its parent, and that it ends with it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from textwrap import dedent

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.child import Settings, Suspects
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


def test_a_quarantine_process_runs_each_of_its_suspects_once_and_ends() -> None:
    settings = Settings(make_queue=HotQueue, threads=1, max_tasks=7, max_memory=1 << 30, weights={"q": 3})
    suspects = Suspects("q", "redis://localhost", width=2, size=5)
    assert settings.for_suspects(None) is settings
    theirs = settings.for_suspects(suspects)
    assert (theirs.suspects, theirs.threads, theirs.is_burst, theirs.max_tasks, theirs.max_memory) == (
        suspects,
        5,
        True,
        None,
        None,
    )
    assert (theirs.weights, theirs.make_queue) == (settings.weights, HotQueue)
    assert (settings.threads, settings.is_burst, settings.suspects) == (1, False, None)


def test_no_secret_of_its_settings_is_shown() -> None:
    assert "hunter2" not in repr(Settings(make_queue=HotQueue, secret_key="hunter2"))
