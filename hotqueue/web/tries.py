"""Tries: how often wrong passwords were given lately, and how long whoever gave them waits: so nobody can guess for long. Pure.

Wrong ones are counted by address and user, so that who guesses the password of one keeps no other from logging in; those of an
address together have a bound of their own. A browser in which somebody has logged in before is counted by itself:
neighbours behind the same address that guess keep nobody out who has been in.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

TRIES, OF_ADDRESS = 5, 30  # wrong passwords that are nothing to wait for: of one user, of all at one address
FORGET = 900.0  # seconds after the last one
FIRST, LONGEST = 1.0, 60.0  # seconds to wait the first time, then twice as long each time, and at most
REMEMBERED = 20_000  # who gave wrong ones


class Tries:
    """How often wrong passwords were given lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # whose → how many, and when the last one was

    def wait(self, address: str, user: str = "", device: str = "") -> float:
        """Return how many seconds to wait until one more may be tried; 0 for none.

        Args:
            device: of a browser in which this user has logged in before.
        """
        return max(self._wait(whose, free) for whose, free in _counted(address, user, device))

    def note(self, address: str, user: str = "", device: str = "") -> None:
        """Note a wrong one."""
        for whose, _ in _counted(address, user, device):
            self._wrong[whose] = self._number(whose) + 1, self._clock()
            self._wrong.move_to_end(whose)
        while len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)

    def forget(self, address: str, user: str = "", device: str = "") -> None:
        """Forget those of a user who gave the right one now; those of the address stay."""
        self._wrong.pop(_counted(address, user, device)[0][0], None)

    def _number(self, whose: str) -> int:
        number, last = self._wrong.get(whose, (0, 0.0))
        return number if self._clock() - last < FORGET else 0

    def _wait(self, whose: str, free: int) -> float:
        over = self._number(whose) - free
        return max(0.0, self._wrong[whose][1] + min(LONGEST, FIRST * 2.0**over) - self._clock()) if over >= 0 else 0.0


def _counted(address: str, user: str, device: str) -> list[tuple[str, int]]:
    """Return by whom it is counted, each with how many are free.

    Users by a part of a digest of their names: by what has to wait nobody finds out which users there are.
    """
    if device:
        return [(f"device {device}", TRIES)]
    network = _network(address)
    return [(f"{network} {hashlib.sha256(user.encode(errors='surrogatepass')).digest()[0]}", TRIES), (network, OF_ADDRESS)]


def _network(address: str) -> str:
    """Return what one machine may have as its own: an address, or a /64 of IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)
