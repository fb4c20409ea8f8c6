"""The schedule of faults: pure, and the same for the same seed, length and kind of server."""

from __future__ import annotations

import random
from dataclasses import dataclass

# How often each fault is drawn, beside the others.
WEIGHTS = {
    "kill a process": 6,  # a child of a supervisor
    "kill a supervisor": 2,
    "kill a whole worker": 3,
    "pause a worker": 2,  # SIGSTOP for longer than the lease, then SIGCONT
    "cut connections": 3,
    "poison": 2,  # a task that kills its process
    "rolling restart": 1,
}
SERVER_WEIGHTS = {
    "embedded": {"kill the server": 2, "restart the server": 1},
    "server": {"kill the server": 2, "restart the server": 1, "keep the server away": 1},
    "cluster": {"kill the server": 2, "restart the server": 1, "keep the server away": 1},
    "sentinel": {"failover": 3},
}
LONG = "keep the server away"  # for longer than a call waits, so that its outcome is unknown
GAP = {"kill the server": 5.0, "restart the server": 5.0, LONG: 12.0, "failover": 16.0}  # seconds to the next one of this group
LASTS = {
    "pause a worker": (2.5, 5.0),
    "kill the server": (0.0, 1.5),
    "restart the server": (0.0, 1.5),
    LONG: (6.0, 7.5),
    "rolling restart": (3.0, 3.0),
}
FIRST = 1.0  # seconds
SHORT = 45.0  # seconds: a run shorter than that has no time for `LONG`


@dataclass(frozen=True)
class Blow:
    """One fault.

    Attributes:
        at: seconds after the beginning.
        aim: in [0, 1): whom it hits, of those that are there.
        lasts: seconds until it is undone, for what can be.
    """

    at: float
    kind: str
    aim: float
    lasts: float


def plan(seed: int, seconds: float, server: str, pace: float = 1.5) -> list[Blow]:
    """Return the faults of a run: first one of each kind in some order, then as they are drawn.

    Args:
        pace: seconds from one to the next, on average.
    """
    dice = random.Random(f"{seed} {seconds:g} {server}")
    weights = {kind: weight for kind, weight in {**WEIGHTS, **SERVER_WEIGHTS[server]}.items() if kind != LONG or seconds >= SHORT}
    first = sorted(weights)
    dice.shuffle(first)
    blows: list[Blow] = []
    at, server_free = FIRST, FIRST
    while at < seconds:
        waiting = [kind for kind in first if kind not in GAP or at >= server_free]
        kind = waiting[0] if waiting else dice.choices(list(weights), list(weights.values()))[0]
        if kind in GAP and at < server_free:
            continue
        if kind in first:
            first.remove(kind)
        blows.append(Blow(round(at, 3), kind, round(dice.random(), 6), round(dice.uniform(*LASTS.get(kind, (0.0, 0.0))), 3)))
        if kind in GAP:
            server_free = at + GAP[kind]
        at += dice.uniform(0.5 * pace, 1.5 * pace)
    return blows
