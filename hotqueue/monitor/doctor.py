"""The doctor: looks for what is wrong, or soon will be, with a store, its server, queues and workers; and with a module of tasks.

Each finding says what to do. Reads only; one examination that fails hides none of the others.
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from hotqueue import __version__, embedded, key_types, keys
from hotqueue.errors import STORE_ERRORS, CannotLoad, ConnectionFailed
from hotqueue.monitor import crowd, inventory
from hotqueue.monitor.workers import workers
from hotqueue.plurals import plural, word
from hotqueue.queue import HotQueue
from hotqueue.store.store import Store
from hotqueue.tasks.supervisor.preflight import check_server
from hotqueue.tasks.worker.loading import load
from hotqueue.tasks.worker.queue_making import QueueMaking

OK, NOTE, PROBLEM = "ok", "note", "problem"
SLOW = 0.05  # seconds of a round trip from which on each call is slow
FULL = 0.9  # of the server's memory
CLOCK = 2.0  # seconds that two clocks may differ
EXPECTED = (*STORE_ERRORS, CannotLoad)  # what an examination may find instead of an answer
KEYS = 20_000  # that are looked at for keys that are nobody's


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    Attributes:
        level: OK, NOTE or PROBLEM.
        about: what was looked at, in a word.
        text: what was found, and what to do about it.
    """

    level: str
    about: str
    text: str


def examine(store: Store, modules: Sequence[str] = ()) -> Iterator[Finding]:
    """Yield what is found, one thing after another."""
    yield Finding(OK, "versions", f"hotqueue {__version__}, Python {platform.python_version()}, {platform.system()}")
    try:
        began = time.monotonic()
        store.command(keys.PREFIX, "PING", doing="reaching the server")
        yield from _server(store, time.monotonic() - began)
    except EXPECTED as error:
        yield Finding(PROBLEM, "server", str(error))
    else:
        for about, look in _EXAMINATIONS:
            yield from _guarded(about, look, store)
    if store.embedded is not None:
        yield from _guarded("files", _files, store)
    for module in modules:
        yield from _guarded("module", partial(_module, module), store)


def _guarded(about: str, look: Callable[[Store], Iterator[Finding]], store: Store) -> Iterator[Finding]:
    try:
        yield from look(store)
    except EXPECTED as error:
        yield Finding(PROBLEM, about, str(error))


# --- the server ------------------------------------------------------------------------------------------------------


def _server(store: Store, seconds: float) -> Iterator[Finding]:
    for _ in range(9):  # the first may have started it, or connected
        began = time.monotonic()
        store.command(keys.PREFIX, "PING")
        seconds = min(seconds, time.monotonic() - began)
    said = f"{store} answers in {seconds * 1000:.2g} ms"
    far = f"{said}: each call takes that long; run programs and workers nearer to it, and send many calls at once (task.map)"
    yield Finding(NOTE, "server", far) if seconds > SLOW else Finding(OK, "server", said)


def _version(store: Store) -> Iterator[Finding]:
    try:
        yield Finding(OK, "server", inventory.server_version(store))
    except EXPECTED:
        yield Finding(NOTE, "server", f"{store} does not say which version it is: this user may not ask (INFO)")
        return
    dangers = check_server(store)
    for level, text in dangers:
        yield Finding(PROBLEM if level >= logging.ERROR else NOTE, "durability", text)
    if not dangers:
        yield Finding(OK, "durability", "nothing is thrown away when memory is full, and what was written is kept")


def _memory(store: Store) -> Iterator[Finding]:
    try:
        said = crowd.server(store)
    except EXPECTED:
        return  # of a user who may not ask, as was said
    used = f"{said.memory / 1e6:,.0f} MB of memory"
    if not said.max_memory:
        yield Finding(OK, "memory", f"{used} are used; no maxmemory is set")
        return
    share = f"{used} are used, {100 * said.memory / said.max_memory:.0f} % of maxmemory"
    if said.memory > FULL * said.max_memory:
        text = f"{share}: a full server takes no task; drain the queues, or raise maxmemory (CONFIG SET maxmemory)"
        yield Finding(PROBLEM, "memory", text)
    else:
        yield Finding(OK, "memory", share)
    if said.policy.startswith("volatile-"):
        text = f"when memory is full, {store} throws away what has a time to live, such as results: its maxmemory-policy is"
        yield Finding(NOTE, "memory", f"{text} {said.policy}; set it to noeviction (CONFIG SET maxmemory-policy noeviction)")


def _clock(store: Store) -> Iterator[Finding]:
    before = time.time()
    seconds, micros = store.command(keys.PREFIX, "TIME")
    behind = (before + time.time()) / 2 - (int(seconds) + int(micros) / 1e6)
    if abs(behind) > CLOCK:
        text = f"this machine's clock is {abs(behind):.1f} s {'ahead of' if behind > 0 else 'behind'} the server's"
        yield Finding(PROBLEM, "clock", f"{text}: countdowns, expiries and schedules are off by that; have both keep time (NTP)")
    else:
        yield Finding(OK, "clock", f"within {max(0.1, abs(behind)):.1f} s of the server's")


def _permissions(store: Store) -> Iterator[Finding]:
    names = inventory.queue_names(store)
    key = keys.tasks(names[0] if names else "doctor")
    try:
        store.command(key, "HDEL", key, "", doing="trying to write")  # as every script begins; there is no such task
    except EXPECTED as error:
        if isinstance(error, ConnectionFailed) and not error.retry:  # else it is no matter of who asks: a full disk, a replica
            text = f"this user may only read ({error}); programs and workers need more: examples/redis-acl.conf"
            yield Finding(NOTE, "permissions", text)
        else:
            yield Finding(PROBLEM, "permissions", f"nothing can be written: {error}")
    else:
        yield Finding(OK, "permissions", "this user may read and write")


# --- what is in it ---------------------------------------------------------------------------------------------------


def _queues(store: Store) -> Iterator[Finding]:
    names = inventory.queue_names(store)
    for name, schema in inventory.schemas(store, names).items():
        if schema > keys.SCHEMA:
            text = f"queue {name!r} is of schema {schema}, this hotqueue knows {keys.SCHEMA}: upgrade hotqueue here"
            yield Finding(PROBLEM, "queue", text)
            continue
        yield from _queue(inventory.length(store, name))
    if not names:
        yield Finding(NOTE, "queues", f"there is no queue in {store}; is it the one that was meant?")


def _queue(found: inventory.Length) -> Iterator[Finding]:
    name = shlex.quote(found.name)  # in what is to be pasted into a shell
    if found.tasks - found.scheduled > 0 and not found.workers:
        text = f"{plural(found.tasks, 'task waits', 'tasks wait')} in queue {found.name!r}, and no worker listens there"
        yield Finding(PROBLEM, "queue", f"{text}: start one with hotqueue-worker")
    if found.suspects:
        text = f"{plural(found.suspects, 'task')} of queue {found.name!r} may have killed a process"
        yield Finding(PROBLEM, "queue", f"{text}: hotqueue tasks -Q {name}")
    if found.dead:
        text = f"{plural(found.dead, 'task')} of queue {found.name!r} {word(found.dead, 'is', 'are')} dead"
        yield Finding(NOTE, "queue", f"{text}: hotqueue tasks dead -Q {name}, then retry or discard")
    for what, more in _paused(found):
        yield Finding(NOTE, "queue", f"queue {found.name!r}: {what} is paused; hotqueue resume {name}{more}")
    if not (found.suspects or found.dead or (found.tasks and not found.workers)):
        text = f"{found.tasks} waiting, {found.running} running, {plural(found.workers, 'worker')}"
        yield Finding(OK, "queue", f"queue {found.name!r}: {text}")


def _paused(found: inventory.Length) -> Iterator[tuple[str, str]]:
    """Yield what is paused, and the options by which it is resumed."""
    if found.is_paused:
        yield "the queue", ""
    yield from ((f"task {each}", f" --task {shlex.quote(each)}") for each in found.paused_tasks)
    yield from ((f"key {each}", f" --key {shlex.quote(each)}") for each in found.paused_keys)


def _workers(store: Store) -> Iterator[Finding]:
    found = workers(store, inventory.queue_names(store))
    for worker in found:
        if worker.is_overdue:
            text = f"the lease of worker {worker.shown} has run out: it is stopped, cut off, or dead; others take its tasks"
            yield Finding(PROBLEM, "worker", text)
    versions = sorted({worker.version for worker in found if worker.version})
    if len(versions) > 1:
        text = f"workers have hotqueue {', '.join(versions)}: fine during an upgrade, to be finished some time"
        yield Finding(NOTE, "workers", text)
    if found:
        programs = len({worker.program for worker in found})
        yield Finding(OK, "workers", f"{len(found)} in {plural(programs, 'program')}")


def _keys(store: Store) -> Iterator[Finding]:
    """Look for keys in our part of the store that are nobody's."""
    seen, strange = 0, []
    held: list[str] = []
    for raw in islice(store.scan(f"{{{keys.PREFIX}*"), KEYS):
        seen += 1
        key = keys.text(raw)
        thing = key.partition("}:")[2]
        if thing.startswith("held:"):
            held.append(key)
        elif key_types.type_of(key) is None and not thing.startswith(_OF_MESSAGES):
            strange.append(key)
    more = f" (of the first {KEYS:,} that were looked at)" if seen == KEYS else ""
    if strange:
        text = f"{plural(len(strange), 'key is', 'keys are')} none of this hotqueue's{more}, such as {strange[0]!r:.120}"
        yield Finding(NOTE, "keys", f"{text}: a newer one's, or others'?")
    lost = [key for key in held if not _is_registered(store, key)]
    if lost:
        text = plural(len(lost), "worker holds tasks and is", "workers hold tasks and are")
        yield Finding(PROBLEM, "keys", f"{text} not registered, such as {lost[0]!r:.120}: start one, which restores them")
    if not (strange or lost):
        yield Finding(OK, "keys", f"{seen:,} looked at, each is known{more}")


_OF_MESSAGES = ("consuming:", "consumer:", "consumers", "came-back", "dead-messages", "taken:")


def _is_registered(store: Store, held: str) -> bool:
    name, worker = keys.name_of(held), held.partition("}:held:")[2]
    return store.command(keys.workers(name), "ZSCORE", keys.workers(name), worker) is not None


_EXAMINATIONS: tuple[tuple[str, Callable[[Store], Iterator[Finding]]], ...] = (
    *(("server", _version), ("memory", _memory), ("clock", _clock), ("permissions", _permissions)),
    *(("queues", _queues), ("workers", _workers), ("keys", _keys)),
)


# --- files and modules -----------------------------------------------------------------------------------------------


def _files(store: Store) -> Iterator[Finding]:
    assert store.embedded is not None
    path = store.embedded.path
    if not os.path.isabs(path) or not os.path.exists(os.path.dirname(path)):
        return
    facts: dict[str, Any] = embedded.status(path)
    if not facts.get("disk_ok", True):
        yield Finding(PROBLEM, "files", f"the disk of {path} is full: nothing can be written; make room there")
    if facts["last_error"]:
        text = f"the server of {path} last complained: {facts['last_error']} (all of it: {facts['log']})"
        yield Finding(NOTE, "files", text)
    if facts.get("disk_ok", True) and not facts["last_error"]:
        yield Finding(OK, "files", f"{path}, {plural(facts['database_bytes'] + facts['journal_bytes'], 'byte')}")


def _module(name: str, store: Store) -> Iterator[Finding]:
    """Import a module as a worker would: its mistakes are findings."""
    for registry in load([name], [], QueueMaking(HotQueue)):
        tasks = sorted(registry.tasks)
        shown = ", ".join(tasks[:10]) + (f" and {len(tasks) - 10} more" if len(tasks) > 10 else "")
        said = f"{name} defines queue {registry.name!r} at {registry.store} with {shown or 'no task'}"
        if str(registry.store) != str(store):  # addresses may say how as well: a timeout, a relative name
            yield Finding(NOTE, "module", f"{said}; that is not {store}, which was examined here")
        else:
            yield Finding(OK, "module", said)
