"""What a process that a task starts inherits, and how one that it forked ends; see test_children_of_tasks.py as well."""

from __future__ import annotations

import signal
import subprocess
from textwrap import dedent

import pytest

from tests.support.processes import run_python

HEAD = """
import atexit, os, signal, subprocess, sys, threading, time
from hotqueue.tasks.execution import forks

def forked(run):
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return run_python(HEAD + dedent(code))


def said(code: str) -> list[str]:
    return run(code).stdout.splitlines()


@pytest.mark.parametrize(
    ("error", "status", "stderr"),
    [
        ("None", 0, ""),
        ("SystemExit()", 0, ""),
        ("SystemExit(3)", 3, ""),
        ("SystemExit('no such thing')", 1, "no such thing"),
        ("ValueError('wrong')", 1, "ValueError: wrong"),
        ("KeyboardInterrupt()", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_a_forked_process_that_comes_back_ends_as_python_ends_it(error: str, status: int, stderr: str) -> None:
    done = run(f"""
    atexit.register(print, "exit function")
    before = forks.count
    forks.leave_if_forked(before)  # nobody has forked
    status = forked(lambda: forks.leave_if_forked(before, {error}))
    print("status", status)
    """)
    assert done.stdout.splitlines() == [f"status {status}", "exit function"]  # which runs in the parent alone
    assert done.stderr.strip().endswith(stderr)
    assert bool(done.stderr) is bool(stderr)


def test_it_waits_for_its_threads() -> None:
    lines = said("""
    def work():
        begun.set()
        main.join(0.2)  # which does not end before we do
        print("thread", flush=True)

    def run():
        threading.Thread(target=work).start()
        begun.wait()
        forks.leave(None)

    begun, main = threading.Event(), threading.current_thread()
    print(forked(run))
    """)
    assert lines == ["thread", "0"]


def test_what_is_forked_or_executed_has_the_default_signals() -> None:
    lines = said("""
    look = "import signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    forks.close_in_children([os.open(os.devnull, os.O_RDONLY)])
    forks.leave_signals_to_supervisor()
    os.kill(os.getpid(), signal.SIGTERM)
    print("still here", flush=True)
    subprocess.run([sys.executable, "-c", look], check=True)
    print(forked(lambda: os.kill(os.getpid(), signal.SIGTERM)))
    """)
    assert lines == ["still here", "True", str(-signal.SIGTERM)]


def test_a_handler_that_is_not_ours_is_inherited() -> None:
    lines = said("""
    forks.leave_signals_to_supervisor()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))  # a task's
    print(forked(lambda: os.kill(os.getpid(), signal.SIGTERM)))
    """)
    assert lines == ["7"]


def test_pipes_of_ours_are_closed_in_what_is_forked_and_open_here() -> None:
    lines = said("""
    def is_open(fd):
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True

    ours, theirs = (os.open(os.devnull, os.O_RDONLY) for _ in range(2))
    forks.close_in_children([ours])
    print(forked(lambda: os._exit(is_open(ours) + 2 * is_open(theirs))))
    print(is_open(ours))
    """)
    assert lines == ["2", "True"]
