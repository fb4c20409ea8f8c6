"""Numbers of open files: running out of them, and the three that belong to the standard streams. Knows no store.

A program that was started with 0, 1 or 2 closed gives these numbers to whatever it opens first, and what is printed then
goes into a socket or a lock file. So commands open them before anything else, and locks never have them.
"""

from __future__ import annotations

import errno
import os
import select
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


def fill_standard() -> bool:
    """Open on /dev/null what is closed of 0, 1 and 2; tell whether anything was."""
    found = False
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            found = True
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
    return found


def open_standard_streams() -> None:
    """Do that, and give `sys` the streams that Python did not make of them."""
    fill_standard()
    for number, name, mode in zip(STANDARD, ("stdin", "stdout", "stderr"), "rww", strict=True):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115


def discard(number: int) -> None:
    """Have what is written to a descriptor go nowhere."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
    except OSError:
        pass


def has_terminal() -> bool:
    """Tell whether this process has a controlling terminal, whose end would be its own."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class Lines:
    """Writes lines to a descriptor, past every buffer: none is lost with the process, or written twice after a fork.

    Nobody has to take them: closed, full and broken files are passed over, and whoever reads a pipe too slowly, or has stopped
    a terminal, is waited for once.
    """

    PATIENCE = 1.0  # seconds
    AT_ONCE = 4096  # bytes that a pipe with any room takes without blocking

    def __init__(self, number: int) -> None:
        self._number = number
        self._lost = 0

    def write(self, line: bytes) -> None:
        """Write a line, if somebody takes it."""
        if self._lost:
            line = b"(%d lines before this one were lost: nobody took them)\n" % self._lost + line
        try:
            self._write(line, 0.0 if self._lost else self.PATIENCE)
            self._lost = 0
        except OSError:
            self._lost += 1

    def _write(self, data: bytes, patience: float) -> None:
        while data:
            if not _is_writable(self._number, patience):
                raise TimeoutError
            data = data[os.write(self._number, data[: self.AT_ONCE]) :]


def _is_writable(number: int, seconds: float) -> bool:
    """Wait until somebody takes what is written, or nobody can any more; unlike select(), which refuses numbers from 1,024 on."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([], [number], [], seconds)[1])
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
