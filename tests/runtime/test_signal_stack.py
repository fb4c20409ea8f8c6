"""Signals that come together are handled one within the other, on a stack that has room for all of them."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.support.processes import run_python

CODE = """
import faulthandler, os, signal, sys
from hotqueue.runtime import signal_stack

never = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)  # the last takes others back
numbers = [n for n in signal.valid_signals() if n not in never]
handled = []
for number in numbers:
    if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, signal.SIG_IGN):
        signal.signal(number, lambda number, frame: handled.append(number))
numbers = [n for n in numbers if callable(signal.getsignal(n))]
if sys.argv[1] == "with faulthandler":
    faulthandler.enable(2)
    numbers = [n for n in numbers if n not in (signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)]
signal_stack.enlarge()
for _ in range(100):
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    rubbish = [{n: [n]} for n in range(100)]
signal_stack.enlarge()
print(len(handled) == 100 * len(numbers), len(numbers) > 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what else has such stacks?")
@pytest.mark.parametrize("how", ["with faulthandler", "without"])
def test_all_signals_fit(how: str) -> None:
    assert run_python(CODE, how).stdout.split() == ["True", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="what else has such stacks?")
def test_a_crash_is_still_told() -> None:
    code = (
        "import ctypes, faulthandler; from hotqueue.runtime import signal_stack; faulthandler.enable(2); signal_stack.enlarge()"
    )
    done = run_python(f"{code}; ctypes.string_at(0)", check=False)
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr
