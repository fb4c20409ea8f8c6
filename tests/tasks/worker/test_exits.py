"""What runs at the end of a worker process: what was registered there, and not what the supervisor had registered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHILD = """
import atexit, threading, time
from hotqueue.tasks.worker import exits

atexit.register(print, "the supervisor's")
exits.forget_inherited()
atexit.register(print, "last")

@atexit.register
def broken() -> None:
    raise ValueError("of the user's")

atexit.register(print, "first")
go_on = threading.Event()
threading.Thread(target=lambda: (go_on.wait(20), print("thread"))).start()
threading.Timer(0.05, go_on.set).start()
exits.run()
"""


def test_threads_end_first_then_what_was_registered_last_and_an_error_stops_nothing() -> None:
    env = {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", CHILD], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["thread", "first", "last"]
    assert "which was to run at the exit of a process, failed" in done.stderr
    assert "of the user's" in done.stderr
