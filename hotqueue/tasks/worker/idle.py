"""Idle: how an idle worker sleeps until there is something to do, at any of its queues, or somebody wakes it.

One blocking connection for all queues of a store, two connections for those of a node of a Cluster (tracked_bells.py); which
bell rang is remembered, since only that queue has to be asked. A BLPOP that is under way when the worker is woken otherwise stays
under way, and is read the next time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.runtime.wake_pipe import Wakeup, readable
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Step
from hotqueue.tasks.broker.tracked_bells import TrackedBells
from hotqueue.tasks.broker.wake_connection import LATE, Fetch, WakeConnection
from hotqueue.tasks.worker.bells import LONGEST_SLEEP, Bells, Listener

BLOCKED = 0.1  # seconds for each connection that a BLPOP takes at most, where those are many: each asks anew when it has run out
Alarm = Callable[[], float]


class Idle(Bells):
    """The sleep of an idle worker at the bells of its queues: lists in Redis that it blocks on.

    Args:
        brokers: the queues, by their numbers.
        kinds: which bells: "s", "a" or "sa".
        waits_for_servers: False where one that is away must not hold up the others: then no connection is made here but by
            `connect`, and a connection that fails is noted in `broken` instead of an error.

    Attributes:
        rang: the numbers of the queues that rang, for the worker to ask and to remove.
        wrong: the number of a queue whose bell holds something else → why.
    """

    def __init__(self, brokers: Mapping[int, Broker], kinds: str, waits_for_servers: bool = True) -> None:
        super().__init__(brokers, waits_for_servers)
        self._wakeup = Wakeup()
        self.wake = self._wakeup.wake  # ends a `wait` of another thread, or the next one
        self._may_have_rung = False
        self._lock = threading.Lock()
        self._is_lent = False
        self.rang: set[int] = set()
        self.wrong: dict[int, HotQueueError] = {}
        self.listen_to(kinds)

    def wait(self, seconds: float, also: Sequence[int] = (), is_exact: bool = False) -> bool:
        """Sleep until a bell rings, somebody calls `wake`, or `seconds` have passed; tell whether a bell rang.

        Args:
            also: descriptors that end the sleep when they can be read.
            is_exact: something is to be done then. Otherwise there is time for the reply of a BLPOP, up to 0.1 s late.

        Raises:
            ConnectionFailed: a connection broke.
        """
        if self._may_have_rung:
            self._may_have_rung = False
            return True
        seconds = min(seconds, LONGEST_SLEEP)
        try:
            listened = max(seconds, BLOCKED * len(self._connections))
            for connection in self._connections.values():
                self._listen(connection, listened)
            return self._select(time.monotonic() + seconds + (0.0 if is_exact else 0.05), also)
        except ConnectionFailed:
            self._close_connections()
            raise

    def _listen(self, connection: Listener, seconds: float) -> None:
        if connection.is_broken:
            return
        if self._waits_for_servers:
            connection.listen(seconds)
            return
        try:
            if connection.is_overdue or not connection.is_connected:
                self._note_broken(connection, None)
            else:
                connection.listen(seconds)
        except (ConnectionFailed, ConfigError) as error:
            self._note_broken(connection, error)

    def _go_on(self) -> None:
        for connection in self._connections.values():
            if connection.until_due() <= 0:
                try:
                    connection.go_on()
                except (ConnectionFailed, ConfigError) as error:
                    self._note_broken(connection, error)

    def _note_broken(self, connection: Listener, why: Exception | None) -> None:
        connection.drop()
        connection.is_broken = True
        self.broken.update(dict.fromkeys(connection.queues.values(), why))

    def start_over(self, rang: Iterable[int]) -> None:
        """Drop all connections, and have the next `wait` end at once as if bells rang: they may have, unnoticed.

        Args:
            rang: the numbers of the queues whose bells.
        """
        self._close_connections()
        self._may_have_rung = True
        self.rang.update(rang)

    @property
    def may_fetch(self) -> bool:
        """True when `wait_and_fetch` is of use: a single connection, and no ring that came, or may come, before it."""
        return len(self._connections) == 1 and not (self._may_have_rung or self._blocking().is_listening)

    def _blocking(self) -> WakeConnection:
        """Return the connection of a worker that has one queue."""
        [connection] = self._connections.values()
        assert isinstance(connection, WakeConnection)
        return connection

    def wait_and_fetch(
        self, seconds: float, fetch: Fetch, alarm_in: float = math.inf, alarm: Alarm = lambda: math.inf
    ) -> Step | None:
        """Sleep as `wait`, with a fetch sent behind the question: Redis carries it out in the moment in which the sleep ends.

        Args:
            fetch: sends it, given the question (packed) and the connection to send both on.
            alarm_in: seconds after which to call `alarm`; our clock is exact where Redis ends a BLPOP up to 0.1 s late.
            alarm: what it returns is the seconds until it is to be called again.

        Returns:
            The fetch, whose reply is next; None when somebody woke us, or no reply came: it may have been carried out.

        Raises:
            ConnectionFailed: a connection broke; the same.
        """
        connection = self._blocking()
        try:
            step = connection.listen_and_fetch(seconds, fetch)
            deadline = time.monotonic() + seconds + LATE
            ready = self._readable_until(deadline, [connection.blocking.fileno(), self._wakeup.fileno()], alarm_in, alarm)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
            # Later than that we were stopped, and others may have what came for us.
            if connection.blocking.fileno() in ready and time.monotonic() < deadline:
                connection.read()
                return step
        except BaseException:
            self._close_connections()
            raise
        self._close_connections()
        if not ready:
            connection.blocking.distrust()
        return None

    def _readable_until(self, deadline: float, descriptors: list[int], alarm_in: float, alarm: Alarm) -> list[int]:
        while True:
            left = deadline - time.monotonic()
            ready = readable(descriptors, max(0.0, min(left, alarm_in)))
            if ready or left <= alarm_in:
                return ready
            alarm_in = alarm()

    def wait_woken(self, seconds: float, also: Sequence[int] = ()) -> bool:
        """Sleep until `wake` or for `seconds`, asking for no ring; True if one that was under way came nevertheless."""
        under_way = [each for each in self._connections.values() if each.awaits_reply]
        try:
            by_fd = {fd: each for each in under_way for fd in each.filenos()}
            ready = readable([*by_fd, self._wakeup.fileno(), *also], seconds)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
            return self._read({by_fd[fd] for fd in ready if fd in by_fd}, goes_on=False)
        except ConnectionFailed:
            self._close_connections()
            return False

    def _select(self, deadline: float, also: Sequence[int]) -> bool:
        connections = self._connections.values()
        while True:
            by_fd = {fd: each for each in connections for fd in each.filenos()}
            left = deadline - time.monotonic()
            until_due = min((each.until_due() for each in connections), default=math.inf)
            ready = readable([*by_fd, self._wakeup.fileno(), *also], max(0.0, min(left, until_due)))
            replied = {by_fd[fd] for fd in ready if fd in by_fd}
            rang = self._read(replied)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
            if rang or any(fd not in by_fd for fd in ready) or left <= 0 or (not ready and left <= until_due):
                return rang
            if not ready:
                self._go_on()
            elif self._is_to_ask_again(replied):
                return False

    def _is_to_ask_again(self, replied: Iterable[Listener]) -> bool:
        """Tell whether all BLPOPs ran out, or one did that is asked for again at once."""
        if not any(each.filenos() for each in self._connections.values()):
            return True
        return not self._waits_for_servers and not all(each.filenos() for each in replied)

    def _read(self, connections: Iterable[Listener], goes_on: bool = True) -> bool:
        """Take in what connections bring; tell whether any of their bells rang."""
        rang = False
        for connection in connections:
            try:
                queues = connection.read(goes_on)
            except (ConnectionFailed, ConfigError) as error:
                if isinstance(error, ConfigError) and self._leave_out_junk(connection, error):
                    continue
                if self._waits_for_servers:
                    raise
                self._note_broken(connection, error)
                continue
            if isinstance(connection, TrackedBells) and connection.wrong:  # nobody can ring there: ask
                self.wrong.update(connection.wrong)
                queues += connection.wrong
                connection.wrong = {}
            self.rang.update(queues)
            rang = rang or bool(queues)
        return rang

    # --- while the worker is at work -------------------------------------------------------------------------------

    def lend(self) -> bool:
        """Let another thread read what is under way, until `reclaim`; False if nothing is: a ring would wait for us, unread."""
        self._is_lent = any(each.awaits_reply for each in self._connections.values())
        return self._is_lent

    def reclaim(self) -> None:
        """Have all read here again."""
        with self._lock:
            self._is_lent = False

    def lent(self) -> list[int]:
        """Return the descriptors of what is lent; for any thread."""
        with self._lock:
            lent = list(self._connections.values()) if self._is_lent else []
        return [fd for each in lent if each.awaits_reply for fd in each.filenos()]

    def rang_meanwhile(self) -> set[int]:
        """Return the numbers of queues that rang while the bells are lent; for any thread."""
        with self._lock:
            lent = [each for each in self._connections.values() if each.awaits_reply] if self._is_lent else []
            by_fd = {fd: each for each in lent for fd in each.filenos()}
            known, self.rang = self.rang, set()
            self._read({by_fd[fd] for fd in readable(list(by_fd), 0)}, goes_on=False)
            rang, self.rang = self.rang, known | self.rang
        return rang

    def _leave_out_junk(self, connection: Listener, why: ConfigError) -> bool:
        """Go on with the bells of other queues where one holds something else; False if that is not what is wrong."""
        if len(self._brokers) == 1 or not isinstance(connection, WakeConnection):
            return False
        try:
            wrong = connection.leave_out_wrong()
        except HotQueueError:
            return False
        self.rang.update(wrong)  # nobody can ring there: ask
        self.wrong.update((queue, why) for queue in wrong)
        return bool(connection.left_out)

    def close(self) -> None:
        """Close the connections; a token that comes meanwhile is lost, and the next worker looks after LONGEST_SLEEP.

        Others may still call `wake`, which then does nothing.
        """
        self._close_connections()
        self._wakeup.close()
