"""The sampler: looks at the stored record of every acknowledged task, again and again, and notes those that change."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from hotqueue import HotQueueError, keys

BATCH = 500


class Sampler:
    """Polls records in a thread of its own.

    Args:
        files: what the producers write; each acknowledgement in them names a task's id.
    """

    def __init__(self, store: Any, name: str, files: list[Path]) -> None:
        self.records: dict[str, tuple[float, bytes]] = {}  # id → when it was first seen, and the record
        self.changed: dict[str, tuple[float, float]] = {}  # id → when the first one was seen, when the other
        self._store, self._name = store, name
        self._files = dict.fromkeys(files, 0)
        self._ids: list[str] = []
        self._at = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            self._hear()
            try:
                self._look(self._next())
            except HotQueueError:
                pass  # the server is away: that is what this is about

    def _hear(self) -> None:
        for path, read in self._files.items():
            if path.exists():
                data = path.read_bytes()[read:]
                whole = data[: data.rfind(b"\n") + 1]
                self._files[path] += len(whole)
                self._ids += [line.split()[3].decode() for line in whole.splitlines() if line.split()[1] == b"ack"]

    def _next(self) -> list[str]:
        """Return the newest ids, and as many of the others in turn."""
        newest = self._ids[-BATCH // 2 :]
        if self._at >= len(self._ids):
            self._at = 0
        others = self._ids[self._at : self._at + BATCH // 2]
        self._at += BATCH // 2
        return list(dict.fromkeys(newest + others))

    def _look(self, ids: list[str]) -> None:
        every_key = [keys.result(self._name, task_id) for task_id in ids]
        if not every_key:
            return
        found = self._store.command(every_key[0], "MGET", *every_key)
        now = time.monotonic()
        for task_id, record in zip(ids, found, strict=True):
            if record is None:
                continue
            first, before = self.records.setdefault(task_id, (now, bytes(record)))
            if before != record:
                self.changed[task_id] = (first, now)
                self.records[task_id] = (now, bytes(record))

    def finish(self) -> dict[str, bytes]:
        """Stop, look at every record once more, and return those that are there now."""
        self._ended.set()
        self._thread.join(20)
        self._hear()
        there: dict[str, bytes] = {}
        for start in range(0, len(self._ids), BATCH):
            ids = self._ids[start : start + BATCH]
            self._store.repeat(lambda ids=ids: self._look(ids))
            every_key = [keys.result(self._name, task_id) for task_id in ids]
            found = self._store.repeat(lambda k=every_key: self._store.command(k[0], "MGET", *k))
            there |= {task_id: bytes(record) for task_id, record in zip(ids, found, strict=True) if record is not None}
        return there
