"""Liveness and readiness over HTTP, answered from what the supervisor knows; needs no Redis, no thread.

``/livez``: the supervisor turns, and its processes make progress. ``/readyz``: a process is ready, and the queues were
reached within a lease. Anything else is 404.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from hotqueue.errors import ConfigError

Probe = Callable[[], tuple[bool, dict[str, object]]]


class HealthPort:
    """A listening socket for the supervisor's select(); each request is one short read and one short write.

    Args:
        port: 0 picks a free one.
        probes: path → function that returns (well, details).

    Raises:
        ConfigError: the port is taken.
    """

    def __init__(self, port: int, probes: dict[str, Probe]) -> None:
        self._probes = probes
        try:
            self._socket = socket.create_server(("", port), reuse_port=False)
        except OSError as error:
            raise ConfigError(f"--health-port {port} cannot be listened to: {error.strerror}; name a free port") from error
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

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
        well, told = probe() if probe else (False, {"error": f"ask for {' or '.join(self._probes)}"})
        status = "200 OK" if well else "503 Service Unavailable" if probe else "404 Not Found"
        body = json.dumps({"ok": well, **told}).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + body

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
