"""Bell: how an idle worker sleeps until there is something to do, at any of its queues, or somebody wakes it.

One blocking connection for all queues of a store, one for each queue on a Cluster; which bell rang is remembered, since only
that queue has to be asked. A BLPOP that is under way when the worker is woken otherwise stays under way, and is read the next
time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.keys import raw
from hotqueue.tasks.broker.bell_line import LATE, BellLine, Fetch
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Step
from hotqueue.tasks.worker.wake_pipe import Wakeup, readable

LONGEST_SLEEP = 3.0  # seconds; only a net under the bells, which ring for every task


class Bell:
    """The bells of a worker's queues.

    Args:
        kinds: which bells: "s", "a" or "sa".
        waits_for_servers: False where one that is away must not hold up the others: then no connection is made here but by
            `connect`, and a line that fails is noted in `deaf` instead of an error.

    Attributes:
        rung: the numbers of the queues that rang, for the worker to ask and to remove.
        deaf: the number of a queue whose bell cannot be heard any more → why.
        wrong: the number of a queue whose bell holds something else → why.
    """

    def __init__(self, brokers: Sequence[Broker], kinds: str, waits_for_servers: bool = True) -> None:
        self._brokers = brokers
        self._waits_for_servers = waits_for_servers
        self._wakeup = Wakeup()
        self.wake = self._wakeup.wake  # ends a `wait` of another thread, or the next one
        self._lines: list[BellLine] = []
        self._kinds = ""
        self._rings = False
        self._lock = threading.Lock()
        self._is_lent = False
        self.rung: set[int] = set()
        self.deaf: dict[int, Exception | None] = {}
        self.wrong: dict[int, ConfigError] = {}
        self.listen_to(kinds)

    def listen_to(self, kinds: str) -> None:
        """Change which bells are listened to."""
        if kinds == self._kinds:
            return
        self._close_lines()
        self._kinds = kinds
        lines: dict[int, BellLine] = {}
        for n, broker in enumerate(self._brokers):
            group = n if broker.store.is_cluster else id(broker.store)
            if group not in lines:
                lines[group] = BellLine(broker, LONGEST_SLEEP)
            lines[group].queues.update((raw(broker.bell_key(kind)), n) for kind in kinds)
            lines[group].is_deaf = not self._waits_for_servers
        self._lines = list(lines.values())

    def wait(self, seconds: float, also: Sequence[int] = ()) -> bool:
        """Sleep until a bell rings, somebody calls `wake`, or `seconds` have passed; tell whether a bell rang.

        Args:
            also: descriptors that end the sleep when they can be read.

        Raises:
            ConnectionFailed: a connection broke.
        """
        if self._rings:
            self._rings = False
            return True
        seconds = min(seconds, LONGEST_SLEEP)
        try:
            for line in self._lines:
                self._listen(line, seconds)
            return self._select(time.monotonic() + seconds + 0.05, also)
        except ConnectionFailed:
            self._close_lines()
            raise

    def _listen(self, line: BellLine, seconds: float) -> None:
        if line.is_deaf:
            return
        if self._waits_for_servers:
            line.listen(seconds)
        elif line.is_overdue or not line.blocking.is_connected:
            self._note_deaf(line, None)
        else:
            try:
                line.listen(seconds)
            except (ConnectionFailed, ConfigError) as error:
                self._note_deaf(line, error)

    def _note_deaf(self, line: BellLine, why: Exception | None) -> None:
        line.drop()
        line.is_deaf = True
        self.deaf.update(dict.fromkeys(line.queues.values(), why))

    def connect(self, queue: int) -> None:
        """Connect the line that listens to a queue's bells, if it is deaf; for any thread.

        Raises:
            ConnectionFailed, ConfigError: that cannot be done now.
        """
        for line in self._lines:
            if line.is_deaf and queue in line.queues.values():
                line.blocking.connect()

    def hear(self, queue: int) -> None:
        """Have the bells of a queue heard again, after `connect`."""
        self.deaf.pop(queue, None)
        for line in self._lines:
            if queue in line.queues.values() and line.blocking.is_connected:
                line.is_deaf = False

    def start_over(self, rung: Iterable[int]) -> None:
        """Drop all connections, and have the next `wait` end at once as if bells rang: they may have, unheard.

        Args:
            rung: the numbers of the queues whose bells.
        """
        self._close_lines()
        self._rings = True
        self.rung.update(rung)

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
            ready = readable([line.blocking.fileno(), self._wakeup.fileno()], seconds + LATE)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
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

    def wait_woken(self, seconds: float, also: Sequence[int] = ()) -> bool:
        """Sleep until `wake` or for `seconds`, asking for no ring; True if one that was under way came nevertheless."""
        under_way = [line for line in self._lines if line.can_be_heard]
        try:
            ready = readable([*(line.blocking.fileno() for line in under_way), self._wakeup.fileno(), *also], seconds)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
            return self._hear([line for line in under_way if line.blocking.fileno() in ready])
        except ConnectionFailed:
            self._close_lines()
            return False

    def _select(self, deadline: float, also: Sequence[int]) -> bool:
        by_fd = {line.blocking.fileno(): line for line in self._lines if line.can_be_heard}
        while True:
            left = deadline - time.monotonic()
            ready = readable([*by_fd, self._wakeup.fileno(), *also], max(0.0, left))
            heard = [by_fd.pop(fd) for fd in ready if fd in by_fd]
            rang = self._hear(heard)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
            if rang or len(ready) > len(heard) or not ready or left <= 0:
                return rang
            if not by_fd or not self._waits_for_servers:  # all BLPOPs ran out, or one did that is asked for again at once
                return False

    def _hear(self, lines: Sequence[BellLine]) -> bool:
        """Take in what lines say; tell whether any of their bells rang."""
        rang = False
        for line in lines:
            try:
                queue = line.read()
            except (ConnectionFailed, ConfigError) as error:
                if isinstance(error, ConfigError) and self._leave_out_junk(line, error):
                    continue
                if self._waits_for_servers:
                    raise
                self._note_deaf(line, error)
                continue
            if queue is not None:
                self.rung.add(queue)
                rang = True
        return rang

    # --- while the worker is at work -------------------------------------------------------------------------------

    def lend(self) -> bool:
        """Let another thread read what is under way, until `reclaim`; False if nothing is: a ring would wait for us, unheard."""
        self._is_lent = any(line.can_be_heard for line in self._lines)
        return self._is_lent

    def reclaim(self) -> None:
        """Have all read here again."""
        with self._lock:
            self._is_lent = False

    def lent(self) -> list[int]:
        """Return the descriptors of what is lent; for any thread."""
        with self._lock:
            return [line.blocking.fileno() for line in self._lines if line.can_be_heard] if self._is_lent else []

    def heard_meanwhile(self) -> set[int]:
        """Return the numbers of queues that rang while the bells are lent; for any thread."""
        with self._lock:
            by_fd = {line.blocking.fileno(): line for line in self._lines if line.can_be_heard} if self._is_lent else {}
            known, self.rung = self.rung, set()
            self._hear([by_fd[fd] for fd in readable(list(by_fd), 0)])
            heard, self.rung = self.rung, known | self.rung
        return heard

    def _leave_out_junk(self, line: BellLine, why: ConfigError) -> bool:
        """Go on with the bells of other queues where one holds something else; False if that is not what is wrong."""
        if len(self._brokers) == 1:
            return False
        try:
            wrong = line.leave_out_wrong()
        except HotQueueError:
            return False
        self.rung.update(wrong)  # nobody can ring there: ask
        self.wrong.update((queue, why) for queue in wrong)
        return bool(line.left_out)

    def _close_lines(self) -> None:
        for line in self._lines:
            if not line.is_deaf:
                line.drop()

    def close(self) -> None:
        """Close the connections; a token that comes meanwhile is lost, so the next worker's net must catch it."""
        self._close_lines()  # the pipe stays: others may still wake us
