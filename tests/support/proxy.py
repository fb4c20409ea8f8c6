"""A TCP proxy in front of a server that does what a broken network does: loses, delays, repeats, cuts, goes silent.

It reads whole requests and whole replies, so a fault hits exactly one operation: the next whose bytes hold a mark, such as
the SHA of a script, or a random share of all of them.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from hotqueue.runtime.wake_pipe import readable
from tests.support.durations import let_pass

Mark = bytes | Callable[[bytes], bool]

LOSE_REQUEST, LOSE_REPLY, DELAY, TWICE, SILENCE = "lose request", "lose reply", "delay", "twice", "silence"
FAULTS = (LOSE_REQUEST, LOSE_REPLY, DELAY, TWICE, SILENCE)
HALF_REPLY = "half a reply"  # never at random: it lasts until the test ends it


@dataclass
class Fault:
    """What happens to the next request that fits.

    Attributes:
        kind: one of FAULTS, or HALF_REPLY, whose other half comes with `pass_rest`. A delay comes between request and reply; a
            request sent twice has its second reply dropped; silence keeps the connection open and lets nothing pass any more.
        mark: bytes that the request holds, or what decides over its bytes.
    """

    kind: str
    mark: Mark
    seconds: float = 0.0

    def fits(self, request: bytes) -> bool:
        """Tell whether a request is meant."""
        return self.mark in request if isinstance(self.mark, bytes) else self.mark(request)


class Proxy:
    """Forwards connections to a Redis URL from a free loopback port, until told to do harm.

    Args:
        url: ``redis://host:port/0`` of the server.

    Attributes:
        target: host and port of the server for connections to come; may be changed.
        latency: seconds that each reply comes late, and how much that varies.
        rate: bytes a second that pass from clients to the server, on each connection; 0: as many as come.
        requests: how often clients sent something; what is sent together counts once.
        faults: how many times each kind of harm was done.
        swallowed: the requests that fell into silence.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self.latency = (0.0, 0.0)
        self.rate = 0.0
        self.requests = 0
        self.faults: dict[str, int] = dict.fromkeys((*FAULTS, HALF_REPLY), 0)
        self.swallowed: list[bytes] = []
        self._lock = threading.Lock()
        self._due: list[Fault] = []
        self._random = random.Random(0)
        self._share, self._kinds = 0.0, FAULTS
        self._marks: Sequence[Mark] = ()
        self._delay = 0.0
        self._rewrite: tuple[bytes, bytes] | None = None
        self._silent = threading.Event()
        self._rest = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._links: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    # --- harm ----------------------------------------------------------------------------------------------------

    def lose_reply(self, mark: Mark, times: int = 1) -> None:
        """Let the server carry out the next `times` requests that fit, and close the connection before the reply."""
        self.add(Fault(LOSE_REPLY, mark), times)

    def lose_request(self, mark: Mark, times: int = 1) -> None:
        """Close the connection on the next requests that fit; the server never sees them."""
        self.add(Fault(LOSE_REQUEST, mark), times)

    def add(self, fault: Fault, times: int = 1) -> None:
        """Do harm to the next requests that fit."""
        with self._lock:
            self._due += [fault] * times

    def shake(self, seed: int, share: float, kinds: Sequence[str], marks: Sequence[Mark] = (b"",), delay: float = 0.3) -> None:
        """Do harm to a random share of the requests that fit one of the marks; a share of 0 ends it."""
        with self._lock:
            self._random = random.Random(seed)
            self._share, self._kinds, self._marks, self._delay = share, tuple(kinds), tuple(marks), delay

    def rewrite(self, old: bytes, new: bytes) -> None:
        """Replace bytes in every reply; of the same length, so that it stays a reply."""
        assert len(old) == len(new)
        self._rewrite = (old, new)

    def fall_silent(self) -> None:
        """Let nothing pass on any connection, nor open one, and close none: half-open, as after a firewall's timeout."""
        self._silent.set()

    def speak(self) -> None:
        """Serve new connections again; what fell silent stays so."""
        with self._lock:
            self._silent.set()  # each connection has the event it was opened under
            self._silent = threading.Event()

    def pass_rest(self) -> None:
        """Pass the other halves of replies, from now on."""
        self._rest.set()

    def cut(self) -> None:
        """Close every open connection."""
        with self._lock:
            links = list(self._links)
        for link in links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def pending(self) -> int:
        """How many single faults have not happened yet."""
        with self._lock:
            return len(self._due)

    def _fault_for(self, request: bytes) -> Fault | None:
        with self._lock:
            found = next((fault for fault in self._due if fault.fits(request)), None)
            if found is not None:
                self._due.remove(found)
            elif self._share and self._random.random() < self._share:
                kind = self._random.choice(self._kinds)
                some = Fault(kind, b"", self._delay)
                found = some if any(Fault(kind, mark).fits(request) for mark in self._marks) else None
            if found is not None:
                self.faults[found.kind] += 1
        return found

    # --- passing on ----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, self._silent), daemon=True).start()

    def _serve(self, client: socket.socket, silent: threading.Event) -> None:
        with client:
            with self._lock:
                self._links.add(client)
            try:
                with socket.create_connection(self.target) as server:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._pass_on(_Frames(client, server, self._slow_down), _Frames(server, client), silent)
            except (OSError, EOFError):
                pass
            finally:
                with self._lock:
                    self._links.discard(client)

    def _pass_on(self, client: _Frames, server: _Frames, silent: threading.Event) -> None:
        """Pass one connection's requests and replies in turn: a client has one command under way at a time."""
        while True:
            request = client.read()
            self.requests += client.is_drained
            fault = self._fault_for(request)
            kind = fault.kind if fault is not None else ""
            if silent.is_set() or kind == SILENCE:
                self.swallowed.append(request)
                return self._hold(client.link)
            if kind == LOSE_REQUEST:
                return None
            server.link.sendall(request)
            if kind == TWICE:
                server.link.sendall(request)
            reply = server.read()
            if kind == TWICE:
                server.read()
            if kind == LOSE_REPLY:
                return None
            if silent.is_set():
                return self._hold(client.link)
            self._wait(fault.seconds if fault is not None and kind == DELAY else 0.0)
            reply = reply if self._rewrite is None else reply.replace(*self._rewrite)
            if kind == HALF_REPLY:
                client.link.sendall(reply[: len(reply) // 2])
                self._rest.wait()
                reply = reply[len(reply) // 2 :]
            client.link.sendall(reply)

    def _slow_down(self, count: int) -> None:
        if self.rate:
            let_pass(count / self.rate)

    def _wait(self, delay: float) -> None:
        mean, jitter = self.latency
        if mean:
            with self._lock:
                delay += max(0.0, self._random.gauss(mean, jitter))
        if delay:
            let_pass(delay)

    def _hold(self, link: socket.socket) -> None:
        """Read and forget until the other side has enough."""
        while link.recv(65536):
            pass

    def close(self) -> None:
        """Close every connection."""
        self._rest.set()
        self._listener.close()
        self.cut()


class _Frames:
    """The whole requests, or replies, that come from one side, as long as the other side is there.

    Args:
        passed: called with the number of bytes that came.
    """

    def __init__(self, link: socket.socket, other: socket.socket, passed: Callable[[int], None] = lambda _: None) -> None:
        self.link = link
        self._other = other
        self._passed = passed
        self._buffer = bytearray()

    @property
    def is_drained(self) -> bool:
        """True when nothing was sent together with what was read last, behind it."""
        return not self._buffer

    def read(self) -> bytes:
        """Return the next one.

        Raises:
            EOFError: one of the sides is gone.
        """
        while (end := _end_of(self._buffer)) is None:
            ready = readable([self.link.fileno(), self._other.fileno()], 3600)  # no select: a number may be above 1,023
            if not ready:
                continue
            if self.link.fileno() in ready:
                more = self.link.recv(1 << 16)
                if not more:
                    raise EOFError
                self._buffer += more
                self._passed(len(more))
            elif not self._other.recv(1, socket.MSG_PEEK):
                raise EOFError
            else:
                let_pass(0.001)  # it talks out of turn: let the reply come first
        found = bytes(self._buffer[:end])
        del self._buffer[:end]
        return found


def _end_of(data: bytearray, at: int = 0) -> int | None:
    """Return where the value that starts at `at` ends; None when it is not all there."""
    eol = data.find(b"\r\n", at)
    if eol < 0:
        return None
    kind, body = data[at : at + 1], data[at + 1 : eol]
    end: int | None = eol + 2
    if kind == b"$" and int(body) >= 0:
        end = eol + 4 + int(body)
        return end if len(data) >= end else None
    if kind == b"*":
        for _ in range(int(body)):
            end = _end_of(data, end) if end is not None else None
    return end
