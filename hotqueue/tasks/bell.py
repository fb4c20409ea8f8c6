"""Bell: how an idle worker sleeps until there is something to do, at any of its queues, or somebody wakes it.

One blocking connection for all queues of a store, one for each queue on a Cluster. A BLPOP that is under way when the
worker is woken otherwise stays under way, and is read the next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from hotqueue.errors import ConnectionFailed
from hotqueue.keys import raw
from hotqueue.lines import LEAST_BLOCK, Blocking
from hotqueue.packed import command
from hotqueue.tasks.broker import Broker
from hotqueue.tasks.desk import Step
from hotqueue.tasks.readable import readable

Fetch = Callable[[bytes, Blocking], Step]

LONGEST = 3.0  # seconds; only a net under the bells, which ring for every task
LATE = 2.0  # seconds after which the reply of a BLPOP that has run out is not waited for: the connection is dead


class _Line:
    """One connection and the bells that it listens to."""

    def __init__(self, blocking: Blocking, keys: list[str]) -> None:
        self.blocking = blocking
        self.keys = keys
        self.is_listening = False
        self._answers_by = 0.0

    def listen(self, seconds: float) -> None:
        if self.is_listening and time.monotonic() > self._answers_by:
            self.drop()
        if not self.is_listening or not self.blocking.is_connected:
            self.blocking.send("BLPOP", *self.keys, max(LEAST_BLOCK, seconds))
            self.is_listening = True
            self._answers_by = time.monotonic() + seconds + LATE

    def listen_and_fetch(self, seconds: float, fetch: Fetch) -> Step:
        question = command(b"BLPOP", *map(raw, self.keys), b"%.3f" % max(LEAST_BLOCK, seconds))
        step = fetch(question, self.blocking)
        self.is_listening = True
        return step

    def drop(self) -> None:
        self.is_listening = False
        self.blocking.close()

    def read(self) -> bool:
        self.is_listening = False
        return self.blocking.receive() is not None


class Bell:
    """The bells of a worker's queues.

    Args:
        kinds: which bells: "s", "a" or "sa".
    """

    def __init__(self, brokers: Sequence[Broker], kinds: str) -> None:
        self._brokers = brokers
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._lines: list[_Line] = []
        self._kinds = ""
        self._rings = False
        self.listen_to(kinds)

    def listen_to(self, kinds: str) -> None:
        """Change which bells are listened to."""
        if kinds == self._kinds:
            return
        self._close_lines()
        self._kinds = kinds
        lines: dict[int, _Line] = {}
        for n, broker in enumerate(self._brokers):
            group = n if broker.store.is_cluster else id(broker.store)
            if group not in lines:
                lines[group] = _Line(broker.bell_line(LONGEST), [])
            lines[group].keys += [broker.bell_key(kind) for kind in kinds]
        self._lines = list(lines.values())

    def wait(self, seconds: float) -> bool:
        """Sleep until a bell rings, somebody calls `wake`, or `seconds` have passed; tell whether a bell rang.

        Raises:
            ConnectionFailed: a connection broke.
        """
        if self._rings:
            self._rings = False
            return True
        seconds = min(seconds, LONGEST)
        try:
            for line in self._lines:
                line.listen(seconds)
            return self._select(time.monotonic() + seconds + 0.05)
        except ConnectionFailed:
            self._close_lines()
            raise

    def start_over(self) -> None:
        """Drop all connections, and have the next `wait` end at once as if a bell rang: one may have rung unheard."""
        self._close_lines()
        self._rings = True

    @property
    def is_connected(self) -> bool:
        """True while all bells can be heard, as far as this side knows."""
        return all(line.blocking.is_connected for line in self._lines)

    @property
    def may_fetch(self) -> bool:
        """True when `wait_and_fetch` is of use: a single connection, and nothing that was heard, or may be, before it."""
        return len(self._lines) == 1 and not (self._rings or self._lines[0].is_listening)

    def wait_and_fetch(self, seconds: float, fetch: Fetch) -> Step | None:
        """Sleep as `wait`, with a fetch sent behind the question: Redis carries it out in the moment in which the sleep ends.

        Args:
            fetch: sends it, given the question (packed) and the line to send both on.

        Returns:
            The fetch, whose reply is next; None when somebody woke us, or no reply came: it may have been carried out.

        Raises:
            ConnectionFailed: a connection broke; the same.
        """
        [line] = self._lines
        try:
            step = line.listen_and_fetch(seconds, fetch)
            deadline = time.monotonic() + seconds + LATE
            ready = readable([line.blocking.fileno(), self._read], seconds + LATE)
            if self._read in ready:
                os.read(self._read, 4096)
            # Later than that we were stopped, and others may have what came for us.
            if line.blocking.fileno() in ready and time.monotonic() < deadline:
                line.read()
                return step
        except BaseException:
            self._close_lines()
            raise
        self._close_lines()
        if not ready:
            line.blocking.distrust()
        return None

    def wait_woken(self, seconds: float) -> bool:
        """Sleep until `wake` or for `seconds`, asking for no ring; True if one that was under way came nevertheless."""
        under_way = [line for line in self._lines if line.is_listening and line.blocking.is_connected]
        try:
            ready = readable([*(line.blocking.fileno() for line in under_way), self._read], seconds)
            if self._read in ready:
                os.read(self._read, 4096)
            rung = [line.read() for line in under_way if line.blocking.fileno() in ready]
            return any(rung)
        except ConnectionFailed:
            self._close_lines()
            return False

    def _select(self, deadline: float) -> bool:
        by_fd = {line.blocking.fileno(): line for line in self._lines}
        while True:
            left = deadline - time.monotonic()
            ready = readable([*by_fd, self._read], max(0.0, left))
            rung = [by_fd[fd].read() for fd in ready if fd in by_fd]
            if self._read in ready:
                os.read(self._read, 4096)
            if any(rung) or self._read in ready or not ready or left <= 0:
                return any(rung)
            if len(rung) == len(self._lines):  # all BLPOPs ran out
                return False

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def wake(self) -> None:
        """End a `wait` of another thread, or the next one."""
        try:
            os.write(self._write, b"w")
        except BlockingIOError:
            pass  # full: it is awake enough

    def _close_lines(self) -> None:
        for line in self._lines:
            line.drop()

    def close(self) -> None:
        """Close the connections; a token that comes meanwhile is lost, so the next worker's net must catch it."""
        self._close_lines()  # the pipe stays: others may still wake us
