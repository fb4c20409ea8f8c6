"""The stack on which the main thread of a process handles signals, where faulthandler has given it one.

Python's own handlers run there as well, and signals that come together are handled one within the other: five of them, 3.4 KB
each on a processor with AVX-512, do not fit into the 11.5 KB that faulthandler takes, and overwrite what lies below in the heap.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import sys

SIZE = 256 * 1024  # bytes: each signal once, 11 KB each where a processor has AMX; what is not used is not there

_stack: mmap.mmap | None = None  # for as long as the process lives


class _Stack(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))  # as Linux has it


def enlarge() -> None:
    """Give this thread a stack with room for all signals at once, if faulthandler has given it one. In the main thread."""
    global _stack
    if not (sys.platform == "linux" and faulthandler.is_enabled()):
        return
    if _stack is None:
        _stack = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(_stack))
    ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(start, 0, SIZE)), None)
