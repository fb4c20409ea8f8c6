"""ReplyConnection: the connection on which a client blocks for the messages of its reply list.

Takes them; what they say is for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotqueue import keys
from hotqueue.store.packing import PackedKeys, command
from hotqueue.store.store import Store
from hotqueue.store.timeouts import LEAST_BLOCK
from hotqueue.tasks.broker import scripts

MOST = 1000  # messages taken at once


class ReplyConnection:
    """Reads a reply list, for one thread at a time.

    Args:
        key: the reply list.
        question: the keys of `wait`, without those of results.
        result: what the key of a result begins with.
        longest: seconds that a read blocks at most.
    """

    def __init__(self, store: Store, key: str, question: Sequence[str], result: bytes, longest: float) -> None:
        self._key = keys.raw(key)
        self._blocking = store.blocking(key, longest)
        self._question = PackedKeys(scripts.WAIT, [keys.raw(each) for each in question])
        self._block = b"*3\r\n$5\r\nBLPOP\r\n$%d\r\n%b\r\n" % (len(self._key), self._key.replace(b"%", b"%%")) + b"$%d\r\n%b\r\n"
        self._rest = command(b"LPOP", self._key, b"%d" % MOST)
        self._result = result
        self._connects = 1

    def read(self, block: float, many: bool, ask: Sequence[str] = ()) -> tuple[list[bytes], list[Any]]:
        """Block some seconds for the next message; return what came, and what `wait` answered.

        Args:
            many: bring along what else is there: one trip a message is slow on a slow network.
            ask: ids to ask about first, as `wait`, in the same trip: a lone `get` takes no more than that.
        """
        seconds = b"%.3f" % max(block, LEAST_BLOCK)
        sent = self._block % (len(seconds), seconds)
        if ask:
            ids = [keys.raw(task_id) for task_id in ask]
            sent = self._question.call([self._result + task_id for task_id in ids], ids) + sent
        replies = self._blocking.exchange(sent + self._rest if many else sent, 1 + bool(ask) + many)
        found, more = replies[1 if ask else 0], replies[-1] if many else None
        return [*([] if found is None else found[1:]), *(more or [])], replies[0] if ask else []

    def close(self) -> None:
        """Drop the connection; the next read opens another."""
        self._blocking.close()

    def has_changed(self) -> bool:
        """Tell, once, whether this is another connection than before: with that one, messages may have been lost."""
        before, self._connects = self._connects, max(1, self._blocking.connects)
        return self._connects > before
