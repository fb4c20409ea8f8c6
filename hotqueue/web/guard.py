"""What stands before every page: who asks, from where, by which name of this machine; the headers that every answer has."""

from __future__ import annotations

import base64
import binascii
import inspect
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hotqueue.web.access import Access, Viewer, is_loopback
from hotqueue.web.tries import Tries

SESSION = "hotqueue_session"  # the cookie of somebody who has logged in
DEVICE = "hotqueue_known"  # and of a browser in which somebody has
_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Unknown(Exception):
    """Nobody knows who asks: they have to log in.

    Attributes:
        wait: seconds until they may try again.
    """

    def __init__(self, wait: float = 0.0) -> None:
        super().__init__()
        self.wait = wait


class Barred(Exception):
    """Whoever asks is not to see anything; the text says why."""


class SafeHeaders:
    """Gives every answer of an application the headers that keep other pages from using it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)


def address_of(request: Request) -> str:
    """Return the address of whoever asks; "" where that is not known."""
    environ = request.scope.get("wsgi_environ") or {}
    return request.client.host if request.client else str(environ.get("REMOTE_ADDR", ""))


async def viewer_of(request: Request, access: Access, tries: Tries) -> Viewer:
    """Return who asks.

    Raises:
        Unknown: somebody who has to log in.
        Barred: somebody who is not to see anything.
    """
    if access.authorize is not None:
        return await _authorized(request, access.authorize)
    if access.has_login:
        return Viewer(_logged_in(request, access, tries))
    _check_is_near(request, access)
    return Viewer("local")


async def _authorized(request: Request, authorize: Callable[[Any], Any]) -> Viewer:
    is_async = inspect.iscoroutinefunction(authorize)
    said = authorize(request) if is_async else await run_in_threadpool(authorize, request)
    if inspect.isawaitable(said):
        said = await said
    if isinstance(said, Viewer):
        return said
    if not said:
        raise Barred("you may not see this dashboard")
    return Viewer(said if isinstance(said, str) else "somebody")


def _logged_in(request: Request, access: Access, tries: Tries) -> str:
    if name := access.of_session(request.cookies.get(SESSION, "")):
        return name
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if not given:
        raise Unknown
    user, secret = _basic(given) if kind.lower() == "basic" else ("", given.strip())
    whose = address_of(request), user
    if wait := tries.wait(*whose):
        raise Unknown(wait)
    if name := access.knows(user, secret):
        tries.forget(*whose)
        return name
    tries.note(*whose)
    raise Unknown


def _basic(given: str) -> tuple[str, str]:
    try:
        user, _, secret = base64.b64decode(given).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, secret


def _check_is_near(request: Request, access: Access) -> None:
    """Raise Barred unless somebody on this machine asks for it by a name of this machine."""
    host = request.headers.get("host", "").lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    is_forwarded = any(header in request.headers for header in _FORWARDED)
    if not is_loopback(address_of(request)) or is_forwarded or name not in access.hosts:
        raise Barred(
            "this dashboard has no password, so it is for the machine alone on which it runs, under the name localhost; "
            "give it authorize=, token= or users= (hotqueue web: --token or --user) to show it to others"
        )


def is_of_same_origin(request: Request) -> bool:
    """Tell whether a form was on one of our pages, as the browser says; what says nothing is no browser's."""
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    try:
        place = urlsplit(request.headers.get("origin", "")).netloc.lower()
    except ValueError:  # such as http://[
        return False
    return bool(place) and place == request.headers.get("host", "").lower()
