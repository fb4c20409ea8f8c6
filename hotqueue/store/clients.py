"""An address → redis-py clients, sync and asyncio, built explicitly: none of them retries."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from hotqueue.errors import ConfigError
from hotqueue.runtime.ending import in_thread
from hotqueue.store.address import Address
from hotqueue.store.sentinel import Watch
from hotqueue.store.timeouts import COMMAND_TIMEOUT, CONNECT_TIMEOUT

if TYPE_CHECKING:
    from hotqueue.embedded.server import EmbeddedServer

ENOUGH = 10_000  # connections of an asyncio cluster client to one node; how many are used is bounded in loop_client
DISTRUSTED = 30.0  # seconds for which a node of a Cluster that failed is not asked for the layout

# What a caller's client may say about its own pool that ours must decide.
_OURS = ("retry", "retry_on_timeout", "retry_on_error", "socket_timeout", "decode_responses", "protocol", "health_check_interval")


class _Cluster(redis.RedisCluster):
    """A client of a Cluster by which a command can follow its key, its reply as the server sends it."""

    def get_redis_connection(self, node: Any) -> Any:
        """Return the client of one node."""
        made = super().get_redis_connection(node)
        if "parse_response" not in vars(made):
            made.parse_response = partial(_reply, made.parse_response)  # type: ignore[method-assign]
        return made


def _reply(parse: Callable[..., Any], connection: Any, name: str, *, as_sent: bool = False, **options: Any) -> Any:
    """Return a reply: what redis-py makes of it, or what came."""
    return connection.read_response() if as_sent else parse(connection, name, **options)


def _settings(options: dict[str, Any], retry: Any) -> dict[str, Any]:
    """Return client keywords: the caller's, with ours over those that decide whether a command can run twice."""
    kept = {k: v for k, v in options.items() if k not in _OURS}
    kept.setdefault("socket_connect_timeout", CONNECT_TIMEOUT)
    return {**kept, "socket_timeout": COMMAND_TIMEOUT, "retry": retry, "protocol": 2, "decode_responses": False}


def _async_settings(options: dict[str, Any], retry: Any) -> dict[str, Any]:
    """Return client keywords for asyncio, without a socket timeout: loop_client has its own.

    With one, redis-py sends inside `asyncio.wait_for`, which on Python 3.11 can swallow a cancellation.
    """
    return {**_settings(options, retry), "socket_timeout": None}


def build(address: Address, server: EmbeddedServer | None) -> Any:
    """Return the sync client of an address."""
    once = Retry(NoBackoff(), 0)
    if address.kind == "client":
        return _from_client(address.client, once)
    if server is not None:
        return redis.Redis(unix_socket_path=server.ensure(), **_settings({}, once))
    settings = _settings(address.options, once)
    if address.kind == "server":
        return redis.Redis(**_tcp(settings))
    if address.kind == "sentinel":
        sentinels = Sentinel(address.hosts, sentinel_kwargs=_sentinel_settings(address, settings, once), **_tcp(settings))
        return sentinels.master_for(address.service, redis_class=redis.Redis)
    nodes = [redis.cluster.ClusterNode(host, port) for host, port in address.hosts]
    return _Cluster(startup_nodes=nodes, **_cluster_settings(settings))


def build_async(address: Address, server: EmbeddedServer | None) -> Any:
    """Return an asyncio client of an address, for the running event loop."""
    once = AsyncRetry(NoBackoff(), 0)
    if address.kind == "client":
        return _async_from_client(address.client, once)
    if server is not None:
        return aredis.Redis(unix_socket_path=server.ensure(), **_async_settings({}, once))
    settings = _async_settings(address.options, once)
    if address.kind == "server":
        return aredis.Redis(**_tcp(settings))
    if address.kind == "sentinel":
        sentinels = aredis.Sentinel(address.hosts, sentinel_kwargs=_sentinel_settings(address, settings, once), **_tcp(settings))
        return sentinels.master_for(address.service, redis_class=aredis.Redis)
    nodes = [aredis.cluster.ClusterNode(host, port) for host, port in address.hosts]
    return aredis.RedisCluster(startup_nodes=nodes, max_connections=ENOUGH, **_cluster_settings(settings))


def watch(client: Any, *, beside: bool) -> Watch | None:
    """Have a sync client of sentinels find its master by the word of all of them; None for any other client."""
    pool = getattr(client, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    if pool is None or manager is None:
        return None
    force_ip = getattr(manager, "_force_master_ip", None)
    made = Watch(manager.sentinels, pool.service_name, manager.check_master_state, force_ip, beside=beside)
    manager.discover_master = made.ask
    return made


def follow(client: Any, made: Watch) -> None:
    """Have an asyncio client find its master in the same way."""

    async def discover_master(_service: str) -> tuple[str, int]:
        return await in_thread(made.ask)

    client.connection_pool.sentinel_manager.discover_master = discover_master


def _tcp(settings: dict[str, Any]) -> dict[str, Any]:
    return settings if settings.get("unix_socket_path") else {"socket_keepalive": True, **settings}


def _cluster_settings(settings: dict[str, Any]) -> dict[str, Any]:
    if settings.get("db"):
        raise ConfigError(f"a Redis Cluster has only database 0, not {settings['db']}")
    return {k: v for k, v in _tcp(settings).items() if k != "db"}


def _sentinel_settings(address: Address, settings: dict[str, Any], once: Any) -> dict[str, Any]:
    tls = {k: v for k, v in settings.items() if k.startswith("ssl")}
    times = {"socket_timeout": CONNECT_TIMEOUT, "socket_connect_timeout": CONNECT_TIMEOUT}
    return {**times, "retry": once, **tls, **address.sentinel_options}


def portable(client: Any) -> Address:
    """Return an address that says what the settings of a caller's client say. It can be pickled, which the client cannot.

    Raises:
        ConfigError: they name something that lives in this process only; says which.
    """
    if hasattr(client, "nodes_manager"):
        options = _cluster_keywords(client)
        return Address("cluster", hosts=tuple(sorted(_nodes_of(client))), options=_plain(options, client))
    pool = client.connection_pool
    if pool.connection_class.__module__.partition(".")[0] != "redis":
        raise _stays_here(client, f"its connection_class is {pool.connection_class.__qualname__}")
    options = _plain(_keywords(pool, redis.Redis), client)
    if not hasattr(pool, "sentinel_manager"):
        return Address("server", options=options)
    hosts, asking = _sentinels_of(pool)
    return Address(
        "sentinel", hosts=tuple(hosts), service=pool.service_name, sentinel_options=_plain(asking, client), options=options
    )


def _plain(options: dict[str, Any], client: Any) -> dict[str, Any]:
    """Return keywords without those that we decide, all of them plain values, or objects of redis-py's own."""
    kept = {name: value for name, value in options.items() if name not in _OURS}
    for name, value in kept.items():
        if not _is_plain(value):
            raise _stays_here(client, f"its {name} is {value!r:.80}")
    return kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    of_redis = type(value).__module__.partition(".")[0] == "redis"
    return value is None or of_redis or isinstance(value, str | bytes | int | float | os.PathLike)


def _stays_here(client: Any, why: str) -> ConfigError:
    return ConfigError(
        f"a queue made with redis={type(client).__name__}(...) cannot leave this process: {why}, which cannot go along; name the "
        "store with url= instead (hotqueue-worker: -u URL)"
    )


def _keywords(pool: Any, factory: Any) -> dict[str, Any]:
    """Return the settings of a pool as keywords of a client class, as far as that knows them and does not do so by itself."""
    options = _portable(pool.connection_kwargs)
    if "SSL" in pool.connection_class.__name__:
        options["ssl"] = True
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    known = inspect.signature(factory.__init__).parameters
    return {name: value for name, value in options.items() if name in known and value is not known[name].default}


def _cluster_keywords(client: Any) -> dict[str, Any]:
    options = _portable(client.nodes_manager.connection_kwargs)
    connection_class = options.pop("connection_class", None)  # of a rediss:// URL
    if "SSL" in getattr(connection_class, "__name__", ""):
        options["ssl"] = True
    return options


def _nodes_of(client: Any) -> list[tuple[str, int]]:
    return [(node.host, node.port) for node in client.nodes_manager.startup_nodes.values()]


def _sentinels_of(pool: Any) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Return where a pool's sentinels are, and the keywords of their connections."""
    manager = pool.sentinel_manager
    hosts = [_host_port(sentinel) for sentinel in manager.sentinels]
    return hosts, {name: value for name, value in _portable(manager.sentinel_kwargs).items() if name != "retry"}


def _from_client(client: Any, once: Any) -> Any:
    """Return a client with the settings of the caller's and a pool of our own."""
    if hasattr(client, "nodes_manager"):
        nodes = [redis.cluster.ClusterNode(*node) for node in _nodes_of(client)]
        return _Cluster(startup_nodes=nodes, **_cluster_settings(_settings(_cluster_keywords(client), once)))
    pool = client.connection_pool
    if hasattr(pool, "sentinel_manager"):
        hosts, asking = _sentinels_of(pool)
        settings = _settings(_keywords(pool, redis.Redis), once)
        again = Sentinel(hosts, sentinel_kwargs={**asking, "retry": once}, **settings)
        return again.master_for(pool.service_name, redis_class=redis.Redis)
    ours = redis.ConnectionPool(connection_class=pool.connection_class, **_settings(_portable(pool.connection_kwargs), once))
    return redis.Redis(connection_pool=ours)


def _async_from_client(client: Any, once: Any) -> Any:
    if hasattr(client, "nodes_manager"):
        nodes = [aredis.cluster.ClusterNode(*node) for node in _nodes_of(client)]
        settings = _async_settings(_cluster_keywords(client), once)
        return aredis.RedisCluster(startup_nodes=nodes, max_connections=ENOUGH, **_cluster_settings(settings))
    pool = client.connection_pool
    settings = _async_settings(_keywords(pool, aredis.Redis), once)
    if hasattr(pool, "sentinel_manager"):
        hosts, asking = _sentinels_of(pool)
        again = aredis.Sentinel(hosts, sentinel_kwargs={**asking, "retry": once}, **settings)
        return again.master_for(pool.service_name, redis_class=aredis.Redis)
    return aredis.Redis(**settings)


def _host_port(sentinel: Any) -> tuple[str, int]:
    kwargs = sentinel.connection_pool.connection_kwargs
    return kwargs["host"], kwargs["port"]


def _portable(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return a pool's keywords without the objects that belong to that pool alone."""
    own = ("connection_pool", "event_dispatcher", "himport_registry", "cache", "parser_class", "redis_connect_func")
    return {k: v for k, v in kwargs.items() if k not in own and not k.startswith(("maint", "orig", "oss", "_")) and v is not None}


def ask_others_first(nodes: Any, silent: dict[tuple[str, int], float]) -> None:
    """Leave out, of the nodes that a cluster client asks for the layout, those that lately failed, while there are others.

    It would ask them in any order, and wait for each as long as for any reply; the layout names them all again.
    """
    now = time.monotonic()
    for node in [node for node, at in silent.items() if now - at > DISTRUSTED]:
        silent.pop(node, None)
    others = {name: node for name, node in nodes.startup_nodes.items() if (node.host, int(node.port)) not in silent}
    if others:
        nodes.startup_nodes = others
