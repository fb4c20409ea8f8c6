"""Records: what is stored of how tasks ended, as bytes; what stands in them is for wire/record.py."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue import keys
from hotqueue.sizes import LARGE
from hotqueue.tasks.broker.stored_queue import StoredQueue


class Records(StoredQueue):
    """The records of one queue's tasks."""

    def record(self, task_id: str) -> bytes | None:
        """Return the stored record of a task."""
        key = keys.result(self.name, task_id)
        found = self.store.repeat(lambda: self.store.command(key, "GET", key))
        return None if found is None else bytes(found)

    def records(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the stored records of tasks, which together should be no more than one trip carries."""
        every_key = [keys.result(self.name, task_id) for task_id in ids]
        found: list[bytes | None] = self.store.repeat(lambda: self.store.command(every_key[0], "MGET", *every_key))
        return found

    def records_now(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the stored records of any number of tasks, by one attempt: for who has others that wait for him meanwhile.

        Raises:
            ConnectionFailed, ConfigError: as `Store.command`.
        """
        from hotqueue.store import reading  # it imports redis, of which who only defines tasks has no need

        if not ids:
            return []
        names = keys.raw("\n".join(ids)).split(b"\n")
        return reading.strings(self.store, [self.results + name for name in names], "reading results")

    def ends(self, ids: Sequence[str]) -> list[int | None]:
        """Return how many bytes the records of tasks have, as far as can be told; 0 for none; None: the task has not ended."""
        from hotqueue.store import pipeline  # it imports redis, of which who only defines tasks has no need

        tasks = keys.tasks(self.name)
        asked = [each for i in ids for each in (("HEXISTS", tasks, i), ("STRLEN", keys.result(self.name, i)))]
        found = self.store.repeat(lambda: pipeline.ask_all(self.store, asked, doing="looking at a task"))
        sizes = [size if isinstance(size, int) else LARGE for size in found[1::2]]
        return [None if is_there == 1 else size for is_there, size in zip(found[::2], sizes, strict=True)]
