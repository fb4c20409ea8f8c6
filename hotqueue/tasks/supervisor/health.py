"""Liveness and readiness over HTTP, answered from what the supervisor knows; needs no Redis, no thread.

``/livez``: the supervisor turns, and its processes make progress. ``/readyz``: a process is ready, and the queues were
reached within a lease. Anything else is 404.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable

from hotqueue.errors import ConfigError
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.watchdog import STUCK

Probe = Callable[[], tuple[bool, dict[str, object]]]

LOOPBACK = "127.0.0.1"  # whoever is to see more of this process has to be let in
_ADDRESSES = "name an address of this machine, such as 127.0.0.1:8080, or 0.0.0.0:8080 for all of them"


def _listening(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, dualstack_ipv6=both)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class HealthPort:
    """A listening socket for the supervisor's select(); each request is one short read and one short write.

    Args:
        port: 0 picks a free one.
        probes: path → function that returns (well, details).
        host: the address of this machine that is listened at; by default one that only this machine reaches.

    Raises:
        ConfigError: the port is taken, or the address is none of this machine's.
    """

    def __init__(self, port: int, probes: dict[str, Probe], host: str = LOOPBACK) -> None:
        self._probes = probes
        try:
            self._socket = _listening(host, port)
        except OSError as error:
            given = port if host == LOOPBACK else _shown(host, port)
            advice = "name a free port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else _ADDRESSES
            raise ConfigError(f"--health-port {given} cannot be listened to: {error.strerror}; {advice}") from error
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self.address = _shown(host, self.port)

    def fileno(self) -> int:
        """Return what select() waits for."""
        return self._socket.fileno()

    def answer(self) -> None:
        """Answer one request; a slow or broken client is dropped."""
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(0.2)
            try:
                request = connection.recv(4096).split(b" ", 2)
                path = request[1].partition(b"?")[0].decode("ascii", "replace") if len(request) > 2 else ""
                connection.sendall(self._response(path))
            except OSError:
                return

    def _response(self, path: str) -> bytes:
        probe = self._probes.get(path)
        well, facts = probe() if probe else (False, {"error": f"ask for {' or '.join(self._probes)}"})
        status = "200 OK" if well else "503 Service Unavailable" if probe else "404 Not Found"
        body = json.dumps({"ok": well, **facts}).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + body

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Probes:
    """How a supervisor and its processes are.

    Args:
        lease_s: seconds within which the queues have to be reached.
    """

    def __init__(self, pool: Processes, state: Phase, lease_s: float) -> None:
        self._pool = pool
        self._state = state
        self._lease_s = lease_s

    def is_live(self) -> tuple[bool, dict[str, object]]:
        """Tell whether the processes make progress."""
        idle = [slot.idle_for() for each in self._pool.working for slot in each.slots.values()]
        longest = max(idle, default=0.0)
        return longest <= STUCK, {"processes": len(self._pool.ordinary), "longest_without_progress": longest}

    def is_ready(self) -> tuple[bool, dict[str, object]]:
        """Tell whether a process is ready, and the queues were reached within a lease."""
        ordinary, upkeep = self._pool.ordinary, self._state.upkeep
        working = [each.pid for each in ordinary if each.slots and not each.is_stopping and each.leaves_by is None]
        since = None if upkeep is None else upkeep.seconds_since_success()
        reached = since is not None and since <= self._lease_s
        well = bool(working) and reached and self._state.exit is None
        return well, {"processes": len(working), "seconds_since_redis": since}
