"""Where queues live: what an Address says, and how it is shown without its password. Pure; connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hotqueue.store.timeouts import PATIENCE

MEMORY = ":memory:"


@dataclass(frozen=True)
class Address:
    """Where queues live.

    Attributes:
        kind: "embedded", "server", "sentinel", "cluster" or "client".
        path: database file of an embedded server; None is the user's own.
        hosts: (host, port) pairs of sentinels or of cluster nodes.
        service: name of the master that the sentinels watch.
        options: keywords for the redis client.
        client: the caller's own redis client, for kind "client".
        patience: seconds that a call may take while the server cannot be reached; None is without end.
    """

    kind: str
    path: str | None = None
    durability: str = "everysec"
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    client: Any = None
    patience: float | None = PATIENCE

    @property
    def is_cluster(self) -> bool:
        """True when keys of different queues may live on different servers."""
        return self.kind == "cluster" or hasattr(self.client, "get_node_from_key")

    def __str__(self) -> str:
        """Return the address for logs and messages, password masked."""
        if self.kind == "embedded":
            return f"embedded server of {self.path or 'the default database file'}"
        if self.kind == "client":
            return f"the given {type(self.client).__name__} client"
        if self.kind in ("sentinel", "cluster"):
            hosts = ",".join(f"{h}:{p}" for h, p in self.hosts)
            tail = f"/{self.service}/{self.options.get('db', 0)}" if self.service else ""
            return f"redis+{self.kind}://{_masked(self.options)}{hosts}{tail}"
        if socket := self.options.get("unix_socket_path"):
            return f"unix://{_masked(self.options)}{socket}?db={self.options.get('db', 0)}"
        scheme = "rediss" if self.options.get("ssl") else "redis"
        host, port = self.options.get("host", "localhost"), self.options.get("port", 6379)
        return f"{scheme}://{_masked(self.options)}{host}:{port}/{self.options.get('db', 0)}"


def _masked(options: dict[str, Any]) -> str:
    if options.get("password"):
        return f"{options.get('username') or ''}:***@"
    return f"{options['username']}@" if options.get("username") else ""
