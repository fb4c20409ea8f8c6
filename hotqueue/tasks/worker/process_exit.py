"""How a worker process ends in good order, as a Python program does: waits for threads, runs what `atexit` has.

A worker process is forked, and ends by `os._exit`, so that nothing of its supervisor runs twice; what the user's modules and
tasks have registered is run here. How long that may take is for the supervisor to bound; a killed process runs none of it.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import sys
import threading
import weakref
from typing import Any

log = logging.getLogger("hotqueue.worker")


def forget_inherited() -> None:
    """Forget what was registered before the fork: it is the supervisor's to run. In a child, before user code is imported."""
    importlib.import_module("hotqueue.embedded.server")  # registers its own now, and not after this: see `Hold`
    for each in list(getattr(weakref.finalize, "_registry", ())):
        each.atexit = False
    atexit._clear()
    # Python registers these two once in a process's life, and user code may need them here.
    if getattr(weakref.finalize, "_registered_with_atexit", False):
        atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        atexit.register(util._exit_function)


def run() -> None:
    """Wait for threads that are no daemons and for executors, then run what `atexit` has, the last registered first.

    What raises is logged, and the rest goes on. As at the end of any Python program.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException:
        log.exception("waiting for threads at the exit of a process failed")
    before, sys.unraisablehook = sys.unraisablehook, _log_failure
    try:
        atexit._run_exitfuncs()
    finally:
        sys.unraisablehook = before


def _log_failure(failure: Any) -> None:
    """Log what an exit function raised: Python has no other way out for it."""
    said = (failure.err_msg or "").removeprefix("Exception ignored in atexit callback ")  # where Python 3.13 names it
    what = getattr(failure.object, "__qualname__", None) or failure.object or said
    log.error("%s, which was to run at the exit of a process, failed", what, exc_info=failure.exc_value)
