"""What redis-py's errors mean, in our words: what happened, where, what to do, whether to try again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import redis.exceptions as rx

from hotqueue.errors import (
    ConfigError,
    ConnectionFailed,
    HotQueueError,
    QueueFull,
    Refused,
    SerializationError,
    newer_queue,
)
from hotqueue.runtime import descriptors

FULL = "the server takes no more connections"


def meaning(error: BaseException, doing: str, *, sent: bool, tls: bool = False) -> HotQueueError:
    """Return our error for one of redis-py's.

    On Redis 6.2 an error inside a script loses its code, so the text is matched; AuthenticationError and BusyLoadingError
    are ConnectionErrors in redis-py, so the text comes before the class.

    Args:
        doing: what was being done, and at which store.
        sent: whether the command may have run.
        tls: whether TLS was asked for.
    """
    code = str(getattr(error, "status_code", "") or _CODES.get(type(error).__name__, ""))
    said = _words_of(error)
    said = said if said.startswith(code) else f"{code} {said}"
    for marks, make in _MEANINGS:
        if any(mark in said for mark in marks):
            return make(f"{doing}: {said}")
    if isinstance(error, rx.AuthenticationError | rx.AuthorizationError | rx.NoPermissionError):
        return _refused(f"{doing}: {said}")
    if isinstance(error, rx.ResponseError) and not isinstance(error, rx.ClusterDownError | rx.ReadOnlyError):
        return Refused(f"{doing}: Redis answered: {said}")
    if isinstance(error, rx.InvalidResponse):
        return ConnectionFailed(f"{doing}: what answers there is not a Redis server ({said})", retry=False, sent=sent)
    if isinstance(error, rx.DataError):
        return ConfigError(f"{doing}: {said}")
    if shortage := descriptors.shortage(error, probe=not sent):  # of opening something, so nothing went out
        return ConnectionFailed(f"{doing} failed: {shortage}; nothing was sent", sent=False)
    said = _without_address(said, doing).removesuffix(".") or type(error).__name__
    if not sent and tls:
        said = f"{said} ({_TLS})"
    fate = "; whether it was carried out is unknown" if sent else "; nothing was sent"
    advice = f": {_ANYBODY}" if not sent and not tls and "://" in doing else ""
    return ConnectionFailed(f"{doing} failed: {said}{fate}{advice}", sent=sent)


def is_of_replica(answer: object) -> bool:
    """Tell whether an answer says that the server is no master any more, so that a connection to it is of no more use.

    redis-py has a class for it, but not for one that a script met on Redis 6.2.
    """
    if not isinstance(answer, rx.ResponseError):
        return False
    return isinstance(answer, rx.ReadOnlyError) or any(mark in str(answer) for mark in ("READONLY", "MASTERDOWN"))


def _without_address(said: str, doing: str) -> str:
    """Return what redis-py says of an attempt to connect, without the address where `doing` names it already."""
    found = re.match(r"Error (.+?) (?:while )?connecting to (\S+?)\.(?: (.+))?$", said)
    if found is None or found[2].removeprefix("unix:") not in doing:
        return said
    return os.strerror(int(found[1])) if found[1].isdigit() else found[3] or found[1]


def _words_of(error: BaseException) -> str:
    """Return what an error says, without the objects that redis-py prints into it, in one line."""
    text = str(error).partition(" : <redis.")[0]
    return " ".join(text.split())


def _no_sentinel(text: str) -> HotQueueError:
    return ConnectionFailed(f"{text}; what answers there is not a Sentinel: name the sentinels, or use redis://", retry=False)


def _refused(text: str) -> HotQueueError:
    return ConnectionFailed(f"{text}; check the user name, the password and the user's permissions", retry=False, sent=False)


def _untrusted(text: str) -> HotQueueError:
    return ConnectionFailed(
        f"{text}; nothing was sent: name the CA of the server's certificate with ssl_ca_certs, and the host as it does",
        retry=False,
        sent=False,
    )


def _newer(text: str) -> HotQueueError:
    found = re.search(r"NEWERQUEUE (\d+) (\d+) (.*)", text)
    return newer_queue(found[3], int(found[1]), int(found[2])) if found else Refused(text)


def _wrong_type(text: str) -> HotQueueError:
    return ConfigError(f"{text}; a key of the queue holds another type of value: look at it with TYPE, then rename or delete it")


def _not_now(text: str) -> HotQueueError:
    return ConnectionFailed(text, sent=False)


def _replica(text: str) -> HotQueueError:
    return ConnectionFailed(
        f"{text.removesuffix('.')}; a replica takes no writes: name its master in the URL, or the sentinels, which know it; "
        "during a failover it heals by itself",
        sent=False,
    )


def _moving(text: str) -> HotQueueError:
    return ConnectionFailed(f"{text}; the slot of the queue moves to another node, it heals once it is there")


def _no_more_clients(text: str) -> HotQueueError:
    return ConnectionFailed(f"{text}: {FULL}; raise its maxclients, or have fewer programs connect", sent=False)


def _too_few_replicas(text: str) -> HotQueueError:
    return ConnectionFailed(
        f"{text}; the master has too few replicas in reach for its min-replicas-to-write: nothing was stored, it heals once "
        "they are back",
        sent=False,
    )


def _disk(text: str) -> HotQueueError:
    return ConnectionFailed(
        f"{text}; the disk of the Redis server is full or failing: free space, it heals by itself", sent=False
    )


def _full(text: str) -> HotQueueError:
    return QueueFull(f"{text}; the server has reached maxmemory: drain the queue or raise maxmemory")


def _too_large(text: str) -> HotQueueError:
    return SerializationError(
        f"{text}; the server takes nothing as large as that, and nothing was stored: store it elsewhere and send where it is, or "
        "raise the server's limit (proto-max-bulk-len)"
    )


def _unknown_command(text: str) -> HotQueueError:
    """Tell a server that is too old from one where a command was disabled, or a proxy that does not pass it on.

    The command's arguments, which a server may repeat, are left out: they may be a secret, and are no help.
    """
    text = re.split(r",? with args beginning with", text)[0]
    found = re.search(r"(?:unknown|unsupported) command:? *[`'\"]?(\w+)", text)
    if found is not None and found[1].upper() in _SINCE_6_2:
        return ConfigError(f"{text}; hotqueue needs Redis 6.2 or newer (or Valkey)")
    if found is None:  # a script called it
        return ConfigError(
            f"{text}; hotqueue needs Redis 6.2 or newer (or Valkey), with none of its commands renamed or disabled"
        )
    return ConnectionFailed(
        f"{text}; every Redis since 2.6 knows it, so it was renamed or disabled there (rename-command), or a proxy in between "
        "does not pass it on: hotqueue cannot do without",
        retry=False,
        sent=False,
    )


# The codes that older redis-py takes off what a server says; what is left is its class.
_CODES = {
    "NoPermissionError": "NOPERM",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "OutOfMemoryError": "OOM",
}

# Commands of ours that Redis 6.2 brought, so that an older one does not know them.
_SINCE_6_2 = frozenset({"LMOVE", "BLMOVE", "HRANDFIELD", "GETDEL", "GETEX"})

_ANYBODY = "is Redis running there? check the URL"
_TLS = "the URL asks for TLS: does this port speak it, is its CA one of ssl_ca_certs, or does it ask for a certificate of yours?"

# What servers, and proxies in front of them, say of a request that is too large for them.
TOO_LARGE = (
    *("invalid bulk length", "invalid multibulk length", "too big mbulk count", "too big bulk count"),
    *("exceeds maximum allowed size", "max request size exceeded", "query buffer", "request too large", "max packet size"),
)

# What a reply's text means; the first that matches counts.
_MEANINGS: list[tuple[tuple[str, ...], Callable[[str], HotQueueError]]] = [
    (("NOAUTH", "WRONGPASS", "NOPERM", "invalid password", "Client sent AUTH, but no password"), _refused),
    (("The user executing the script can't run", "ACL failure in script"), _refused),
    (("unauthenticated multibulk length", "unauthenticated bulk length"), _refused),
    (("unknown command 'SENTINEL'", "unknown command `SENTINEL`"), _no_sentinel),
    (("CERTIFICATE_VERIFY_FAILED",), _untrusted),
    (("NEWERQUEUE",), _newer),
    (("MISCONF",), _disk),
    (TOO_LARGE, _too_large),
    (("OOM command not allowed", "OOM ", "maxmemory"), _full),
    (("WRONGTYPE",), _wrong_type),
    (("NOREPLICAS",), _too_few_replicas),
    (("READONLY", "read only replica"), _replica),
    (("MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "LOADING"), _not_now),
    (("attempted to access a non local key",), _moving),  # of a slot that moves: what a script asks for may not be there
    (("The previous master is now a",), _not_now),  # what redis-py makes of READONLY behind Sentinel
    (("BUSY ", "is busy running a script"), _not_now),
    (("max number of clients",), _no_more_clients),
    (("unknown command", "unsupported command", "Unknown Redis command"), _unknown_command),
]
