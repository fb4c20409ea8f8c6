"""What a store holds: its queues, how much waits in each, which server answers. Reads only.

For the commands; speaks to Redis through `Store` and `Broker` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS, HotQueueError
from hotqueue.hints import did_you_mean
from hotqueue.monitor.words import printable
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.pausing import QUEUE
from hotqueue.tasks.rules import globs

BETWEEN_RESTS = 1000  # keys


@dataclass(frozen=True)
class Length:
    """How much waits in one queue.

    Attributes:
        messages: raw messages in the list.
        tasks: tasks that no worker has in hand: ready, in lanes, scheduled or parked, as `HotQueue.pending` counts them.
        suspects: those of them that are suspected of killing their process, and wait for a quarantine process.
        scheduled: those of them that wait for their time.
        running: how many tasks workers have in hand.
        dead: how many are in the dead list.
        workers: how many are registered.
        is_paused: the queue is.
        paused_tasks: names of tasks that are; "?" where something is, and we may not read what.
        paused_keys: keys of gates that are; "?" likewise.
    """

    name: str
    messages: int
    tasks: int
    suspects: int = 0
    is_paused: bool = False
    paused_tasks: tuple[str, ...] = ()
    paused_keys: tuple[str, ...] = ()
    scheduled: int = 0
    running: int = 0
    dead: int = 0
    workers: int = 0

    @property
    def items(self) -> int:
        """Messages and tasks together."""
        return self.messages + self.tasks


def length(store: Store, name: str) -> Length:
    """Return how much waits in a queue; a queue that does not exist is an empty one.

    Raises:
        NewerQueue: its tasks have forms that this version does not know.
    """
    waiting = messages(store, name)
    broker = Broker(store, name)
    counts, paused = broker.counts(), _read(broker, keys.paused(name), broker.paused, "task:?")
    names = tuple(sorted(what.removeprefix("task:") for what in paused if what.startswith("task:")))
    paused_keys = tuple(sorted(_read(broker, keys.paused_keys(name), broker.paused_keys, "?")))
    workers = int(store.command(keys.workers(name), "ZCARD", keys.workers(name)))
    running = max(0, counts["unfinished"] - counts["waiting"])
    more = counts["scheduled"], running, counts["dead"], workers
    return Length(name, waiting, counts["waiting"], counts["suspects"], QUEUE in paused, names, paused_keys, *more)


def _read(broker: Broker, key: str, read: Callable[[], Iterable[str]], unread: str) -> Iterable[str]:
    if not broker.store.command(key, "EXISTS", key):
        return ()
    try:
        return read()
    except HotQueueError as error:
        if getattr(error, "retry", False):
            raise
        return (unread,)  # whoever may only count


def messages(store: Store, name: str) -> int:
    """Return how many raw messages wait in a queue."""
    listed = keys.queue(keys.check_name(name))
    return int(store.command(listed, "LLEN", listed, doing=f"counting the messages of {name!r}"))


def schemas(store: Store, names: Sequence[str]) -> dict[str, int]:
    """Return the schemas of queues, by their names: which forms their tasks may have."""
    return {name: Broker(store, name).schema() for name in names}


def queue_names(store: Store, *, with_tasks: bool = False, rest: Callable[[], None] | None = None) -> list[str]:
    """Return the names of all queues that have a key in the store, sorted; on a Cluster, of all its masters.

    Args:
        with_tasks: of those alone that have a key beside their list of messages.
        rest: called now and then, so that others have their turn.
    """
    found = store.scan(f"{{{keys.PREFIX}*" if with_tasks else f"*{keys.PREFIX}*")  # never all in memory: there may be millions
    return sorted(keys.names_of(found if rest is None else _resting(found, rest)))


def _resting(found: Iterable[bytes], rest: Callable[[], None]) -> Iterator[bytes]:
    for n, key in enumerate(found, 1):
        yield key
        if n % BETWEEN_RESTS == 0:
            rest()


def meant(
    store: Store, names: Sequence[str], *, with_tasks: bool = False, rest: Callable[[], None] | None = None
) -> tuple[list[str], list[str]]:
    """Return the queues that names and globs stand for, as ``hotqueue-worker -Q`` reads them; a sentence for a glob of none.

    Args:
        with_tasks: globs stand for queues with tasks alone, as `queue_names` tells them.
        rest: as there.
    """
    known = queue_names(store, with_tasks=with_tasks, rest=rest) if any(map(globs.is_glob, names)) else []
    found, doubts = list[str](), list[str]()
    for name in names:
        globs.check(name, f"queue {name!r:.80}")
        queues = [queue for queue in known if globs.matches(name, queue)] if globs.is_glob(name) else [globs.literal(name)]
        found += queues
        doubts += [] if queues else [f"no queue matches {name!r} in {store}{_there_are(known)}"]
    return found, doubts


def doubts(store: Store, names: Sequence[str]) -> list[str]:
    """Return a sentence for each of these queues of which the store has no trace: its name may be misspelt.

    An empty plain queue leaves none either, so that nobody can tell. Nothing, where the server does not list its keys.
    """
    try:
        known = queue_names(store) if names else []
    except STORE_ERRORS:
        return []
    near = {name: did_you_mean(name, known) or _there_are(known) for name in names if name not in known}
    return [
        f"there is no trace of a queue {name!r} in {store} (an empty one may leave none){hint}" for name, hint in near.items()
    ]


def _there_are(known: Sequence[str]) -> str:
    shown = ", ".join(map(printable, known[:10])) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    return f"; there {'is' if len(known) == 1 else 'are'} {shown}" if known else "; there is none at all"


def server_version(store: Store) -> str:
    """Return what answers, such as ``Redis 7.0.15`` or ``Valkey 9.1.2``."""
    reply = store.command(keys.PREFIX, "INFO", "server", doing="asking the server for its version")
    said = dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    if valkey := said.get("valkey_version"):
        return f"Valkey {valkey}"
    return f"Redis {said.get('redis_version', 'of unknown version')}"
