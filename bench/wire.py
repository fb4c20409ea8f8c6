"""What a Redis client really sends, read off the wire by a relay between it and the server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


def connect(url: str) -> socket.socket:
    """Return a connection to a redis:// or unix:// URL."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(parts.path)
        return connection
    return socket.create_connection((parts.hostname, parts.port))


@contextmanager
def relay(url: str) -> Iterator[tuple[str, list[bytearray]]]:
    """Run a relay in front of a server; yield its URL and what each connection has sent through it."""
    streams: list[bytearray] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, url, streams), daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", streams
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, url: str, streams: list[bytearray]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = connect(url)
        streams.append(bytearray())
        threading.Thread(target=_pump, args=(client, server, streams[-1]), daemon=True).start()
        threading.Thread(target=_pump, args=(server, client, None), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
    try:
        while data := source.recv(65536):
            if record is not None:
                record += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def commands(stream: bytes) -> Iterator[list[bytes]]:
    """Yield the commands in what a client has sent (RESP arrays of strings)."""
    at = 0

    def number() -> int:
        nonlocal at
        end = stream.index(b"\r\n", at)
        found, at = int(stream[at + 1 : end]), end + 2
        return found

    while at < len(stream):
        command = []
        for _ in range(number()):
            size = number()
            command.append(bytes(stream[at : at + size]))
            at += size + 2
        yield command
