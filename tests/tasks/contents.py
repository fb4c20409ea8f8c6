"""What is in the keys of one queue: set it, read it. For tests that say what a script makes of given contents."""

from __future__ import annotations

from typing import Any

from hotqueue.queue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from tests.support import leaks

BAND = 2**45
ZSETS = ("ready", "ready:async", "suspects", "claims", "scheduled", "expiring", "workers", "dead")
SETS = ("needs", "done:", "revoked", "large")
HASHES = ("tasks", "attempts", "held:", "worker:", "dead:tasks", "control", "waiters", "stats")


def sync(body: str = "", priority: int = 0) -> str:
    """Return as much of an envelope as scripts look at."""
    return f"\x01s{chr(100 + priority)}{body}"


def coro(body: str = "", priority: int = 0) -> str:
    """Return the same of an `async def` task."""
    return f"\x01a{chr(100 + priority)}{body}"


def place(seq: int, priority: int = 0) -> int:
    """Return the place of the task that was number `seq`."""
    return (100 - priority) * BAND + seq


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
            elif thing in HASHES or thing.startswith(tuple(h for h in HASHES if h.endswith(":"))):
                self.client.hset(key, mapping=value)
            elif isinstance(value, list):
                self.client.rpush(key, *value)
            else:
                self.client.set(key, value)
        return self

    def contents(self) -> dict[str, Any]:
        """Return what is in every key; counters without their minutes."""
        return {key.removeprefix(self.prefix): self._value(key) for key in sorted(leaks.keys_of(self.client, self.queue.name))}

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
                found = {k.decode(): v.decode("utf-8", "backslashreplace") for k, v in self.client.hgetall(key).items()}
                return {k.partition(":")[2]: int(v) for k, v in found.items()} if key.endswith("}:stats") else found
            case "set":
                return {m.decode() for m in self.client.smembers(key)}
            case "list":
                return [item.decode() for item in self.client.lrange(key, 0, -1)]
            case "string":
                return self.client.get(key).decode()
        return None

    def wipe(self) -> None:
        """Delete every key."""
        for key in leaks.keys_of(self.client, self.queue.name):
            self.client.delete(key)
