"""The gates of a queue: what bounds how many of its tasks run or start, how full each is, who waits there. Reads only.

Some hundred gates and lanes are looked at, in a few trips, however many tasks wait.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.monitor.row import moment_of
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules import gates as rules

NAMES = 200  # gates and lanes that are looked at
LANES = 10  # lanes of a gate that are shown
HOLDERS = 10
_RATE, _TURN, _AT_A_TIME = (
    re.compile(r"r([0-9]{1,15}) ([kt]:.*)", re.DOTALL),
    re.compile(r"f([sa])([0-9]{1,3})"),
    re.compile(r"[kt]:.*", re.DOTALL),
)
_LOG = (
    struct.Struct(">I"),
    struct.Struct(">HII"),
)  # how many count; a moment in ms (two parts) and how many: see lua/shared/rates.lua


@dataclass(frozen=True)
class Lane:
    """Tasks with the same gates that wait.

    Attributes:
        keys: what they count under, as people know it.
        waiting: how many wait in it.
        first: the id of the one that goes next.
    """

    keys: str
    waiting: int
    first: str = ""


@dataclass
class Gate:
    """A gate.

    Attributes:
        what: "c" so many at a time, "r" a rate, "f" keys take turns, "p" a paused key.
        key: "task shop.mail", or the key as it was made.
        raw_key: what `pause` takes as a key; "" where it is no key.
        limit, used: how many may, and how many do; of a rate: in `period` ms. 0 where that is not known.
        opens: when a rate lets the next one start, where it is full.
        lanes: of the tasks that wait there, the first ones; `lane_count` of how many.
        waiting: how many tasks wait in those lanes.
        holders: ids of some tasks that have a slot.
        since: when it was paused.
    """

    queue: str
    what: str
    key: str
    raw_key: str = ""
    limit: int = 0
    period: int = 0
    used: int = 0
    opens: datetime | None = None
    lanes: list[Lane] = field(default_factory=list)
    lane_count: int = 0
    waiting: int = 0
    holders: list[str] = field(default_factory=list)
    since: datetime | None = None

    @property
    def says(self) -> str:
        """What it lets through, in words."""
        if self.what == "p":
            return "paused"
        if self.what == "f":
            return "keys take turns"
        if self.what == "c":
            return f"{self.limit or '?'} at a time"
        return f"{self.limit or '?'} per {_PERIODS.get(self.period) or f'{self.period / 1000:g} s'}"

    @property
    def is_shut(self) -> bool:
        """Nobody gets through now."""
        return self.what == "p" or bool(self.what != "f" and self.limit and self.used >= self.limit)


_PERIODS = {1000: "second", 60_000: "minute", 3_600_000: "hour", 86_400_000: "day"}


@dataclass
class Gates:
    """The gates of one queue.

    Attributes:
        blocked: how many tasks wait at any of them.
        is_cut: there are more than were looked at.
    """

    queue: str
    gates: list[Gate] = field(default_factory=list)
    blocked: int = 0
    is_cut: bool = False


def with_gates(store: Store, names: Sequence[str]) -> list[str]:
    """Return those of some queues that have gates at which something stands, or paused keys."""
    asked = [("EXISTS", keys.lanes(name), keys.paused_keys(name)) for name in names]
    doing = "looking which queues have gates"
    if store.is_cluster:
        replies = [store.repeat(partial(store.command, each[1], *each, doing=doing)) for each in asked]
    else:
        replies = store.repeat(partial(pipeline.ask_all, store, asked, doing)) if asked else []
    return [name for name, reply in zip(names, replies, strict=True) if reply != 0]


def look(store: Store, queue: str) -> Gates:
    """Return the gates of a queue, those with most waiting first."""
    broker = Broker(store, queue)
    broker.check_schema()
    names, is_cut = _names(broker)
    paused = broker.paused_keys()
    found = {name: gate for name in names if (gate := _gate(queue, name)) is not None}
    for key, since in paused.items():
        found.setdefault(f"pk:{key}", Gate(queue, "p", repr(key), key)).since = moment_of(since)
    _fill(broker, found)
    blocked = _ask(broker, [("SCARD", keys.blocked(queue))])[0]
    shown = [gate for gate in found.values() if gate.lane_count or gate.used or gate.what == "p"]
    shown.sort(key=lambda gate: (-gate.waiting, gate.what != "p", gate.key))
    return Gates(queue, shown, blocked if isinstance(blocked, int) else 0, is_cut)


def raw_keys(store: Store, queue: str) -> list[str]:
    """Return the keys of a queue that are paused, or at which tasks wait: what `pause` and `resume` take."""
    broker = Broker(store, queue)
    gates = [_gate(queue, name) for name in _names(broker)[0]]
    return sorted({*broker.paused_keys(), *(gate.raw_key for gate in gates if gate is not None and gate.raw_key)})


def _names(broker: Broker) -> tuple[list[str], bool]:
    key, cursor, found = keys.lanes(broker.name), b"0", dict[str, None]()
    while True:
        ask = partial(broker.store.command, key, "SSCAN", key, cursor, "COUNT", NAMES)
        cursor, some = broker.store.repeat(ask)
        found |= dict.fromkeys(map(keys.text, some))
        if cursor in (b"0", 0) or len(found) >= NAMES:
            return list(found)[:NAMES], cursor not in (b"0", 0) or len(found) > NAMES


def _gate(queue: str, name: str) -> Gate | None:
    """Return the gate of a name; None where that is one of a lane alone."""
    if "\n" in name:
        return None
    if rate := _RATE.fullmatch(name):
        return Gate(queue, "r", rules.shown(rate[2]), rules.said(rate[2]) or "", period=int(rate[1]))
    if turn := _TURN.fullmatch(name):
        priority = int(turn[2]) - 100
        return Gate(
            queue, "f", f"{'async' if turn[1] == 'a' else 'sync'} tasks{f' of priority {priority}' * bool(priority)}", limit=1
        )
    if name.startswith("p") and _AT_A_TIME.fullmatch(name[1:]):
        return Gate(queue, "p", rules.shown(name[1:]), rules.said(name[1:]) or "")
    return Gate(queue, "c", rules.shown(name), rules.said(name) or "") if _AT_A_TIME.fullmatch(name) else None


def _ask(broker: Broker, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the replies to some commands; what a key of the wrong type answers is nothing."""
    if not asked:
        return []
    replies = broker.store.repeat(partial(pipeline.ask_all, broker.store, asked, "looking at gates"))
    return [None if isinstance(reply, Exception) else reply for reply in replies]


def _fill(broker: Broker, found: dict[str, Gate]) -> None:
    """Look at the gates, and at the lanes that wait at them."""
    n, asked = broker.name, list[tuple[Any, ...]]()
    for name in found:
        asked += [("ZCARD", keys.turns(n, name)), ("ZRANGE", keys.turns(n, name), 0, LANES - 1)]
        asked += [("SCARD", keys.slots(n, name)), ("SRANDMEMBER", keys.slots(n, name), HOLDERS), ("GET", keys.starts(n, name))]
    replies = _ask(broker, asked)
    lanes: dict[str, list[str]] = {}
    logs: dict[str, bytes] = {}
    for at, (name, gate) in enumerate(found.items()):
        count, waiting, used, holders, log = replies[5 * at : 5 * at + 5]
        gate.lane_count, gate.used = count or 0, used or 0
        lanes[name], gate.holders = [keys.text(each) for each in waiting or ()], [keys.text(each) for each in holders or ()]
        logs[name] = log or b""
    _fill_lanes(broker, found, lanes)
    _fill_limits(broker, found, logs)


def _fill_lanes(broker: Broker, found: dict[str, Gate], lanes: dict[str, list[str]]) -> None:
    n, asked = broker.name, list[tuple[Any, ...]]()
    pairs = [(name, lane) for name, some in lanes.items() for lane in some]
    for _, lane in pairs:
        asked += [("ZCARD", keys.lane(n, lane)), ("ZRANGE", keys.lane(n, lane), 0, 0)]
    replies = _ask(broker, asked)
    for at, (name, lane) in enumerate(pairs):
        count, first = replies[2 * at], replies[2 * at + 1]
        shown = Lane(_shown(lane), count or 0, keys.text(first[0]) if first else "")
        found[name].lanes.append(shown)
        found[name].waiting += shown.waiting


def _shown(lane: str) -> str:
    """Return the keys of a lane as people know them."""
    found = [re.sub(r"^(?:r\d+ |f[sa]\d+ )", "", part) for part in lane.split("\n")]
    return ", ".join(dict.fromkeys(rules.shown(key) for key in found))


def _fill_limits(broker: Broker, found: dict[str, Gate], logs: dict[str, bytes]) -> None:
    """Read limits in the gates of a task that has a slot there, or waits; and what of a rate counts now."""
    witnesses = {}
    for name, gate in found.items():
        ids = [*gate.holders[:1], *(lane.first for lane in gate.lanes[:1] if lane.first)]
        if ids:
            witnesses[name] = ids[0]
    gated = keys.gated(broker.name)
    replies = _ask(broker, [("HGET", gated, task_id) for task_id in witnesses.values()])
    seconds, micros = broker.store.repeat(partial(broker.store.command, gated, "TIME"))
    now = int(seconds) * 1000 + int(micros) // 1000
    for name, text in zip(witnesses, replies, strict=True):
        _take_limit(found[name], name, text)
    for name, gate in found.items():
        if gate.what == "r":
            _take_log(gate, logs[name], now)


def _take_limit(gate: Gate, name: str, text: bytes | None) -> None:
    for line in keys.text(text or b"")[1:].split("\n"):
        bound, _, key = line.partition(" ")
        if gate.what == "c" and bound[:1] == "c" and key == name:
            gate.limit = _number(bound[1:])
        elif gate.what == "r" and bound[:1] == "r" and f"r{bound.partition('/')[2]} {key}" == name:
            gate.limit = _number(bound[1:].partition("/")[0])


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0


def _take_log(gate: Gate, log: bytes, now: int) -> None:
    """Take in what has started and still counts."""
    count_of, entry_of = _LOG
    window = gate.period + min(rules.LATEST, gate.period // rules.LATE_PART)
    if len(log) < count_of.size + entry_of.size or (len(log) - count_of.size) % entry_of.size:
        return
    used, first = count_of.unpack_from(log)[0], 0
    for high, low, number in entry_of.iter_unpack(log[count_of.size :]):
        at = (high << 32) + low
        if at + window > now:
            first = at
            break
        used -= number
    gate.used += max(0, used) if first else 0
    if gate.limit and gate.used >= gate.limit and first:
        gate.opens = moment_of(first + window)
