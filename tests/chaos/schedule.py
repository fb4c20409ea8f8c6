"""The schedule of faults: pure, and the same for the same seed, length and kind of server."""

from __future__ import annotations

import random
from dataclasses import dataclass

OTHER = "freeze the other server"  # the one of the queue beside, which the same workers serve
# How often each fault is drawn, beside the others.
WEIGHTS = {
    "kill a process": 6,  # a child of a supervisor
    "kill a supervisor": 3,
    "kill a whole worker": 3,
    "pause a worker": 4,  # SIGSTOP for longer than the lease, then SIGCONT
    "cut connections": 4,
    "poison": 2,  # a task that kills its process
    "rolling restart": 1,
    "hang up": 2,  # SIGHUP to a supervisor, which replaces its processes
    OTHER: 2,
}
# Both for longer than a call waits, so that its outcome is unknown: away, it was rarely stored; frozen, it is stored afterwards.
AWAY, FROZEN = "keep the server away", "freeze the server"
LONG = {AWAY, FROZEN}
SERVER_WEIGHTS = {
    "embedded": {"kill the server": 4, "restart the server": 4, FROZEN: 1},
    "server": {"kill the server": 4, "restart the server": 4, AWAY: 1, FROZEN: 1},
    "cluster": {"kill the server": 4, "restart the server": 4, AWAY: 1, FROZEN: 1},
    "sentinel": {"failover": 8},
}
# Seconds to the next one of this group.
GAP = {"kill the server": 5.0, "restart the server": 5.0, AWAY: 12.0, FROZEN: 12.0, "failover": 13.0}
LASTS = {
    "pause a worker": (2.5, 5.0),
    "kill the server": (0.0, 1.5),
    "restart the server": (0.0, 1.5),
    AWAY: (6.0, 7.5),
    FROZEN: (6.0, 7.5),
    "rolling restart": (3.0, 3.0),
    OTHER: (3.0, 9.0),
}
FIRST = 1.0  # seconds
SHORT = 45.0  # seconds: a run shorter than that has no time for `LONG`
UPGRADE, TAKE_UP = "upgrade a worker", "take the queues up"  # to the next version, and to the schema that it has
MIXED = 0.3, 0.6  # the shares of a run at which the first and the last worker are replaced by one of the next wire version


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


def plan(seed: int, seconds: float, server: str, pace: float = 1.5, workers: int = 3) -> list[Blow]:
    """Return the faults of a run: first one of each kind in some order, then as they are drawn; upgrades besides.

    Args:
        pace: seconds from one to the next, on average.
    """
    dice = random.Random(f"{seed} {seconds:g} {server}")
    weights = {
        kind: weight for kind, weight in {**WEIGHTS, **SERVER_WEIGHTS[server]}.items() if kind not in LONG or seconds >= SHORT
    }
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
    return sorted([*blows, *_upgrades(seconds, workers)], key=lambda blow: blow.at)


def _upgrades(seconds: float, workers: int) -> list[Blow]:
    first, last = MIXED
    step = (last - first) / max(1, workers - 1)
    up = Blow(round(seconds * (first + last) / 2 + 0.001, 3), TAKE_UP, 0.5, 0.4)  # while some workers are of today's version
    return [up] + [Blow(round(seconds * (first + n * step), 3), UPGRADE, (n + 0.5) / workers, 0.0) for n in range(workers)]
