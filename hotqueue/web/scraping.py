"""/metrics: what `hotqueue metrics` tells Prometheus, of the queues of a dashboard, for whoever may see its pages."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hotqueue.errors import HotQueueError
from hotqueue.web.guard import Barred, Unknown, viewer_of
from hotqueue.web.routing import PATIENCE, Site

EXTRA = "metrics need prometheus-client: pip install 'hotqueue[metrics]'"


class Scraped:
    """The answers to Prometheus, as Starlette asks for them."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._scrape = _scrapes(site)

    async def answer(self, request: Request) -> Response:
        """Answer."""
        try:
            await viewer_of(request, self._site.access, self._site.tries)
        except Unknown as error:
            if error.wait:
                return _said(429, "too many wrong passwords", Retry_After=str(int(error.wait) + 1))
            return _said(401, "log in with each request: Authorization: Bearer TOKEN", WWW_Authenticate="Bearer")
        except Barred as error:
            return _said(403, str(error))
        if self._scrape is None:
            return _said(501, EXTRA)
        return await run_in_threadpool(self._read, self._scrape, request.headers.get("accept", ""))

    def _read(self, scrape: Callable[[str], tuple[bytes, str]], accept: str) -> Response:
        try:
            with self._site.store.limited(PATIENCE):
                body, kind = scrape(accept)
        except HotQueueError as error:
            return _said(503, str(error), Retry_After="2")
        return Response(body, 200, {"Content-Type": kind})


def _scrapes(site: Site) -> Callable[[str], tuple[bytes, str]] | None:
    """Return what answers, None where prometheus-client is not installed: whoever mounts a dashboard need not have it."""
    if importlib.util.find_spec("prometheus_client") is None:
        return None
    from hotqueue.monitor.scrapes import Scrapes

    return Scrapes(site.store, lambda: [queue.name for queue in site.snapshots.get().queues if not queue.refused])


def _said(status: int, text: str, **headers: str) -> Response:
    return Response(f"{text}\n", status, {name.replace("_", "-"): value for name, value in headers.items()}, "text/plain")
