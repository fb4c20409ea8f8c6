"""What a task leaves in its process is put right, and said once; in tasks: tests/crash/test_left_behind.py."""

from __future__ import annotations

from textwrap import dedent

from tests.support.processes import run_python

HEAD = """
import logging, os, signal, sys
from hotqueue.tasks.execution import forks
from hotqueue.tasks.execution.repairs import Repairs

logging.basicConfig(format="%(message)s")
pipe = os.pipe()
forks.leave_signals_to_supervisor()
repairs = Repairs(pipe)
"""


def said(code: str) -> tuple[list[str], list[str]]:
    """Return what was printed after `code`, and what was logged."""
    done = run_python(HEAD + dedent(code))
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_nothing_to_put_right_is_nothing_to_say() -> None:
    assert said("repairs.after_task('a'); print(repairs.between_tasks())") == (["True"], [])


def test_an_alarm_with_a_handler_is_switched_off_after_the_task_and_said_once() -> None:
    printed, logged = said("""
    for _ in range(2):
        signal.signal(signal.SIGALRM, lambda *_: print("rang"))
        signal.setitimer(signal.ITIMER_REAL, 60)
        repairs.after_task("my.task")
        print(signal.getitimer(signal.ITIMER_REAL))
    """)
    assert printed == ["(0.0, 0.0)"] * 2
    assert logged == ["my.task ended and left an alarm on (signal.alarm or setitimer); it was switched off"]


def test_an_alarm_that_nobody_handles_ends_no_process() -> None:
    printed, logged = said("""
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    while signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0):
        pass
    print(repairs.between_tasks())
    """)
    assert printed == ["True"]
    assert logged == ["SIGALRM rang and no task handles it (one that has ended left it on); it was switched off"]


def test_signals_of_the_supervisor_are_taken_back() -> None:
    printed, logged = said("""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(repairs.between_tasks(), signal.getsignal(signal.SIGTERM) is forks.leave_to_supervisor)
    """)
    assert printed == ["True True"]
    assert logged == ["a task took SIGTERM, which is the supervisor's in a worker process; it was taken back"]


def test_blocked_signals_are_let_through_again() -> None:
    printed, logged = said("""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    print(repairs.between_tasks(), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    """)
    assert printed == ["True set()"]
    assert logged == ["a task left signals blocked, or unblocked (pthread_sigmask); it was undone"]


def test_a_standard_stream_that_was_closed_is_open_again() -> None:
    printed, logged = said("""
    os.close(0)
    whole = repairs.between_tasks()
    print(whole, os.fstat(0).st_rdev == os.stat(os.devnull).st_rdev)
    """)
    assert printed == ["True True"]
    assert logged == ["a task closed a standard stream; what is written there is lost from now on"]


def test_descriptors_of_ours_that_were_closed_are_noticed_also_where_their_numbers_are_taken() -> None:
    printed, _ = said("""
    number = pipe[0]
    os.close(number)
    print(repairs.are_files_whole())
    print(os.open(os.devnull, os.O_RDONLY) == number, repairs.are_files_whole())
    """)
    assert printed == ["False", "True False"]


def test_numbers_that_may_be_of_ours_are_given_to_nobody_else() -> None:
    printed, _ = said("""
    os.closerange(3, 20)
    repairs.fill_holes()
    print(os.open(os.devnull, os.O_RDONLY) >= 20)
    """)
    assert printed == ["True"]
