"""Permits in memory; that they do what a pipe of them does is in test_start_permits.py."""

from __future__ import annotations

import os

from hotqueue.tasks.worker.permits_here import PermitsHere


def test_they_take_no_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))
    permits = [PermitsHere() for _ in range(10)]
    assert len(os.listdir("/proc/self/fd")) == before
    permits[0].add(1, 100_000)  # more than a pipe holds
    assert permits[0].drain().total() == 100_000
