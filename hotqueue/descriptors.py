"""Numbers of open files: running out of them, and the three that belong to the standard streams. Knows no store.

A program that was started with 0, 1 or 2 closed gives these numbers to whatever it opens first, and what is printed then
goes into a socket or a lock file. So commands open them before anything else, and locks never have them.
"""

from __future__ import annotations

import errno
import os
import sys

STANDARD = (0, 1, 2)


def shortage(error: BaseException, *, probe: bool = False) -> str:
    """Return what to say where an error came of too many open files; else an empty text.

    Args:
        probe: open one to see, for errors that do not tell their cause, such as that of a name that cannot be looked up.
    """
    number = _number_of(error) or (_probe() if probe else 0)
    if number == errno.EMFILE:
        return f"this process has too many open files (limit {_limit()}: ulimit -n)"
    return "this system has too many open files (fs.file-max)" if number == errno.ENFILE else ""


def _number_of(error: BaseException | None) -> int:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return error.errno
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return 0


def _probe() -> int:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return _number_of(error)
    return 0


def _limit() -> str:
    try:
        import resource
    except ImportError:
        return "unknown"
    return str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def above_standard(fd: int) -> int:
    """Return a descriptor of the same file that is none of 0, 1 and 2; the one given is closed if it was."""
    if fd > max(STANDARD):
        return fd
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(STANDARD) + 1)
    finally:
        os.close(fd)


def open_standard_streams() -> None:
    """Open on /dev/null what is closed of 0, 1 and 2, and give `sys` the streams that Python did not make of them."""
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
    for number, name, mode in zip(STANDARD, ("stdin", "stdout", "stderr"), "rww", strict=True):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115


def flush_standard_streams() -> None:
    """Flush what was printed, as far as somebody takes it; what nobody takes fails nowhere else, least of all at exit."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, full or broken; closed by a task; None
            discard(number)


def discard(number: int) -> None:
    """Have what is written to a descriptor go nowhere."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
    except OSError:
        pass
