"""Consumers of a plain queue, as calls to make: register, take, give back, find those that died. No I/O.

What a consumer holds is in a list of its own until it is settled, so that a killed process loses nothing. Every call is
fenced by the registration and numbered: a repeated or late one changes nothing. `calls` makes the calls.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator
from typing import Any, NamedTuple

from hotqueue import keys, presence
from hotqueue.errors import ConnectionFailed
from hotqueue.runtime.interrupts import within
from hotqueue.store import scripts
from hotqueue.store.scripts import Script
from hotqueue.store.timeouts import LEAST_BLOCK

log = logging.getLogger("hotqueue.queue")

LEASE = 120.0  # seconds after which a consumer whose host we cannot see counts as dead, unless it renews
GRACE = 2.0  # seconds an ended lease must be seen ended: after an outage everybody's has, until they renew
JUMP_GRACE = LEASE / 4 + GRACE  # the same after the server's clock was put: they renew four times a lease, and do not know
SLICE = 1.0  # seconds of one wait, and between two looks for dead consumers
FULL_PAUSE = 0.2  # seconds between looks at the list of a full server, which refuses BLMOVE but can be drained
PACKAGE = "hotqueue.messages.lua"

# What becomes of the message a consumer holds.
NONE = "none"  # it holds none
DONE = "done"
DEAD = "dead"  # cannot be loaded: to dead-messages
BACK = "back"  # to the head of the list
CHARGED = "charged"  # the same, counted; the fifth time to dead-messages


class Call(NamedTuple):
    """One exchange with the store.

    Attributes:
        script: what to run; None for the plain command in `args`.
        blocks: seconds that it may block.
    """

    script: Script | None
    keys: list[str]
    args: list[Any]
    doing: str
    blocks: float = 0


Steps = Generator[Call, Any, Any]  # yields calls, is sent their replies


class Consumer:
    """One registration: its name, its presence on this host, the number of its next turn."""

    def __init__(self, name: str) -> None:
        self._presence = presence.Presence()
        self.id = self._presence.id
        self._pid = os.getpid()
        self._name = name
        self._held = _held(name, self.id)
        self._script = scripts.load(PACKAGE, "turn", "held")
        self._doing = f"consuming {keys.queue(name)}"
        # Number of the next turn and fate of what is held: one tuple, so that Ctrl-C never finds one without the other.
        self._due = (1, NONE)

    @property
    def is_mine(self) -> bool:
        """False in a child forked since: the consumer, and what it holds, are the parent's."""
        return self._pid == os.getpid()

    def enter(self) -> Call:
        """Register."""
        args = [self.id, self._presence.folder, int(LEASE * 1000)]
        return Call(scripts.load(PACKAGE, "enter"), [keys.consumers(self._name), self._held[2]], args, self._doing)

    def turn(self) -> Call:
        """Settle what is held and take the next; repeat it until it is answered, then call `turned`."""
        return Call(self._script, self._held, list(self._due), self._doing)

    def turned(self, got: bool) -> None:
        """Note that the turn was answered; a message it brought goes back unless something better is said of it."""
        self._due = (self._due[0] + 1, BACK if got else NONE)

    def settle(self, fate: str) -> None:
        """Say what becomes of the message in hand, at the next turn or on leaving."""
        self._due = (self._due[0], fate)

    def leave(self) -> Call:
        """Settle or give back what is held, and deregister."""
        found = [*self._held, keys.consumers(self._name)]
        return Call(scripts.load(PACKAGE, "leave", "held"), found, [*self._due, self.id], self._doing)

    def left(self, moved: list[int]) -> None:
        """Note what `leave` answered: nothing is held under this name any more."""
        self._presence.close()
        _report(self._name, moved)

    def abandon(self) -> None:
        """Look dead, because leaving failed: others give back what is held."""
        self._presence.let_go()


class Loop:
    """One consume loop: registers when it must, looks for dead consumers once a second, turns."""

    def __init__(self, name: str, sweep: Sweep) -> None:
        self._name, self._sweep = name, sweep
        self._swept = 0.0
        self._entered = False
        self.consumer = Consumer(name)

    def next(self, block: bool, limit: float | None) -> Steps:
        """Settle the message in hand; return the next one, waited for at most `limit` seconds, or None."""
        raw = yield from self._turn()
        deadline = None if limit is None else time.monotonic() + limit
        while raw is None and block:
            left = SLICE if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            yield awaiting(self._name, left)
            raw = yield from self._turn()
        return raw

    def _turn(self) -> Steps:
        if not self.consumer.is_mine:
            self._begin()
        if not self._entered:
            yield self.consumer.enter()
            self._entered = True
        if time.monotonic() - self._swept >= SLICE:
            yield from self._sweep.steps()
            self._swept = time.monotonic()
        reply = yield self.consumer.turn()
        if isinstance(reply, int):
            log.warning("consumer %s was given up: a message it held may be consumed twice", self.consumer.id)
            self.consumer.left([0, 0])
            self._begin()
            return (yield from self._turn())
        self.consumer.turned(reply is not None)
        return reply

    def _begin(self) -> None:
        self.consumer = Consumer(self._name)
        self._entered = False


class Sweep:
    """Finds consumers that died and gives back what they held; one per queue object and process.

    On the same host a flock tells at once; elsewhere the lease does, and only after it was seen ended for a while.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._folders: dict[str, str] = {}
        self._left: dict[str, tuple[float, int]] = {}  # consumer → when it was last looked at, and how long its lease ran then
        self._over: dict[str, float] = {}  # consumer → when it may be taken for dead, unless it renews

    def steps(self) -> Steps:
        """Look once; return how many messages went back to the list."""
        roster = yield Call(scripts.load(PACKAGE, "roster"), [keys.consumers(self._name)], [], "looking for dead consumers")
        names = [raw.decode(errors="replace") for raw in roster[::2]]
        for gone in set(self._folders).difference(names):
            self._forget(gone)
        back = 0
        for consumer, left in zip(names, roster[1::2], strict=True):
            if consumer not in self._folders:
                key = keys.consumer(self._name, consumer)
                folder = yield Call(None, [key], ["HGET", key, "folder"], "looking for dead consumers")
                self._folders[consumer] = (folder or b"").decode(errors="replace")
            if why := self._verdict(consumer, left):
                moved = yield self._put_back(consumer, why)
                back += self._note(consumer, moved)
        return back

    def _verdict(self, consumer: str, left: int) -> str:
        """Return "dead", "lease" (only its lease says so) or "" for a consumer that may live."""
        alive = presence.is_alive(self._folders.get(consumer, ""), consumer)
        if alive is False:
            return "dead"
        now = time.monotonic()
        seen_at, before = self._left.get(consumer, (now, left))
        self._left[consumer] = (now, left)
        if alive or 0 < left <= LEASE * 1000:
            self._over.pop(consumer, None)
            return ""
        has_jumped = left > LEASE * 1000 or left < before - (now - seen_at + GRACE) * 1000
        over = self._over.setdefault(consumer, now + (JUMP_GRACE if has_jumped else GRACE))
        return "lease" if now >= over else ""

    def _put_back(self, consumer: str, why: str) -> Call:
        found = [*_held(self._name, consumer), keys.consumers(self._name)]
        return Call(scripts.load(PACKAGE, "put_back", "held"), found, [consumer, why], "giving back a dead consumer's message")

    def _note(self, consumer: str, moved: list[int]) -> int:
        presence.forget(self._folders.get(consumer, ""), consumer)
        self._forget(consumer)
        if moved[0]:
            log.warning("consumer %s died; its message is back at the head of %s", consumer, keys.queue(self._name))
        _report(self._name, moved)
        return moved[0]

    def _forget(self, consumer: str) -> None:
        self._folders.pop(consumer, None)
        self._left.pop(consumer, None)
        self._over.pop(consumer, None)


class Outage:
    """Logs one line when the store goes away and one when it is back."""

    def __init__(self, name: str) -> None:
        self._key = keys.queue(name)
        self._since: float | None = None

    @property
    def is_on(self) -> bool:
        """True between a failure and the next answer."""
        return self._since is not None

    def began(self, error: Exception) -> None:
        """Note a failure."""
        if self._since is None:
            self._since = time.monotonic()
            if getattr(error, "retry", True):  # else it is raised
                log.warning("consuming %s is interrupted; it goes on by itself: %s", self._key, error)

    def ended(self) -> None:
        """Note an answer."""
        if self._since is not None:
            log.info("consuming %s goes on after %.1f s", self._key, time.monotonic() - self._since)
            self._since = None


def awaiting(name: str, seconds: float) -> Call:
    """Wait for a message without taking it: moving the head to the head changes nothing, so it may be lost or repeated.

    BLMOVE into the consumer's own list would save a trip, but comes too late when the consumer was given up meanwhile,
    or was killed with the command still in the socket: its message would be where nobody looks.
    """
    key, slice_ = keys.queue(name), min(max(within(seconds), LEAST_BLOCK), SLICE)
    return Call(None, [key], ["BLMOVE", key, key, "LEFT", "LEFT", slice_], f"waiting for {key}", slice_)


def is_slow(error: ConnectionFailed) -> bool:
    """Tell whether a call that was given up may be tried for as long again: it was taken, and the answer did not come in time.

    A server under load, or on a disk that stalls, is not one that is away; and each of our calls may be repeated.
    """
    return error.sent and error.retry


def log_dead(name: str, error: Exception) -> None:
    """Log that a message which cannot be loaded goes to dead-messages."""
    log.error("%s; it goes to %s", error, keys.dead_messages(name))


def _held(name: str, consumer: str) -> list[str]:
    return [
        keys.queue(name),
        keys.consuming(name, consumer),
        keys.consumer(name, consumer),
        keys.came_back(name),
        keys.dead_messages(name),
    ]


def _report(name: str, moved: list[int]) -> None:
    if moved[1]:
        dead = keys.dead_messages(name)
        log.error("a message of %s whose consumers died or raised 5 times is now in %s", keys.queue(name), dead)
