"""Signals of a supervisor: each is noted once, and wakes the loop, as does a job in the background that has ended."""

from __future__ import annotations

from tests.support import processes

CODE = """
import os, signal, threading
from hotqueue.tasks.supervisor.signals import Signals
from hotqueue.runtime.wake_pipe import readable

signals = Signals()
signals.listen()
assert readable([signals.fileno()], 0) == []
for number in (signal.SIGTERM, signal.SIGUSR1):
    os.kill(os.getpid(), number)
assert readable([signals.fileno()], 10) == [signals.fileno()]
signals.clear()
assert readable([signals.fileno()], 0) == []
print([signal.Signals(number).name for number in signals.noted()], list(signals.noted()))
thread = threading.Thread(target=signals.wake)
thread.start()
assert readable([signals.fileno()], 10) == [signals.fileno()]
thread.join()
for _ in range(100_000):
    signals.wake()  # full, it does not block
print(list(signals.noted()))
"""


def test_signals_are_noted_once_and_wake_the_loop() -> None:
    assert processes.run_python(CODE).stdout == "['SIGTERM', 'SIGUSR1'] []\n[]\n"


def test_a_hangup_that_nohup_has_ignored_stays_ignored() -> None:
    code = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from hotqueue.tasks.supervisor.signals import Signals
signals = Signals()
signals.listen()
os.kill(os.getpid(), signal.SIGHUP)
print(list(signals.noted()), signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
"""
    assert processes.run_python(code).stdout == "[] True\n"
