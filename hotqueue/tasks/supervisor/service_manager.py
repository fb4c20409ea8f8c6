"""The service manager that started the worker, such as systemd: it is told that the worker is ready, alive, and stopping.

As sd_notify(3) has it: lines of text in one datagram, to the socket that ``$NOTIFY_SOCKET`` names. Without that nothing is done.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

from hotqueue.tasks.supervisor.phase import Phase


class ServiceManager:
    """What one supervisor tells whoever started it. It takes the variables away: no program of a task is a service.

    Attributes:
        every: seconds between two signs of life, half of what the service manager allows; 0: it wants none.
    """

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        allowed, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        is_meant = allowed.isdecimal() and pid in ("", str(os.getpid()))
        self.every = int(allowed) / 2e6 if is_meant else 0.0
        self._told = ""
        self._next = 0.0

    def tell(self, state: Phase) -> None:
        """Say what is new, and that the supervisor's loop turns; for each of its turns."""
        if not self._address:
            return
        if self._told == "" and state.upkeep is not None:
            self._send("READY=1")
        if self._told != "STOPPING=1" and state.exit is not None:
            self._send("STOPPING=1")
        if self.every and time.monotonic() >= self._next:
            self._next = time.monotonic() + self.every
            self._send("WATCHDOG=1")

    def _send(self, line: str) -> None:
        if line != "WATCHDOG=1":
            self._told = line
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)  # one that does not read holds up nobody
            link.sendto(line.encode(), self._address)
