"""Many queues at once, and the server: what is in each, read in pipelines: a thousand cost a few trips. Reads only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.broker.pausing import QUEUE, read_paused
from hotqueue.tasks.broker.stored_queue import whole


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """How one queue is.

    Attributes:
        messages: raw messages that wait.
        unfinished: tasks that have not ended.
        ready: tasks that wait for nothing but a worker; with the suspects, which wait for one in quarantine.
        blocked: tasks at a gate, or in lanes.
        steps: tasks behind other steps of their workflow.
        is_newer: its tasks have forms that this version does not know, so that nothing is said of them.
        refused: why it cannot be read, if so.
    """

    name: str
    messages: int = 0
    unfinished: int = 0
    ready: int = 0
    suspects: int = 0
    scheduled: int = 0
    blocked: int = 0
    steps: int = 0
    parked: int = 0
    dead: int = 0
    workers: int = 0
    schedules: int = 0
    is_paused: bool = False
    paused_tasks: tuple[str, ...] = ()
    paused_keys: tuple[str, ...] = ()
    is_newer: bool = False
    refused: str = ""

    @property
    def running(self) -> int:
        """Tasks that workers have in hand."""
        return max(0, self.unfinished - self.ready - self.scheduled - self.blocked - self.steps - self.parked)

    @property
    def waiting(self) -> int:
        """Tasks that would run now, if there were a worker and nothing held them up: ready, at gates, in lanes."""
        return self.ready + self.blocked

    @property
    def items(self) -> int:
        """All that has not ended: tasks and messages."""
        return self.unfinished + self.messages


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server that keeps the queues; of a Cluster, one of its nodes.

    Attributes:
        max_memory: bytes that it may take; 0 where it may take all.
        policy: what it does when they are taken.
        uptime: seconds.
        keys: how many there are.
    """

    version: str = ""
    memory: int = 0
    max_memory: int = 0
    policy: str = ""
    clients: int = 0
    uptime: int = 0
    commands_a_second: int = 0
    keys: int = 0


def server(store: Store) -> ServerFacts:
    """Return how the server is."""
    reply = store.command(keys.PREFIX, "INFO", doing="asking the server how it is")
    said = dict(line.split(":", 1) for line in keys.text(reply).splitlines() if ":" in line)
    is_valkey = "valkey_version" in said
    return ServerFacts(
        f"Valkey {said['valkey_version']}" if is_valkey else f"Redis {said.get('redis_version', 'of unknown version')}",
        whole(said.get("used_memory", "")),
        whole(said.get("maxmemory", "")),
        said.get("maxmemory_policy", ""),
        whole(said.get("connected_clients", "")),
        whole(said.get("uptime_in_seconds", "")),
        whole(said.get("instantaneous_ops_per_sec", "")),
        sum(int(keys) for name, value in said.items() if name.startswith("db") for keys in re.findall(r"^keys=(\d+)", value)),
    )


_SINGLE: tuple[tuple[str, str, Callable[[str], str]], ...] = (  # what one command tells
    ("messages", "LLEN", keys.queue),
    ("unfinished", "HLEN", keys.tasks),
    ("ready", "ZCARD", keys.ready),
    ("ready", "ZCARD", keys.ready_async),
    ("ready", "ZCARD", keys.suspects),
    ("suspects", "ZCARD", keys.suspects),
    ("scheduled", "ZCARD", keys.scheduled),
    ("timers", "EXISTS", keys.timers),
    ("blocked", "SCARD", keys.blocked),
    ("steps", "HLEN", keys.steps),
    ("parked", "ZCARD", keys.behind),
    ("dead", "ZCARD", keys.dead),
    ("workers", "ZCARD", keys.workers),
    ("schedules", "HLEN", keys.schedules),
)
_MORE = ("paused", "paused_keys", "needs", "newer")  # and what four more do, in this order


def ask(store: Store, commands: Sequence[tuple[Any, ...]], doing: str) -> list[Any]:
    """Send commands about many queues, in as few trips as may be; an error of one stands in its place."""
    if not store.is_cluster:
        return store.repeat(partial(pipeline.ask_all, store, commands, doing)) if commands else []
    replies: list[Any] = [None] * len(commands)
    places: dict[str, list[int]] = {}
    for n, command in enumerate(commands):
        places.setdefault(store.place_of(command[1]), []).append(n)
    for numbers in places.values():
        some = store.repeat(partial(pipeline.ask_all, store, [commands[n] for n in numbers], doing))
        for n, reply in zip(numbers, some, strict=True):
            replies[n] = reply
    return replies


def queues(store: Store, names: Sequence[str]) -> list[QueueFacts]:
    """Return how these queues are, in their order; one that cannot be read says why."""
    doing = "looking what is in the queues"
    asked = [command for name in names for command in _commands(name)]
    each = len(_SINGLE) + len(_MORE)
    replies = ask(store, asked, doing)
    by_queue = [replies[n * each : (n + 1) * each] for n in range(len(names))]
    needs = [
        (name, keys.text(need))
        for name, some in zip(names, by_queue, strict=True)
        if isinstance(some[-2], list | set)
        for need in some[-2]
    ]
    counts = ask(store, [("ZCARD", keys.parked(name, need)) for name, need in needs], doing)
    parked: dict[str, int] = {}
    for (name, need), count in zip(needs, counts, strict=True):
        if need != BEHIND and isinstance(count, int):
            parked[name] = parked.get(name, 0) + count
    return [_facts(name, some, parked.get(name, 0)) for name, some in zip(names, by_queue, strict=True)]


def _commands(name: str) -> Iterable[tuple[Any, ...]]:
    yield from ((command, key(name)) for _, command, key in _SINGLE)
    yield "GET", keys.paused(name)
    yield "HKEYS", keys.paused_keys(name)
    yield "SMEMBERS", keys.needs(name)
    yield "EXISTS", keys.schema(name, keys.SCHEMA + 1)


def _facts(name: str, replies: Sequence[Any], parked: int) -> QueueFacts:
    wrong = next((str(reply) for reply in replies if isinstance(reply, HotQueueError)), "")
    found: dict[str, Any] = {}
    for (what, _, _), reply in zip(_SINGLE, replies, strict=False):
        found[what] = found.get(what, 0) + (reply if isinstance(reply, int) else 0)
    if replies[-1] == 1:
        return QueueFacts(name, found["messages"], is_newer=True, workers=found["workers"])
    found["scheduled"] = max(0, found["scheduled"] - found.pop("timers"))
    found["parked"] += parked
    paused, paused_keys = replies[-4], replies[-3]
    lines = read_paused(paused) if isinstance(paused, bytes) else {}
    return QueueFacts(
        name,
        **found,
        is_paused=QUEUE in lines,
        paused_tasks=tuple(sorted(line.removeprefix("task:") for line in lines if line.startswith("task:"))),
        paused_keys=tuple(sorted(map(keys.text, paused_keys))) if isinstance(paused_keys, list | set) else (),
        refused=f"queue {name!r:.80}: {wrong}" if wrong else "",
    )
