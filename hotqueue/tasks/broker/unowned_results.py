"""Results that nobody owns and that have no time of their own, as `owned` was deleted: found a portion at a time, and given one.

Which these are nobody knows any more, so all keys of the server are looked through; see audit.py for why in portions.
"""

from __future__ import annotations

import re

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

    _cursor: bytes | None = None  # where the look goes on; None: none is under way

    def begin(self) -> None:
        """Have the next portion be the first one."""
        self._cursor = b"0"

    def portion(self) -> int:
        """Look at some keys, if a look is under way; return how many results have got a time.

        Raises:
            HotQueueError: it could not be looked; the next portion goes on where this one stopped.
        """
        expired = 0
        for _ in range(PAGES):
            if self._cursor is None:
                break
            expired += self._page(self._cursor)
        return expired

    def _page(self, cursor: bytes) -> int:
        owned, count = keys.owned(self.name), len(self.results)
        match = re.sub(rb"[][*\\]", b"?", self.results) + b"*"
        after, found = self.store.command(owned, "SCAN", cursor, "MATCH", match, "COUNT", BULK)
        ids = [key[count:] for key in found if key.startswith(self.results)]
        expired = sum(self._expired(ids[start : start + BULK]) for start in range(0, len(ids), BULK))
        self._cursor = None if after == b"0" else after
        return expired

    def _expired(self, ids: list[bytes]) -> int:
        script = scripts.EXPIRE_UNOWNED
        return int(self.store.run(script, keys_of(script, self.name), [self.results, KEPT_MS, *ids], doing=DOING))
