"""Who may see the dashboard, and who may do what there. Pure: knows passwords and addresses, no request."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hotqueue.errors import ConfigError
from hotqueue.hints import did_you_mean

RIGHTS = ("enqueue", "pause", "purge", "retry", "discard", "revoke", "workers", "schedules")  # what one may do
STAYS = 12 * 3600  # seconds for which somebody stays logged in
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})  # names by which a browser reaches this machine itself


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks at the dashboard, as `authorize` says it.

    Attributes:
        name: what the audit calls them.
        rights: what they may do, of RIGHTS; None is all that the dashboard lets anybody do.
    """

    name: str
    rights: Collection[str] | None = None


Authorize = Callable[[Any], "Viewer | str | bool | Awaitable[Viewer | str | bool | None] | None"]


@dataclass(frozen=True)
class Access:
    """Who may see a dashboard, and do what.

    Attributes:
        token: whoever knows it may.
        users: passwords, by the names of their users.
        authorize: takes a request, and returns who that is; false where nobody is to see anything.
        allowed: of RIGHTS, what may be done at all.
        hosts: names under which it may be asked for, where anybody is let in: else a page elsewhere, whose name is made to
            mean this machine, could read it.
    """

    token: str = ""
    users: Mapping[str, str] = field(default_factory=dict)
    authorize: Authorize | None = None
    allowed: frozenset[str] = frozenset(RIGHTS)
    hosts: frozenset[str] = LOOPBACK

    @property
    def has_login(self) -> bool:
        """True where somebody logs in with a token, or a name and a password."""
        return bool(self.token or self.users)

    @property
    def is_open(self) -> bool:
        """True where whoever is on this machine is let in."""
        return not (self.has_login or self.authorize)

    def knows(self, user: str, secret: str) -> str:
        """Return who gives a token, or a user's password; "" for nobody. Takes as long for a wrong one as for a right one."""
        found = ""
        for name, password in [("", self.token), *self.users.items()]:
            is_right = hmac.compare_digest(_digest(f"{name}\0{password}"), _digest(f"{user if name else ''}\0{secret}"))
            if password and is_right:
                found = name or "token"
        return found

    def session(self, name: str, now: float | None = None) -> str:
        """Return what a browser shows from now on, of somebody who has logged in."""
        until = int((time.time() if now is None else now) + STAYS)
        return f"{until}.{self._seal(name, until)}.{name.encode().hex()}"

    def of_session(self, session: str, now: float | None = None) -> str:
        """Return whose session it is; "" for one that is over, or none of ours: with a new password all are."""
        until, seal, name = (*session.split(".", 2), "", "", "")[:3]
        try:
            who = bytes.fromhex(name).decode()
            if not until.isdecimal() or int(until) < (time.time() if now is None else now):
                return ""
        except ValueError:
            return ""
        is_known = bool(self._secret(who))  # of nobody else is there a secret: whoever has read this file could seal it
        return who if is_known and hmac.compare_digest(seal.encode(), self._seal(who, int(until)).encode()) else ""

    def device(self, name: str) -> str:
        """Return what a browser shows, from now on, in which somebody has logged in: see `Tries`. It lets nobody in."""
        mark = secrets.token_hex(8)
        return f"{mark}.{self._seal(name, f'device {mark}')}"

    def of_device(self, shown: str, user: str) -> str:
        """Return the mark of a browser in which this user has logged in, "" of none; no user: whoever has the token."""
        mark, _, seal = shown.partition(".")
        name = user or "token"
        is_known = bool(self._secret(name)) and hmac.compare_digest(seal.encode(), self._seal(name, f"device {mark}").encode())
        return mark if is_known else ""

    def _secret(self, name: str) -> str:
        """Return what somebody logs in with; "" for nobody."""
        return self.users.get(name) or (self.token if name == "token" else "")

    def _seal(self, name: str, what: int | str) -> str:
        secret = self._secret(name)
        key = _digest(f"hotqueue web session\0{secret}")
        return hmac.new(key, f"{name}\0{what}".encode(), hashlib.sha256).hexdigest()

    def rights(self, viewer: Viewer) -> frozenset[str]:
        """Return what somebody may do."""
        return self.allowed if viewer.rights is None else self.allowed & frozenset(viewer.rights)


def allowed(is_read_only: bool, some: Collection[str] | None) -> frozenset[str]:
    """Return what may be done.

    Args:
        some: of RIGHTS; None is all.

    Raises:
        ConfigError: one that there is not.
    """
    for right in some or ():
        if right not in RIGHTS:
            hint = did_you_mean(right, RIGHTS) or f"; there are {', '.join(RIGHTS)}"
            raise ConfigError(f"there is no right {right!r:.80}{hint}")
    return frozenset() if is_read_only else frozenset(RIGHTS if some is None else some)


def is_loopback(host: str) -> bool:
    """Tell whether an address is of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
