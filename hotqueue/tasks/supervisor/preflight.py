"""Is the server that answers fit to keep tasks? A worker asks once, at its start."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from hotqueue import keys
from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.store.store import Store
from hotqueue.store.timeouts import PATIENCE
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.broker import Broker

log = logging.getLogger("hotqueue.worker")

OLDEST = (6, 2)  # of Redis
WHERE_OTHERS_ARE = 1.0  # seconds that a server is waited for while others may be there

Checked = tuple[list[Broker], HotQueueError | None]


def check_queues(found: list[tuple[str, Store]]) -> HotQueueError | None:
    """Return why queues cannot be worked at, if so; log what is dangerous about their servers.

    Of several servers, those that are away are only logged: the others' queues must not wait for them.
    """
    stores: dict[int, list[Broker]] = {}
    for name, store in found:
        stores.setdefault(id(store), []).append(Broker(store, name))
    is_one = len(stores) == 1 and not next(iter(stores.values()))[0].store.is_cluster
    answers = _check_all(list(stores.values()), PATIENCE if is_one else WHERE_OTHERS_ARE)
    failed = [(brokers, error) for brokers, error in answers if error is not None]
    for _, error in failed:
        if not (isinstance(error, ConnectionFailed) and error.retry):
            return error
    if failed and len(failed) == len(answers):
        return failed[0][1] if is_one else _check_patiently(list(stores.values()))
    for brokers, error in failed:
        names = ", ".join(broker.name for broker in brokers[:5]) + (f" and {len(brokers) - 5} more" if len(brokers) > 5 else "")
        log.error("%s; the queues there wait for it (%s), the others begin", error, names)
    return _named_twice(stores.values())


def _named_twice(stores: Iterable[list[Broker]]) -> ConfigError | None:
    """Return what is wrong with a queue that modules name in two ways: a worker would take it for two, and run tasks twice."""
    by_name: dict[str, list[Store]] = {}
    for broker in (each for some in stores for each in some if not each.store.is_cluster):
        by_name.setdefault(broker.name, []).append(broker.store)
    for name, places in by_name.items():
        seen: dict[tuple[str, str], Store] = {}
        for store in places if len(places) > 1 else []:
            one = seen.setdefault(_identity(store), store)
            if one is not store:
                text = f"queue {name!r} is defined at {one} and at {store}, which is one place; write both in the same way"
                return ConfigError(text)
    return None


def _identity(store: Store) -> tuple[str, str]:
    """Return which run of a server it is, and which database; what nothing else is like, where the server does not say."""
    try:
        with store.limited(WHERE_OTHERS_ARE):
            said = store.command(keys.PREFIX, "INFO", "server", doing="asking the server which one it is").decode(
                errors="replace"
            )
    except HotQueueError:
        said = ""
    run = next((line for line in said.splitlines() if line.startswith("run_id:")), f"unknown: {store}")
    return run, str(store.address.options.get("db") or 0)


def _check_patiently(stores: list[list[Broker]]) -> HotQueueError | None:
    """Wait until one of the servers is there; return why, if that takes too long."""
    until = time.monotonic() + PATIENCE
    while True:
        answers = _check_all(stores, WHERE_OTHERS_ARE)
        errors = [error for _, error in answers if error is not None]
        if len(errors) < len(answers):
            return None
        if time.monotonic() > until:
            return errors[0]


def _check_all(stores: list[list[Broker]], patience: float) -> list[Checked]:
    """Check servers side by side."""
    answers: list[list[Checked]] = [[] for _ in stores]

    def check(n: int) -> None:
        with stores[n][0].store.limited(patience):
            answers[n] = _check_store(stores[n], patience)

    threads = [threading.Thread(target=check, args=(n,), daemon=True) for n in range(1, len(stores))]
    for thread in threads:
        thread.start()
    check(0)
    for thread in threads:
        thread.join()
    return [answer for each in answers for answer in each]


def _check_store(brokers: list[Broker], patience: float) -> list[Checked]:
    """Check the queues of one store; of a Cluster, each node for itself."""
    store = brokers[0].store
    try:
        store.repeat(store.client, patience=patience)
    except HotQueueError as error:
        return [(brokers, error)]
    places: dict[str, list[Broker]] = {}
    for broker in brokers:
        places.setdefault(store.place_of(keys.tasks(broker.name)), []).append(broker)
    answers: list[Checked] = [(some, _check_place(some, patience)) for some in places.values()]
    if any(error is None for _, error in answers):
        try:
            for level, danger in check_server(store):
                log.log(level, "%s", danger)
        except HotQueueError as error:
            return [(brokers, error)]
    return answers


def _check_place(brokers: list[Broker], patience: float) -> HotQueueError | None:
    """Run a script that changes nothing. What may heal while we wait is the workers' affair."""
    store, key = brokers[0].store, keys.tasks(brokers[0].name)
    try:
        store.repeat(lambda: store.command(key, "PING"), patience=patience)
    except HotQueueError as error:
        return error
    try:
        for answer in many_queues.sweep(brokers, 0, []):
            if isinstance(answer, ConnectionFailed) and not answer.retry:
                return answer
    except ConnectionFailed as error:
        return None if error.retry else error
    except HotQueueError:
        pass
    return None


def check_server(store: Store) -> list[tuple[int, str]]:
    """Return what is dangerous about the server that answers, as log levels and sentences.

    Raises:
        ConfigError: it is too old.
    """
    try:
        reply = store.command(keys.PREFIX, "INFO", "everything", doing="asking the server for its version")
    except HotQueueError:
        return []  # a server that does not let us ask
    said = dict(line.split(":", 1) for line in reply.decode(errors="replace").splitlines() if ":" in line)
    version = said.get("redis_version", "")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST and version:
        raise ConfigError(f"{store} is Redis {version}; hotqueue needs Redis {OLDEST[0]}.{OLDEST[1]} or newer (or Valkey)")
    found = []
    policy = said.get("maxmemory_policy", "")
    if policy.startswith("allkeys-"):
        text = (
            f"{store} may throw away tasks when its memory is full: its maxmemory-policy is {policy}; "
            "set it to noeviction (CONFIG SET maxmemory-policy noeviction)"
        )
        found.append((logging.ERROR, text))
    if store.embedded is None and said.get("aof_enabled", "").strip() == "0":  # of an embedded server we see to that
        text = (
            f"{store} forgets the tasks since its last snapshot when it is killed: its appendonly is no; "
            "set it to yes (CONFIG SET appendonly yes, and the same in its configuration file)"
        )
        found.append((logging.WARNING, text))
    return found
