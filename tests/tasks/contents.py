"""What is in the keys of one queue: set it, read it. For tests that say what a script makes of given contents."""

from __future__ import annotations

from typing import Any

from hotqueue.queue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.wire.settlement import CHUNK
from tests.support import leaks

BAND = 2**45
STARTED = 9999  # behind what is not to be taken back
ZSETS = (
    "ready",
    "ready:async",
    "suspects",
    "claims",
    "scheduled",
    "lane:",
    "turns:",
    "timers",
    "steps:open",
    "expiring",
    "workers",
    "dead",
    "schedules:next",
    "schedules:declarers",
)
SETS = ("needs", "done:", "revoked", "large", "blocked", "lanes", "slots:", "steps:reported")
HASHES = (
    "tasks",
    "attempts",
    "held:",
    "worker:",
    "dead:tasks",
    "control",
    "waiters",
    "stats",
    "enqueued",
    "owned",
    "steps",
    "dead:steps",
    "gated",
    "unique",
    "schedules",
    "schedules:states",
)


def sync(body: str = "", priority: int = 0) -> str:
    """Return as much of an envelope as scripts look at."""
    return f"\x01s{chr(100 + priority)}\x00{body}"


def coro(body: str = "", priority: int = 0) -> str:
    """Return the same of an `async def` task."""
    return f"\x01a{chr(100 + priority)}\x00{body}"


def place(seq: int, priority: int = 0) -> int:
    """Return the place of the task that was number `seq`."""
    return (100 - priority) * BAND + seq


def records(holds: dict[str, str]) -> dict[str, bytes]:
    """Return the records of what a worker holds; `holds` says of each id 'fetch set place behind', without the last: it runs.

    A capital for the set: the task was revoked before. Fetch 'L': it has ended, and its outcome comes apart.
    """
    by_fetch: dict[str, list[tuple[int, str, str, str]]] = {}
    for task_id, hold in holds.items():
        fetch, origin, at, *behind = hold.split()
        by_fetch.setdefault(f"L{task_id}" if fetch == "L" else fetch, []).append(
            (int(behind[0]) if behind else STARTED, task_id, origin, at)
        )
    found = {}
    for fetch, some in by_fetch.items():
        some.sort(reverse=True, key=lambda one: one[0])
        for n in range(0, len(some), CHUNK):
            found[f"{fetch}:{n // CHUNK}" if n else fetch] = _record(some[n : n + CHUNK])
    return found


def _record(some: list[tuple[int, str, str, str]]) -> bytes:
    """Return a record with gaps where a number from the end is missing."""
    last = some[-1][0]
    entries: list[tuple[str, str, str]] = []
    for behind, task_id, origin, at in some:
        while some[0][0] < STARTED and behind < some[0][0] - len(entries):
            entries.append(("", "-", "0"))
        entries.append((task_id, origin, at))
    heads = "".join(f"{origin}{int(float(at)):016d}" for _, origin, at in entries)
    ids = "".join(f"{task_id}\n" for task_id, _, _ in entries)
    return f"1{len(entries):03d}{last:04d}{heads}\n{ids}".encode()


def holds(found: dict[bytes, bytes]) -> dict[str, str]:
    """Undo `records`."""
    holds: dict[str, str] = {}
    for field, value in found.items():
        if value[:1] != b"1" or not value[1:8].isdigit():
            holds[field.decode()] = value.decode("utf-8", "backslashreplace")
            continue
        count, last = int(value[1:4]), int(value[4:8])
        ids = value[9 + 17 * count :].decode().split("\n")
        for n in range(count):
            head = value[8 + 17 * n : 25 + 17 * n].decode()
            fetch = "L" if field.startswith(b"L") else field.decode().partition(":")[0]
            behind = "" if last + count - 1 - n >= STARTED else f" {last + count - 1 - n}"
            if head[0] != "-":
                holds[ids[n]] = f"{fetch} {head[0]} {int(head[1:])}{behind}"
    return holds


class Room:
    """One queue's keys, by their names behind ``{hotqueue:<name>}:``."""

    def __init__(self, queue: HotQueue) -> None:
        self.queue = queue
        self.broker = Broker(queue._store, queue.name)
        self.client = queue._store.client()
        self.prefix = f"{{hotqueue:{queue.name}}}:"

    def fill(self, contents: dict[str, Any]) -> Room:
        """Make these the contents of the keys."""
        for thing, value in contents.items():
            key = self.prefix + thing
            if thing in ZSETS or thing.startswith("parked:"):
                self.client.zadd(key, value)
            elif thing.startswith(SETS):
                self.client.sadd(key, *value)
            elif thing.startswith("held:"):
                self.client.hset(key, mapping=records(value))
            elif thing in HASHES or thing.startswith(tuple(h for h in HASHES if h.endswith(":"))):
                self.client.hset(key, mapping=value)
            elif isinstance(value, list):
                self.client.rpush(key, *value)
            else:
                self.client.set(key, value)
        return self

    def contents(self) -> dict[str, Any]:
        """Return what is in every key, but for what is to be counted; counters without their minutes."""
        found = sorted(leaks.keys_of(self.client, self.queue.name) - {f"{self.prefix}accounts"})
        return {key.removeprefix(self.prefix): self._value(key) for key in found}

    def __getitem__(self, thing: str) -> Any:
        return self._value(self.prefix + thing)

    def ttl(self, thing: str) -> int:
        """Return the ms that a key has left, −1 for a key that stays."""
        return int(self.client.pttl(self.prefix + thing))

    def _value(self, key: str) -> Any:
        match self.client.type(key).decode():
            case "zset":
                return {m.decode(): int(score) for m, score in self.client.zrange(key, 0, -1, withscores=True)}
            case "hash":
                if ":held:" in key:
                    return holds(self.client.hgetall(key))
                found = {k.decode(): v.decode("utf-8", "backslashreplace") for k, v in self.client.hgetall(key).items()}
                if ":worker:" in key and "lease" in found:
                    found["lease"] = found["lease"].partition(" ")[0]  # behind it: when it fetched
                is_counter = key.endswith(("}:stats", "}:enqueued"))
                return {k.partition(":")[2]: int(v) for k, v in found.items()} if is_counter else found
            case "set":
                return {m.decode() for m in self.client.smembers(key)}
            case "list":
                return [item.decode() for item in self.client.lrange(key, 0, -1)]
            case "string":
                found = self.client.get(key)  # it may expire just now
                return None if found is None else found.decode("utf-8", "backslashreplace")
        return None

    def wipe(self) -> None:
        """Delete every key."""
        for key in leaks.keys_of(self.client, self.queue.name):
            self.client.delete(key)
