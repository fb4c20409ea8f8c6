"""Who is master, by the word of all sentinels. Made by clients, asked by a pool.

One sentinel may not have heard yet: during a failover, and some seconds after it, sentinels name an old master that takes
itself for the master still, and whatever it is given will be thrown away. So all of them are asked, the newest
configuration counts, and while another one is being promoted nobody is master. See docs/decisions/0015. What is connected to an
old master is dropped in pool.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis.exceptions as rx
from redis.sentinel import MasterNotFoundError

from hotqueue.runtime.ending import start_thread

EVERY = 0.5  # seconds between two looks while the store is in use
FRESH = 1.0  # seconds that an answer counts
IDLE = 5.0  # seconds without use after which nobody looks any more
AWAY = 10.0  # seconds for which a sentinel that did not answer is left out, unless no other one answers

Place = tuple[str, int]


class Watch:
    """The sentinels of one master, asked by this process.

    Args:
        sentinels: clients of them.
        service: what they call the master.
        is_up: what redis-py makes of one sentinel's word: True for a master that is up, and seen by enough of them.
        force_ip: the address to use whatever they say, if any.
        beside: ask in a thread beside the work too; without, `look` asks whenever its answer is too old.
    """

    def __init__(
        self,
        sentinels: Sequence[Any],
        service: str,
        is_up: Callable[[dict[str, Any], str], bool],
        force_ip: str | None = None,
        *,
        beside: bool = True,
    ) -> None:
        self._sentinels = sentinels
        self._service = service
        self._is_up = is_up
        self._force_ip = force_ip
        self._beside = beside
        self._master: Place | None = None
        self._away_until = [0.0] * len(sentinels)
        self._asking = threading.Lock()
        self._fresh_until = 0.0
        self._used = 0.0
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    # --- for every command -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """See to it that the answer is fresh: by the clock alone while the store is in use, else by asking."""
        now = time.monotonic()
        self._used = now
        if now >= self._fresh_until:
            self._refresh()
        if self._beside and self._thread is None:
            self._start()

    @property
    def is_fresh(self) -> bool:
        """True while `look` needs nobody's answer."""
        return time.monotonic() < self._fresh_until

    def is_current(self, connection: Any) -> bool:
        """Tell whether an open connection leads to the master."""
        return self._master == (connection.host, connection.port)

    # --- asking ----------------------------------------------------------------------------------------------------

    def ask(self, _service: str = "") -> Place:
        """Ask all sentinels that answer, and return the master's place.

        Raises:
            redis.sentinel.MasterNotFoundError: none of them knows, or another master is being promoted.
        """
        with self._asking:
            states, errors = self._states()
            if not states:
                raise MasterNotFoundError(f"No master found for {self._service!r}: {'; '.join(errors) or 'nobody knows it'}")
            self._fresh_until = time.monotonic() + FRESH
            self._master = None
            self._master = self._newest(states)
            return self._master

    def _states(self) -> tuple[list[tuple[Any, dict[str, Any]]], list[str]]:
        now = time.monotonic()
        order = range(len(self._sentinels))
        answering = [n for n in order if self._away_until[n] <= now]
        states: list[tuple[Any, dict[str, Any]]] = []
        errors: list[str] = []
        for n in [*answering, *(n for n in order if n not in answering)]:
            if states and n not in answering:
                break
            sentinel = self._sentinels[n]
            try:
                state = sentinel.sentinel_masters().get(self._service)
            except (rx.ConnectionError, rx.TimeoutError) as error:
                self._away_until[n] = time.monotonic() + AWAY
                errors.append(str(error))
                continue
            self._away_until[n] = 0.0
            if state:
                states.append((sentinel, state))
        return states, errors

    def _newest(self, states: list[tuple[Any, dict[str, Any]]]) -> Place:
        epoch = max(_epoch(state) for _, state in states)
        found: list[Place] = []
        for sentinel, state in states:
            if _epoch(state) != epoch:
                continue
            place = (state["ip"], int(state["port"]))
            if "failover_in_progress" in state["flags"]:
                said = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
                promoted = _place(said)  # the new one, once it is there
                if promoted == place:
                    raise MasterNotFoundError(f"another master of {self._service!r} is being promoted")
                found.append(promoted)
            elif self._is_up(state, self._service):
                found.append(place)
        if not found:
            raise MasterNotFoundError(f"No master found for {self._service!r}: the sentinels take it for down")
        return found[0] if self._force_ip is None else (self._force_ip, found[0][1])

    def _refresh(self) -> None:
        """Ask; where no sentinel answers, what they said last still counts."""
        if self._asking.locked() and time.monotonic() < self._fresh_until + IDLE:
            return  # somebody asks already, and waits for one that does not answer
        try:
            self.ask()
        except rx.RedisError:
            self._fresh_until = time.monotonic() + FRESH

    # --- beside the work -------------------------------------------------------------------------------------------

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="hotqueue-sentinels", daemon=True)
        self._thread = thread  # before it runs: it takes itself off at its end
        if not start_thread(thread):
            self._thread, self._beside = None, False  # the program ends: `look` asks by itself

    def _run(self) -> None:
        while not self._closed.wait(EVERY) and time.monotonic() - self._used < IDLE:
            self._refresh()
        self._thread = None

    def close(self) -> None:
        """End looking; the sentinels' connections belong to their clients."""
        self._closed.set()


def _place(said: Sequence[str | bytes]) -> Place:
    return said[0].decode() if isinstance(said[0], bytes) else said[0], int(said[1])


def _epoch(state: dict[str, Any]) -> int:
    return int(state.get("config-epoch", 0))
