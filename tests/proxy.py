"""A TCP proxy in front of a server, which loses a request or a reply when told to: what a broken network does."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections to a Redis URL from a free loopback port, until told to cut one.

    Args:
        url: ``redis://host:port/0`` of the server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._cuts: list[tuple[bytes, bool]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._links: list[socket.socket] = []
        self.requests = 0  # chunks that clients sent; a small command is one
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply(self, mark: bytes, times: int = 1) -> None:
        """Let the server carry out the next `times` requests that hold `mark`, and close the connection before the reply."""
        with self._lock:
            self._cuts += [(mark, True)] * times

    def lose_request(self, mark: bytes) -> None:
        """Close the connection on the next request that holds `mark`; the server never sees it."""
        with self._lock:
            self._cuts.append((mark, False))

    @property
    def pending(self) -> int:
        """How many cuts have not happened yet."""
        with self._lock:
            return len(self._cuts)

    def _cut_for(self, request: bytes) -> bool | None:
        with self._lock:
            self.requests += 1
            for cut in self._cuts:
                if cut[0] in request:
                    self._cuts.remove(cut)
                    return cut[1]
        return None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            self._links += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Pass one connection's requests and replies in turn: a client has one command under way at a time."""
        with client, server:
            try:
                while request := client.recv(1 << 20):
                    carried_out = self._cut_for(request)
                    if carried_out is not False:
                        server.sendall(request)
                        reply = server.recv(1 << 20)
                    if carried_out is not None:
                        return
                    client.sendall(reply)
                    while len(reply) == 1 << 20:
                        client.sendall(reply := server.recv(1 << 20))
            except OSError:
                return

    def close(self) -> None:
        """Close every connection."""
        for link in (self._listener, *self._links):
            link.close()
