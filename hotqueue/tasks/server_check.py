"""Is the server that answers fit to keep tasks? A worker asks once, at its start."""

from __future__ import annotations

from hotqueue import keys
from hotqueue.connection import Store
from hotqueue.errors import ConfigError, HotQueueError

OLDEST = (6, 2)  # of Redis


def check_server(store: Store) -> list[str]:
    """Return what is dangerous about the server that answers, as sentences.

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
    policy = said.get("maxmemory_policy", "")
    if policy.startswith("allkeys-"):
        return [
            f"{store} may throw away tasks when its memory is full: its maxmemory-policy is {policy}; "
            "set it to noeviction (CONFIG SET maxmemory-policy noeviction)"
        ]
    return []
