"""Client: what sends a queue's tasks and waits for their results; and Owner, which is what a HotQueue is to it.

Knows no task and no handle: those are made with a client. Imported with HotQueue, so what only sending needs is imported late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from hotqueue import keys, signing
from hotqueue.errors import ConnectionFailed
from hotqueue.runtime import testing_mode
from hotqueue.signing import Signer
from hotqueue.store.store import Store
from hotqueue.tasks.broker.encoded import Encoded

if TYPE_CHECKING:  # what follows is imported when something is sent, or waited for
    from hotqueue.tasks.broker.bounded import Bound
    from hotqueue.tasks.broker.broker import Broker
    from hotqueue.tasks.client.replies import Replies


class HasId(Protocol):
    """What is of a task: a handle, see handle.py."""

    id: str


Handles = Sequence[HasId] | None


class Owner:
    """A queue as the task side knows it; HotQueue is one.

    Attributes:
        name: of the queue.
        _store: where it lives.
        _secret_key: what signs its tasks; None: what the environment says.
        _max_waiting: how many tasks may wait, as its programs send them; None: any number.
        _enqueue_timeout: seconds for which they wait for room; None: without end.
    """

    name: str
    _store: Store
    _secret_key: str | None
    _max_waiting: int | None = None
    _enqueue_timeout: float | None = 0

    @property
    def _tasks(self) -> Client:
        raise NotImplementedError


def client_of(owner: Owner) -> Client:
    """Return what sends the tasks of a queue."""
    return owner._tasks


class Collector:
    """What takes tasks instead of the server, inside of a batch's block; see batch.py.

    Attributes:
        client: whose tasks it takes.
        tasks: what it has, by the name of the queue.
        handles: of unique tasks, by their ids: one that is there already when they are sent is that one's from then on.
        thread: in which the block was opened; 0 where it is not open.
        outer: the one inside of whose block this one was opened; a closed one still leads there.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.tasks: dict[str, list[Encoded]] = {}
        self.handles: dict[str, HasId] = {}
        self.thread = 0
        self.outer: Collector | None = None

    def collects(self, client: Client) -> bool:
        """Tell whether what `client` sends here and now goes into it."""
        return self.client is client and self.thread == threading.get_ident()

    def add(self, name: str, tasks: Sequence[Encoded], handles: Handles = None) -> None:
        """Keep tasks for the queue called `name`; see `Client.send`."""
        self.tasks.setdefault(name, []).extend(tasks)
        self.handles.update(zip([task.id for task in tasks], handles or (), strict=False))


innermost: ContextVar[Collector | None] = ContextVar("hotqueue_batch", default=None)


def open_batch(client: Client) -> Collector | None:
    """Return the batch that tasks of a queue go to, here and now.

    An asyncio task, or a function in a thread, that was started inside a block inherits its batch: one that outlives the
    block finds it closed, and one in another thread might add to it while it is being sent.
    """
    batch = innermost.get()
    while batch is not None and not batch.collects(client):
        batch = batch.outer
    return batch


def point(handles: Iterable[HasId], ids: Iterable[str]) -> None:
    """Have handles be those of the tasks with these ids."""
    for handle, task_id in zip(handles, ids, strict=True):
        handle.id = task_id


class Client:
    """Sends tasks to a queue, and to others on its store, and knows where their results are waited for.

    Attributes:
        owner: the queue; it travels in pickles, this does not.
        name: of the queue.
    """

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.name = owner.name
        if owner._secret_key != signing.KEPT_BACK:  # else a task may have got it as an argument and never use it
            _ = self.signer  # refuse impossible keys early
        self._brokers: dict[str, Broker] = {}
        self._replies: dict[str, Replies] = {}
        self._lock = threading.Lock()

    @cached_property
    def signer(self) -> Signer | None:
        """What signs and verifies this queue's envelopes; None without a secret key."""
        return signing.signer_of(self.owner._secret_key, self.name)

    def result_signer(self, name: str, *others: str) -> Signer | None:
        """Return what signs and verifies the results of a queue; it verifies those of others as well."""
        return None if self.signer is None else self.signer.for_results(name, *others)

    def checkpoint_signer(self, name: str) -> Signer | None:
        """Return what signs and verifies what tasks of a queue keep for their next run."""
        return None if self.signer is None else self.signer.for_checkpoints(name)

    @property
    def secret_key(self) -> str | None:
        """What the queue was given to sign with."""
        return self.owner._secret_key

    # --- sending -------------------------------------------------------------------------------------------------

    def send_one(self, name: str, task_id: str, data: bytes, line: bytes = b"") -> None:
        """Enqueue an encoded task that may run at once: what `delay` does. `line`: its name, as `task_names.line_of` has it."""
        batch = None if innermost.get() is None else open_batch(self)
        if batch is None:
            self.broker_of(name).enqueue_one(task_id, data, line)
        else:
            batch.add(name, [Encoded(task_id, "", "", data)])

    def send(self, name: str, tasks: Sequence[Encoded], handles: Handles = None) -> None:
        """Enqueue encoded tasks on the queue called `name`, at most BULK of them; inside of a batch, at its end.

        Args:
            handles: of unique tasks; that of one which is not stored is the handle of the one that is there, from then on.
        """
        batch = open_batch(self)
        if batch is not None:
            batch.add(name, tasks, handles)
        elif handles is None:
            self.broker_of(name).enqueue(tasks)
        else:
            point(handles, self.broker_of(name).enqueue_unique(tasks))

    def begin_send(self, name: str, tasks: Sequence[Encoded]) -> Callable[[], object]:
        """Do as `send`, but do not wait for the server's answer: what is returned does, and has to be called."""
        batch = open_batch(self)
        if batch is None:
            return self.broker_of(name).begin_enqueue(tasks)
        batch.add(name, tasks)
        return lambda: None

    async def asend(self, name: str, tasks: Sequence[Encoded], handles: Handles = None) -> None:
        """Asyncio twin of `send`."""
        batch = open_batch(self)
        if batch is not None:
            batch.add(name, tasks, handles)
        elif handles is None:
            await self.broker_of(name).aenqueue(tasks)
        else:
            point(handles, await self.broker_of(name).aenqueue_unique(tasks))

    @property
    def store(self) -> Store:
        """Where the queue lives."""
        return self.owner._store

    def move(self, store: Store) -> None:
        """Have the queue, and all that is sent through it, live elsewhere: `hotqueue-worker --url`."""
        self.close()
        self.owner._store = store
        self._brokers.clear()
        self._replies.clear()

    def close(self) -> None:
        """Close the connections on which results are waited for, but those on which a thread waits just now."""
        for replies in list(self._replies.values()):
            replies.close()

    # --- of this queue, and of others on the same store ----------------------------------------------------------

    def broker_of(self, name: str) -> Broker:
        """Return the broker of a queue on this store; inside `queue.testing()`, the one in memory."""
        if testing_mode.sandbox is not None:
            return testing_mode.sandbox.broker_of(self, name)  # type: ignore[no-any-return]  # as far as programs call it
        return self._brokers.get(name) or self._own_broker(name)

    def _own_broker(self, name: str) -> Broker:
        found = self._brokers.get(name)
        if found is None:
            found = self._brokers.setdefault(name, self._new_broker(name))
        return found

    def _new_broker(self, name: str) -> Broker:
        bound = self.bound_of(name)
        if bound is not None:
            from hotqueue.tasks.broker.bounded import BoundedBroker

            return BoundedBroker(self.store, name, bound)
        from hotqueue.tasks.broker.broker import Broker

        return Broker(self.store, keys.check_name(name))

    def bound_of(self, name: str) -> Bound | None:
        """Return how many tasks may wait in a queue, and for how long whoever sends waits for room; None: any number."""
        most = self.owner._max_waiting
        if most is None or name != self.name:  # another queue has an object of its own to say so
            return None
        from hotqueue.tasks.broker.bounded import Bound

        return Bound(most, self.owner._enqueue_timeout)

    @property
    def broker(self) -> Broker:
        """This queue's broker."""
        return self.broker_of(self.name)

    def replies(self, name: str) -> Replies:
        """Return where this process waits for results of a queue."""
        if testing_mode.sandbox is not None:
            return testing_mode.sandbox.replies_of(self, name)  # type: ignore[no-any-return]
        with self._lock:
            if name not in self._replies:
                from hotqueue.tasks.client.replies import Replies

                self._replies[name] = Replies(self._own_broker(name), partial(self._end_expired, name))
            return self._replies[name]

    def _end_expired(self, name: str, task_id: str, late_ms: int) -> None:
        """End a task that somebody waits for and that is past its expiry, unless it runs."""
        try:
            self._own_broker(name).look(task_id)
        except ConnectionFailed:  # asked again, the server says so again
            pass
