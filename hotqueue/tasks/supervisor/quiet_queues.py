"""QuietQueues: in which queues of a Cluster's node there is nothing to see to, as long as the node says of no change there.

On a Cluster a command has the keys of one slot, so that to ask of each of a thousand queues whether there are tasks is a thousand
commands. So each is asked once, and again when one of the keys has changed that were read (store/tracking.py).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Any

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.store.store import Store
from hotqueue.store.tracking import LAYOUT, Moved, Tracking, layout_of
from hotqueue.tasks.broker.broker import Broker

AT_ONCE = 500  # queues that are asked in one trip
MOST_KEYS = 20  # for each queue; fewer are read
NEWS = 3.0  # seconds for which it is learned again and again how slots are laid out: of the nodes, not all know it at once


class QuietQueues:
    """The queues of one node as one process knows them.

    Args:
        store: the Cluster.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tracking = Tracking(store)
        self._quiet: set[Broker] = set()
        self._of: dict[bytes, Broker] = {}  # by the keys that were read
        self._place = ""  # of this node, as the store calls it
        self._layout: Any = None
        self._is_news_until = 0.0

    def among(self, brokers: Collection[Broker]) -> set[Broker]:
        """Return those in which there is nothing; all queues of the node are to be given, each time.

        Raises:
            ConnectionFailed: the node is away.
        """
        if not brokers:
            return set()
        try:
            return self._look(brokers)
        except BaseException:
            self.close()
            raise

    def _look(self, brokers: Collection[Broker]) -> set[Broker]:
        if not self._tracking.is_connected or self._tracking.is_overdue:
            self.close()
            first = next(iter(brokers)).bell_key("s")
            self._tracking.connect(first)
            self._place = self._store.place_of(first)
        self._tracking.ask_whether_it_is_there()
        self._note_changed(self._tracking.changed())
        self._look_at_layout()
        self._quiet &= set(brokers)  # one that comes back was elsewhere meanwhile
        if len(self._of) > MOST_KEYS * len(brokers):  # of queues that were let go of
            self._forget()
        loud = [broker for broker in brokers if broker not in self._quiet]
        elsewhere = {broker for start in range(0, len(loud), AT_ONCE) for broker in self._ask(loud[start : start + AT_ONCE])}
        quiet = self._quiet | elsewhere
        if self._tracking.is_deaf:
            self._quiet.clear()
        return quiet

    def _ask(self, brokers: Collection[Broker]) -> list[Broker]:
        """Ask whether there is anything in queues; return those of another node: before it was known which nodes there are, all
        were put together.
        """
        elsewhere = []
        every_key = [[keys.raw(key) for key in broker.script_keys.needs_upkeep()] for broker in brokers]
        answers = self._tracking.ask([(b"EXISTS", *its_keys) for its_keys in every_key])
        for broker, its_keys, answer in zip(brokers, every_key, answers, strict=True):
            if answer == 0:  # else there is something, or it cannot be read there: whoever sweeps it sees what is wrong
                self._quiet.add(broker)
                self._of.update(dict.fromkeys(its_keys, broker))
            elif isinstance(answer, Moved) and self._store.place_of(its_keys[0]) != self._place:
                elsewhere.append(broker)
        return elsewhere

    def _note_changed(self, changed: Iterable[bytes] | None) -> None:
        if changed is None:
            self._forget()
            return
        for key in changed:
            if (broker := self._of.get(key)) is not None:
                self._quiet.discard(broker)

    def _look_at_layout(self) -> None:
        """See whether slots are laid out anew: a queue that was moved is said nothing of any more."""
        before = self._layout
        [answer] = self._tracking.ask([LAYOUT])
        self._layout = layout_of(answer)
        if before is not None and not isinstance(answer, HotQueueError) and before != self._layout:
            self._is_news_until = time.monotonic() + NEWS
        if time.monotonic() < self._is_news_until:
            self._store.learn_layout()

    def _forget(self) -> None:
        self._quiet.clear()
        self._of.clear()

    def close(self) -> None:
        """Close the connections; all is asked again."""
        self._tracking.close()
        self._forget()
