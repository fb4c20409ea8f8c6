"""Is the server that answers fit to keep tasks? A worker asks once, at its start."""

from __future__ import annotations

import logging

from hotqueue import keys
from hotqueue.connection import PATIENCE, Store
from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.tasks.broker import Broker

log = logging.getLogger("hotqueue.worker")

OLDEST = (6, 2)  # of Redis


def check_queues(found: list[tuple[str, Store]]) -> HotQueueError | None:
    """Return why queues cannot be worked at, if so; log what is dangerous about their servers."""
    try:
        for store in {id(store): store for _, store in found}.values():
            store.repeat(lambda store=store: store.command("hotqueue", "PING"), patience=PATIENCE)  # type: ignore[misc]
            for level, danger in check_server(store):
                log.log(level, "%s", danger)
        for name, store in found:
            _check_permission(Broker(store, name))
    except HotQueueError as error:
        return error
    return None


def _check_permission(broker: Broker) -> None:
    """Run a script that changes nothing. What may heal while we wait is the workers' affair."""
    try:
        broker.sweep(0, [])
    except ConnectionFailed as error:
        if not error.retry:
            raise
    except HotQueueError:
        pass


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
