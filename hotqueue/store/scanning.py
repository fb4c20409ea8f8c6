"""Scanning: the keys of a store, some at a time, of all masters of a Cluster; whoever asks decides how fast."""

from __future__ import annotations

from typing import Any

import redis.exceptions as rx

from hotqueue.errors import HotQueueError
from hotqueue.store.store import Store


class Scan:
    """A walk through the keys that match a glob of Redis's.

    Keys that are there all the while are found; others may be, and any may be found twice.

    Args:
        count: how many keys the server looks at in one step, about.
    """

    def __init__(self, store: Store, pattern: str, count: int) -> None:
        self._store, self._pattern, self._count = store, pattern, count
        self._nodes: list[Any] | None = None
        self._cursor = 0

    @property
    def is_over(self) -> bool:
        """True once all keys have been looked at."""
        return self._nodes == []

    def step(self) -> list[bytes]:
        """Look at some keys; return those that match.

        Raises:
            ConnectionFailed, ConfigError: the server is away, or does not let us list keys; the same step may be tried again.
        """
        try:
            client = self._store.client()
            if self._nodes is None:
                is_cluster = self._store.is_cluster
                self._nodes = [client.get_redis_connection(node) for node in client.get_primaries()] if is_cluster else [client]
            if not self._nodes:
                return []
            self._cursor, found = self._nodes[-1].scan(self._cursor, match=self._pattern, count=self._count)
        except HotQueueError:
            raise
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self._store.translated(error, "listing keys", sent=False) from error
        if self._cursor == 0:
            self._nodes.pop()
        return list(found)
