"""Many queues at once, and the server: what is in each, read in pipelines: a thousand cost a few trips. Reads only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, TypeVar

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.store import pipeline
from hotqueue.store.scripts import Script
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.pausing import QUEUE, read_paused
from hotqueue.tasks.broker.script_keys import ScriptKeys
from hotqueue.tasks.broker.stored_queue import whole

T = TypeVar("T")

AT_ONCE = 100  # queues that one command looks at: about a millisecond


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
    reply = store.repeat(lambda: store.command(keys.PREFIX, "INFO", doing="asking the server how it is"))
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


def by_place(store: Store, items: Sequence[T], key_of: Callable[[T], str], send: Callable[[list[T]], list[Any]]) -> list[Any]:
    """Send what is about many queues, to each node of a Cluster what is there; return the replies in the order of the items."""
    if not items:
        return []
    if not store.is_cluster:
        return store.repeat(partial(send, list(items)))
    replies: list[Any] = [None] * len(items)
    places: dict[str, list[int]] = {}
    for n, item in enumerate(items):
        places.setdefault(store.place_of(key_of(item)), []).append(n)
    for numbers in places.values():
        for n, reply in zip(numbers, store.repeat(partial(send, [items[n] for n in numbers])), strict=True):
            replies[n] = reply
    return replies


def ask(store: Store, commands: Sequence[tuple[Any, ...]], doing: str) -> list[Any]:
    """Send commands about many queues, in as few trips as may be; an error of one stands in its place."""
    return by_place(store, commands, lambda command: command[1], lambda some: pipeline.ask_all(store, some, doing))


def run(store: Store, script: Script, calls: Sequence[pipeline.Call], doing: str) -> list[Any]:
    """Run a script for many queues, in as few trips as may be; an error of one stands in its place."""
    return by_place(
        store, calls, lambda call: str(call[0][0]), lambda some: pipeline.run_all(store, script, some, doing, AT_ONCE)
    )


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at a queue found.

    Attributes:
        registered: who works there: a name and a score a line each, as the server has them.
        reply: what it was made of.
    """

    facts: QueueFacts
    registered: bytes
    reply: Any


@lru_cache(maxsize=4096)
def keys_of(queue: str) -> ScriptKeys:
    """Return the keys of a queue's scripts, which are the same at every look."""
    return ScriptKeys(queue)


def queues(store: Store, names: Sequence[str]) -> list[QueueFacts]:
    """Return how these queues are, in their order; one that cannot be read says why."""
    return [each.facts for each in look(store, names)]


def look(store: Store, names: Sequence[str], before: Mapping[str, Glance] = MappingProxyType({})) -> list[Glance]:
    """Return the same, with who works there.

    Args:
        before: what the last look found: what has not changed since is not made anew.
    """
    calls: list[pipeline.Call] = [(keys_of(name).glance(), (keys.SCHEMA,)) for name in names]
    replies = run(store, scripts.GLANCE, calls, "looking what is in the queues")
    return [_glance(name, reply, before.get(name)) for name, reply in zip(names, replies, strict=True)]


def _glance(name: str, reply: Any, before: Glance | None) -> Glance:
    if before is not None and before.reply == reply:
        return before
    if isinstance(reply, HotQueueError):
        return Glance(QueueFacts(name, refused=f"queue {name!r:.80}: {reply}"), b"", reply)
    if reply == 0:
        return Glance(QueueFacts(name), b"", reply)
    if isinstance(reply, bytes):  # nothing is paused there
        counts, _, registered = reply.partition(b"\n")
        return Glance(_facts(name, counts), registered, reply)
    return Glance(_facts(name, reply[0], *reply[2:]), reply[1], reply)


def _facts(name: str, counts: bytes, paused: bytes = b"", gates: Sequence[bytes] = ()) -> QueueFacts:
    numbers: list[Any] = [int(each) for each in counts.split()]
    newer = numbers.pop()
    if newer:
        return QueueFacts(name, numbers[0], is_newer=True, workers=numbers[9])
    if not (paused or gates):
        return QueueFacts(name, *numbers)
    lines = read_paused(paused)
    tasks = tuple(sorted(line.removeprefix("task:") for line in lines if line.startswith("task:")))
    more: dict[str, Any] = {
        "is_paused": QUEUE in lines,
        "paused_tasks": tasks,
        "paused_keys": tuple(sorted(map(keys.text, gates))),
    }
    return QueueFacts(name, *numbers, **more)


def registered_in(lines: bytes) -> list[tuple[bytes, float]]:
    """Return who works at a queue, as `Glance.registered` has them: each with its score, below nought of one without tasks."""
    parts = lines.split(b"\n")
    try:
        return list(zip(parts[::2], map(float, parts[1::2]), strict=True))
    except ValueError:  # nobody works there; or somebody of a name of several lines, who is none of ours
        return []
