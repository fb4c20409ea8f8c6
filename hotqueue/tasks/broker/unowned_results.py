"""Results that nobody owns and that have no time of their own, as `owned` was deleted: found a portion at a time, and given one.

Which these are nobody knows any more, so all keys of the server are looked through; see audit.py for why in portions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hotqueue import keys
from hotqueue.store.scripts import Script
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import BULK, StoredQueue

PAGES = 100  # in a portion, each of some BULK keys of the server
KEPT_MS = 3_600_000  # as long as what is said of steps that did not run, see lua/shared/steps.lua
DOING = "looking for results that nobody owns"


def keys_of(script: Script, name: str) -> list[str]:
    """Return the keys that a script of these gets."""
    return {scripts.EXPIRE_UNOWNED: [keys.owned(name)]}[script]


class UnownedResults(StoredQueue):
    """Those of one queue, as one process looks for them."""

    _pages: Iterator[int] = iter(())  # of the look that is under way

    def begin(self) -> None:
        """Have the next portion be the first one."""
        self._pages = self._look()

    def portion(self) -> int:
        """Look at some keys, if a look is under way; return how many results have got a time."""
        expired = 0
        for _ in range(PAGES):
            found = next(self._pages, None)
            if found is None:  # it is through, or an error ended it the last time
                break
            expired += found
        return expired

    def _look(self) -> Iterator[int]:
        owned, cursor, count = keys.owned(self.name), b"0", len(self.results)
        match = re.sub(rb"[][*\\]", b"?", self.results) + b"*"
        while True:
            cursor, found = self.store.command(owned, "SCAN", cursor, "MATCH", match, "COUNT", BULK)
            ids = [key[count:] for key in found if key.startswith(self.results)]
            yield sum(self._expired(ids[start : start + BULK]) for start in range(0, len(ids), BULK))
            if cursor == b"0":
                return

    def _expired(self, ids: list[bytes]) -> int:
        script = scripts.EXPIRE_UNOWNED
        return int(self.store.run(script, keys_of(script, self.name), [self.results, KEPT_MS, *ids], doing=DOING))
