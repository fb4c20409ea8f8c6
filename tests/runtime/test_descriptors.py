"""Too many open files are told as such; 0, 1 and 2 stay the standard streams; a line is written or counted as lost."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from hotqueue.runtime import descriptors
from tests.support.processes import run_python

posix = pytest.mark.skipif(os.name == "nt", reason="descriptors of POSIX")


@posix
def test_too_many_open_files_is_found_beneath_other_errors() -> None:
    error = ConnectionError("no server")
    error.__cause__ = ValueError("a loop")
    error.__cause__.__context__ = error
    assert descriptors.shortage(error) == ""
    error.__cause__ = OSError(errno.EMFILE, "too many")
    assert "this process has too many open files (limit " in descriptors.shortage(error)
    assert descriptors.shortage(OSError(errno.ENFILE, "too many")) == "this system has too many open files (fs.file-max)"
    assert descriptors.shortage(OSError(errno.ENOENT, "no such file"), probe=True) == ""


@posix
def test_a_probe_finds_what_the_error_does_not_tell() -> None:
    code = """
import os, resource
from hotqueue.runtime import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
while True:
    try: os.open(os.devnull, os.O_RDONLY)
    except OSError: break
error = OSError("the name cannot be looked up")
print(repr(descriptors.shortage(error)), descriptors.shortage(error, probe=True))
"""
    assert run_python(code).stdout == "'' this process has too many open files (limit 64: ulimit -n)\n"


@posix
def test_closed_standard_streams_are_opened_and_nothing_else_gets_their_numbers() -> None:
    code = """
import os, sys
from hotqueue.runtime import descriptors
kept = os.dup(1)
for number in descriptors.STANDARD: os.close(number)
sys.stdin = None
low = os.open(os.devnull, os.O_RDONLY)
high = descriptors.above_standard(low)
filled = descriptors.fill_standard(), descriptors.fill_standard()
descriptors.open_standard_streams()
os.write(kept, repr((low, high > 2, filled, sys.stdin.read())).encode())
"""
    assert run_python(code).stdout == "(0, True, (True, False), '')"


@posix
def test_lines_that_nobody_takes_are_counted_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors.Lines, "PATIENCE", 0.01)
    reading, writing = os.pipe()
    lines, full = descriptors.Lines(writing), b"x" * (1 << 20)
    try:
        lines.write(full)
        lines.write(b"lost too\n")
        while len(taken := os.read(reading, 1 << 20)) == 1 << 20:
            pass
        lines.write(b"here\n")
        assert set(taken) == set(b"x")
        assert os.read(reading, 100) == b"(2 lines before this one were lost: nobody took them)\nhere\n"
    finally:
        os.close(reading)
        os.close(writing)


@posix
def test_what_is_written_to_a_discarded_descriptor_goes_nowhere() -> None:
    code = "import os; from hotqueue.runtime import descriptors; print(1, flush=True); descriptors.discard(1); os.write(1, b'2')"
    assert run_python(code).stdout == "1\n"
    assert sys.stdout is not None
