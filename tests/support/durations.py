"""Time that passes on purpose. What waits for something, or for nothing to happen, uses tests.support.waiting instead.

`take_time` and `atake_time` are for code under test: tasks, what they pickle, modules that load slowly.
`let_pass` and `alet_pass` are for the rig around it: a pace, a delay of the network, a time over which something is measured.
tests/support/test_sleeps.py tells where each may be.
"""

from __future__ import annotations

import asyncio
import time


def take_time(seconds: float) -> None:
    """Be code under test that takes so long."""
    time.sleep(seconds)


async def atake_time(seconds: float) -> None:
    """Be a coroutine under test that takes so long."""
    await asyncio.sleep(seconds)


def let_pass(seconds: float) -> None:
    """Let time pass, if it is more than none."""
    time.sleep(max(0.0, seconds))


async def alet_pass(seconds: float) -> None:
    """Let time pass while others of this loop run."""
    await asyncio.sleep(seconds)
