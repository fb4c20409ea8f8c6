"""The queues that the children of a supervisor have named: one broker each.

All that are at one store share its connections.
"""

from __future__ import annotations

from hotqueue.errors import HotQueueError
from hotqueue.signing import Signer, signer_of
from hotqueue.store.store import Store
from hotqueue.store.timeouts import PATIENCE
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.wire import payload


class Queues:
    """The queues that a supervisor looks after."""

    def __init__(self) -> None:
        self._brokers: dict[tuple[int, str], Broker] = {}  # by store and queue, which two stores may call the same
        self._stores: dict[bytes, Store] = {}  # by their addresses
        self._keys: dict[Broker, str | None] = {}  # with which their tasks are signed

    def store_of(self, store: Store) -> Store:
        """Return the store that this process has in place of one that a child has named."""
        address = payload.dumps(store.address)  # not by `==`: a credential provider, say, is equal to itself alone
        known = self._stores.setdefault(address, store)
        if known is store:
            store.starts_threads, store.patience = False, PATIENCE
        return known

    def forget(self, broker: Broker) -> None:
        """Look after a queue no more."""
        self._brokers.pop((id(broker.store), broker.name), None)

    def broker_of(self, name: str, store: Store) -> Broker:
        """Return the broker of a queue that a child has named."""
        known = self.store_of(store)
        return self._brokers.setdefault((id(known), name), Broker(known, name))

    def note_key(self, broker: Broker, secret_key: str | None) -> None:
        """Note with what a queue's tasks are signed, as a child said."""
        self._keys[broker] = secret_key

    def signer_of(self, broker: Broker) -> Signer | None:
        """Return what signs a queue's tasks; one that a glob found has the key of the others."""
        secret_key = self._keys[broker] if broker in self._keys else next(iter(self._keys.values()), None)
        return signer_of(secret_key, broker.name)

    def all(self) -> list[Broker]:
        """Return all of them."""
        return list(self._brokers.values())

    def scheduled(self) -> int | None:
        """Return how many tasks wait for their time; None when Redis does not say."""
        try:
            return sum(broker.counts()["scheduled"] for broker in self.all())
        except HotQueueError:
            return None

    def blocked(self) -> int:
        """Return how many tasks wait at gates; 0 where Redis does not say."""
        try:
            return sum(broker.counts()["blocked"] for broker in self.all())
        except HotQueueError:
            return 0

    def paused(self) -> list[str]:
        """Return the names of those that are paused; none where Redis does not say."""
        try:
            return [broker.name for broker in self.all() if broker.is_paused()]
        except HotQueueError:
            return []
