"""Copying queues from one store to another: a database file, or a server by its URL, each of them in use or not.

Every copy goes through a private server: it begins as one moment of the source, is put in order there (what workers and
consumers held waits again, for they are not in the copy), and is then saved as a file or written out queue by queue. A queue
appears at its target all at once. Why it is so: docs/decisions/0026. Prints nothing; speaks to Redis through `Store`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hotqueue import keys
from hotqueue.embedded import maintenance, snapshot
from hotqueue.embedded.files import MEMORY
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.store import scripts
from hotqueue.store.address import Address
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.transfer.hold_up import refuse_if_long
from hotqueue.transfer.key_copy import copy_key
from hotqueue.transfer.key_names import beside, known_of, list_of, tag_of, thing_of

STAY_MS = 6 * 3_600_000  # how long what was written beside its place stays, if nobody comes back for it
RESULT_MS = 3_600_000  # how long a result stays of which nobody else says
LARGE = 1 << 18  # bytes of a result that is copied by itself
MANY = 200  # results at once

# What a copy leaves out: it belongs to processes that wait, to a get or a run under way, or to a copy that was begun.
LEFT_OUT = (b"reply:", b"waiters", b"taken:", b"progress:", b"stream:", b"streamed:", b"export:", b"import:", b"claims")
RESULT = b"result:"

SNAPSHOT = scripts.load("hotqueue.transfer.lua", "snapshot", "members")
SWAP_IN = scripts.load("hotqueue.transfer.lua", "swap_in", "members")
READ_RESULTS = scripts.load("hotqueue.transfer.lua", "read_results")
WRITE_RESULTS = scripts.load("hotqueue.transfer.lua", "write_results")
LEAVE = scripts.load("hotqueue.messages.lua", "leave", "held")

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Copied:
    """What an export did.

    Attributes:
        source: where it came from.
        target: where it is now.
        queues: how many there are.
        messages: raw messages in them.
        tasks: unfinished tasks in them.
        left_out: keys that are no queue's, and were not copied.
    """

    source: str
    target: str
    queues: int
    messages: int
    tasks: int
    left_out: int


@dataclass
class Kept:
    """The keys of one queue that a copy has: those that change together, and the results."""

    state: list[bytes] = field(default_factory=list)
    results: list[bytes] = field(default_factory=list)


def export(
    source: str, target: str, *, replace: bool = False, hold_up: bool = False, progress: Progress = lambda written: None
) -> Copied:
    """Copy all queues from one place to another, each a database file or a URL.

    Between two files everything else in them is copied as well; where a server is one of the two, queues alone.

    Args:
        replace: what is there may be lost: the whole file, or on a server the queues of the same names.
        hold_up: the source, if it is a server, may be kept from everything else for as long as it takes.
        progress: called again and again with how many bytes were written since.

    Raises:
        NewerQueue: a queue there, or one that would be replaced, has a schema that this version does not know.
        ConfigError: one of them is no place for data, or holds some already and `replace` is not given; the source is a server
            and a queue of it is too large to be copied at one moment, and `hold_up` is not given.
        ConnectionFailed: one of them could not be reached, or was lost on the way: run it once more.
    """
    from_where, to_where = _place(source), _place(target)
    if from_where == to_where:
        raise ConfigError(f"{source} cannot be copied onto itself: name another target")
    _check_target(to_where, replace)
    with contextlib.ExitStack() as opened:
        taken = _taken(from_where, opened, hold_up, progress)
        for name in kept_in(taken):
            _put_in_order(taken, name)
        for key in taken.scan(f"*{keys.PREFIX}*"):
            if list_of(key) and thing_of(key).startswith(LEFT_OUT):
                taken.command(key, "UNLINK", key)
        left_out = _deliver(taken, to_where, opened, replace, progress)
        return _summary(taken, _label(from_where), _label(to_where), left_out)


def kept_in(store: Store) -> dict[bytes, Kept]:
    """Return what a copy of a store has, by the lists of its queues, which are their names in keys; they need not be text."""
    found: dict[bytes, Kept] = {}
    for key in sorted(set(store.scan(f"*{keys.PREFIX}*"))):
        name, thing = list_of(key), thing_of(key)
        if name and not thing.startswith(LEFT_OUT):
            kept = found.setdefault(name, Kept())
            (kept.results if thing.startswith(RESULT) else kept.state).append(key)
    return found


def _place(text: str) -> Address:
    where = resolve(url=text) if "://" in text else resolve(dbfilename=text)
    if where.kind != "embedded":
        return where
    if where.path == MEMORY:
        raise ConfigError(f"a {MEMORY} database is seen by the process that made it alone; name a file or a URL")
    return Address("embedded", path=EmbeddedServer(where.path).path)


def _label(where: Address) -> str:
    return str(where.path) if where.kind == "embedded" else str(where)


def _check_target(where: Address, replace: bool) -> None:
    if where.kind == "embedded":
        snapshot.check_place(_label(where), replace=replace)
        return
    with contextlib.closing(Store(where)) as store:
        there = [keys.text(name).removeprefix(keys.PREFIX) for name in kept_in(store)]
    if there and not replace:
        shown = ", ".join(there[:5]) + (" …" if len(there) > 5 else "")
        raise ConfigError(f"{where} holds queues already ({shown}): say --replace to lose those of the same names")


def _summary(store: Store, source: str, target: str, left_out: int) -> Copied:
    names = list(kept_in(store))
    messages = sum(int(store.command(name, "LLEN", name)) for name in names)
    tasks = sum(int(store.command(name, "HLEN", tag_of(name) + b"tasks")) for name in names)
    return Copied(source, target, len(names), messages, tasks, left_out)


# One moment of the source


def _taken(where: Address, opened: contextlib.ExitStack, hold_up: bool, progress: Progress) -> Store:
    """Return a private server that holds what the source holds at this moment; of a server, each queue at a moment of its own."""
    if where.kind == "embedded":
        maintenance.status(where.path)  # refuses what is not there, where opening it would make it
        with contextlib.closing(EmbeddedServer(where.path)) as source:
            return _private(opened, source)
    taken = _private(opened)
    with contextlib.closing(Store(where)) as server:
        for name, kept in () if hold_up else kept_in(server).items():
            refuse_if_long(server, name, known_of(name, kept.state))
        for name, kept in kept_in(server).items():
            _take_queue(server, taken, name, kept.state, progress)
        for name, kept in kept_in(server).items():  # after the tasks: one that has ended meanwhile is in the copy, unfinished
            _copy_results(server, taken, kept.results, progress, known=(tag_of(name) + b"tasks", tag_of(name) + b"owned"))
    return taken


def _private(opened: contextlib.ExitStack, source: EmbeddedServer | None = None) -> Store:
    return opened.enter_context(contextlib.closing(Store(Address("embedded", path=MEMORY), EmbeddedServer.private(source))))


def _take_queue(source: Store, taken: Store, name: bytes, state: list[bytes], progress: Progress) -> None:
    """Copy a queue that is in use: what changes together is copied at one moment, in the server, and read at leisure."""
    doing = f"copying queue {keys.text(name)}"
    frozen = source.run(SNAPSHOT, known_of(name, state), [STAY_MS], doing)
    began = time.monotonic()
    try:
        for key, copy, left in frozen:
            copy_key(source, copy, taken, key, _still(left, began), progress)
    finally:
        gone = sum(source.command(copy, "UNLINK", copy, doing=doing) for _, copy, _ in frozen)
    if gone < len(frozen):
        raise ConnectionFailed(
            f"{doing}: it took longer than {STAY_MS // 3_600_000} hours, and its copy has expired", retry=False
        )


def _put_in_order(taken: Store, name: bytes) -> None:
    """Put back what workers and consumers held: in the copy there are none."""
    broker = Broker(taken, keys.text(name).removeprefix(keys.PREFIX))
    broker.check_schema()
    for worker in taken.command(name, "ZRANGE", tag_of(name) + b"workers", 0, -1):
        broker.reap(keys.text(worker), known_dead=True)
    for consumer in taken.command(name, "ZRANGE", tag_of(name) + b"consumers", 0, -1):
        things = (b"consuming:" + consumer, b"consumer:" + consumer, b"came-back", b"dead-messages", b"consumers")
        taken.run(
            LEAVE, [name, *(tag_of(name) + thing for thing in things)], [1 << 50, "back", consumer], "giving back a message"
        )


# The target


def _deliver(taken: Store, where: Address, opened: contextlib.ExitStack, replace: bool, progress: Progress) -> int:
    """Bring what was taken to its target; return how many keys are no queue's and stay behind."""
    assert taken.embedded is not None
    if where.kind == "embedded" and taken.embedded.is_readable_here():
        taken.embedded.export(_label(where), replace=replace)
        return 0
    is_file = where.kind == "embedded"  # then by way of a server of the kind that opens files here
    target = _private(opened) if is_file else opened.enter_context(contextlib.closing(Store(where)))
    old = kept_in(target) if replace else {}
    for name, kept in kept_in(taken).items():
        _bring_queue(taken, target, name, kept, old.get(name, Kept()) if replace else None, progress)
    if target.embedded is not None:
        target.embedded.export(_label(where), replace=replace)
    return sum(not list_of(key) for key in taken.scan("*"))


def _bring_queue(taken: Store, target: Store, name: bytes, kept: Kept, old: Kept | None, progress: Progress) -> None:
    """Write a queue beside its place, then its results, and have it appear at once: who is killed in between leaves no half.

    Args:
        old: what is replaced; None: nothing may be.
    """
    if old is not None:
        Broker(target, keys.text(name).removeprefix(keys.PREFIX)).check_schema()  # we do not know all that it has
    began = time.monotonic()
    lives: dict[bytes, int | str] = {}  # key → ms to live; "": of what is replaced
    owned = _owned_results(taken, name)
    for key in [*kept.state, *(key for key in kept.results if key in owned)]:
        left = int(taken.command(key, "PTTL", key))
        if left != -2:
            lives[key] = left
            copy_key(taken, key, target, beside(name, key), STAY_MS, progress)
    for key in old.results if old else ():
        target.command(key, "UNLINK", key)
    _copy_results(taken, target, [key for key in kept.results if key not in owned], progress)
    lives = {key: _still(int(left), began) for key, left in lives.items()}
    lives |= {key: "" for key in (old.state if old else ()) if key not in lives}
    doing = f"writing queue {keys.text(name)}"
    in_the_way = target.run(SWAP_IN, [name, *lives], ["replace" if old else "", *lives.values()], doing)
    if in_the_way != 1:
        raise ConfigError(f"{doing} at {target}: {keys.text(in_the_way)} is there by now: say --replace to lose it")


def _owned_results(store: Store, name: bytes) -> set[bytes]:
    """Return the results of a queue that stay as long as others own them: they appear with these."""
    fields = store.command(name, "HKEYS", tag_of(name) + b"owned")
    return {tag_of(name) + RESULT + field for field in fields if not field.startswith(b"\n")}


def _copy_results(
    source: Store, target: Store, results: Sequence[bytes], progress: Progress, known: tuple[bytes, ...] = ()
) -> None:
    """Copy the results of one queue.

    Args:
        known: hashes of the target: of tasks, which have no result yet, and of results that are owned, which it has already.
    """
    for start in range(0, len(results), MANY):
        some = list(results[start : start + MANY])
        for fields in known if some else ():
            found = target.command(fields, "HMGET", fields, *(thing_of(key).removeprefix(RESULT) for key in some))
            some = [key for key, value in zip(some, found, strict=True) if value is None]
            if not some:
                break
        found = source.run(READ_RESULTS, some, [LARGE], "reading results") if some else []
        small: dict[bytes, tuple[bytes, int]] = {}
        for key, value, left in zip(some, found[::2], found[1::2], strict=True):
            if known and left == -1:  # it is owned since that moment, by what is not in the copy
                left = RESULT_MS
            if value is not None and left != -2:
                small[key] = (value, left)
            elif left != -2:
                copy_key(source, key, target, key, left, progress)
        if small:
            target.run(WRITE_RESULTS, list(small), [word for pair in small.values() for word in pair], "writing results")
            progress(sum(len(value) for value, _ in small.values()))


def _still(left: int, began: float) -> int:
    """Return what is left to live of so many ms after some time; -1 is for ever, 0 is over."""
    return left if left < 0 else max(0, left - int((time.monotonic() - began) * 1000))
