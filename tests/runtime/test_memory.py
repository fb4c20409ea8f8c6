"""How much memory a process takes, by its own account."""

from __future__ import annotations

from hotqueue.runtime.memory import resident_bytes

MB = 1 << 20


def test_what_is_taken_and_written_to_counts() -> None:
    before = resident_bytes()
    assert MB < before < 1 << 40
    taken = bytearray(64 * MB)
    taken[::1024] = b"x" * (64 * 1024)  # each page is there once it was written to
    assert resident_bytes() > before + 32 * MB
