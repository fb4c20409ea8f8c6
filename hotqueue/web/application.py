"""The application: all pages, actions and files of a dashboard as one ASGI application, to serve or to mount."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hotqueue.errors import ConfigError
from hotqueue.monitor.history import History
from hotqueue.monitor.snapshot import Snapshots
from hotqueue.queue import HotQueue
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.client.client import client_of
from hotqueue.web import api, pages
from hotqueue.web.access import LOOPBACK, Access, Authorize, allowed
from hotqueue.web.guard import SafeHeaders
from hotqueue.web.login import Login, Logout
from hotqueue.web.routing import PATIENCE, Done, Shown, Site, let_in
from hotqueue.web.scraping import Scraped
from hotqueue.web.templating import STATIC, static
from hotqueue.web.theme import Theme


def app(
    where: HotQueue | Store | str,
    *,
    queues: Sequence[str] = (),
    authorize: Authorize | None = None,
    token: str = "",
    users: Mapping[str, str] | None = None,
    read_only: bool = False,
    allow: Collection[str] | None = None,
    hosts: Collection[str] = (),
) -> ASGIApp:
    """Return the dashboard of a store, as an ASGI application: ``app.mount("/hotqueue", hotqueue.web.app(queue))``.

    Without any of `authorize`, `token` and `users` it answers to this machine alone.

    Args:
        where: a queue, of whose store all queues are shown; or the URL of a store.
        queues: those alone that are named so, or match: ``tenant-*``.
        authorize: takes a Starlette request, and returns who that is: a name, a `Viewer` with rights of their own, True; or
            something false for somebody who is not to see anything. May be ``async def``.
        token: whoever logs in with it sees the dashboard.
        users: names and passwords of those who do.
        read_only: nobody changes anything.
        allow: what may be done, of ``hotqueue.web.access.RIGHTS``; None is all.
        hosts: names by which it may be asked for, beside those of the loopback, where anybody on this machine is let in.

    Raises:
        ConfigError: an impossible URL, or a right that there is not.
    """
    return build(site_of(where, queues, authorize, token, users, read_only, allow, hosts))


def site_of(
    where: HotQueue | Store | str,
    queues: Sequence[str] = (),
    authorize: Authorize | None = None,
    token: str = "",
    users: Mapping[str, str] | None = None,
    read_only: bool = False,
    allow: Collection[str] | None = None,
    hosts: Collection[str] = (),
) -> Site:
    """Return what all pages of a dashboard share; see `app`."""
    if authorize is not None and (token or users):
        raise ConfigError("authorize= says who may see the dashboard, so token= and users= would say nothing")
    named = LOOPBACK | {host.lower() for host in hosts}
    access = Access(token, dict(users or {}), authorize, allowed(read_only, allow), named)
    store = _store_of(where)
    return Site(store, Snapshots(store, queues), History(store), access, pages.NAVIGATION)


def _store_of(where: HotQueue | Store | str) -> Store:
    """Return a store of our own, which does not wait for long: somebody looks at a page until it comes."""
    if isinstance(where, str):
        return Store(replace(resolve(url=where), patience=PATIENCE))
    store = client_of(where).store if isinstance(where, HotQueue) else where
    return Store(replace(store.address, patience=PATIENCE), store.embedded)


def build(site: Site) -> ASGIApp:
    """Return the application of a site."""
    routes = [Route(page.path, Shown(site, page).answer, methods=["GET", "HEAD"]) for page in pages.PAGES]
    routes += [
        Route("/do/{name}", Done(site, pages.ACTIONS).answer, methods=["POST"]),
        *api.routes(site),
        Route("/metrics", Scraped(site).answer, methods=["GET", "HEAD"]),
        Route("/login", Login(site).answer, methods=["GET", "POST"]),
        Route("/logout", Logout(site).answer, methods=["POST"]),
        Route("/theme", Theme(site).answer, methods=["POST"]),
        Route("/static/{name}", _static, methods=["GET", "HEAD"]),
    ]

    async def not_there(request: Request, _error: Exception) -> Response:
        if isinstance(viewer := await let_in(site, request), Response):
            return viewer
        return site.show("message.html", site.view(request, viewer), 404, title="Not there", text="There is no such page.")

    middleware = [Middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)]
    inner = Starlette(routes=routes, exception_handlers={404: not_there}, middleware=middleware)
    return SafeHeaders(inner)  # around all of it: also what Starlette says of a mistake has them


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return Response("there is no such file\n", 404, media_type="text/plain")
    body, kind = static(name)
    return Response(body, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})
