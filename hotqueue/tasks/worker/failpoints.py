"""Failpoints: make a worker process die, stop or wait at a named point, to prove what happens then.

Off unless asked for: ``HOTQUEUE_FAULT=point:action[:file]`` in the environment; action is a signal's name (KILL, SEGV, STOP) or
``exit``. With a file, only whoever can remove that file obeys: so a test decides how often.
"""

from __future__ import annotations

import os
import signal

POINTS = ("after_fetch", "before_start", "after_run", "before_settle", "after_settle")
OF_RELAYS = ("before_relay", "relay_read", "relay_received", "relay_struck", "relay_told")
OF_STREAMS = ("before_add", "after_add")
OF_SUPERVISORS = ("before_fire", "after_post", "after_fire", "before_declare", "after_declare")

_point, _action, _token = [*os.environ.get("HOTQUEUE_FAULT", "").split(":", 2), "", "", ""][:3]
IS_ARMED = bool(_point)


def at(point: str) -> None:
    """Pass a point."""
    if point != _point:
        return
    if _token:
        try:
            os.unlink(_token)
        except FileNotFoundError:
            return
    if _action == "exit":
        os._exit(0)
    os.kill(os.getpid(), getattr(signal, f"SIG{_action}"))
