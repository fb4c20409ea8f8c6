"""/api/: what commands print by --json, over HTTP: who is let in, and an answer in JSON for whatever goes wrong. Reads only."""

from __future__ import annotations

import json
import logging
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.hints import did_you_mean
from hotqueue.web.guard import Barred, Unknown, viewer_of
from hotqueue.web.json_answers import ANSWERS, Answer
from hotqueue.web.page import CannotDo, NotThere, View
from hotqueue.web.routing import Site, unchanged

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # all of them get an answer in JSON

log = logging.getLogger("hotqueue.web")


def routes(site: Site) -> list[Route]:
    """Return all that stands under /api/."""
    index = Answer("", (), "", _index)
    some = [*ANSWERS, index, Answer("/{rest:path}", (), "", _index)]
    return [Route(f"/api{answer.path}", _Asked(site, answer).answer, methods=METHODS) for answer in some]


def _index(view: View) -> dict[str, Any]:
    """Return what there is."""
    if view.params.get("rest"):
        raise NotThere(f"there is no {view.path:.200}; {view.url('/api')} says what there is")
    found = [(f"{view.root}/api{each.path}".replace(":path}", "}"), each) for each in ANSWERS]
    return {"addresses": [{"address": path, "asks": each.asks, "as": f"{each.command} --json"} for path, each in found]}


class _Asked:
    """One address, as Starlette asks for it."""

    def __init__(self, site: Site, answer: Answer) -> None:
        self._site, self._answer = site, answer

    async def answer(self, request: Request) -> Response:
        """Answer."""
        site = self._site
        if request.method not in ("GET", "HEAD"):
            return _wrong(405, "this is to be read: ask with GET", Allow="GET, HEAD")
        try:
            viewer = await viewer_of(request, site.access, site.tries)
        except Unknown as error:
            if error.wait:
                return _wrong(429, "too many wrong passwords: wait a minute", Retry_After=str(int(error.wait) + 1))
            return _wrong(401, "log in with each request: Authorization: Bearer TOKEN", WWW_Authenticate="Bearer")
        except Barred as error:
            return _wrong(403, str(error))
        response: Response = await run_in_threadpool(self._read, site.view(request, viewer))
        return unchanged(request, response)

    def _read(self, view: View) -> Response:
        try:
            for name in view.query:
                if name not in self._answer.asks:
                    hint = did_you_mean(name, self._answer.asks) or f"; there are {', '.join(self._answer.asks) or 'none'}"
                    raise CannotDo(f"nothing here is asked by {name:.80}={hint}")
            if (queue := view.query.get("queue", "")) and not view.shows(queue):
                raise NotThere(f"this dashboard shows no queue {queue!r:.80}")
            return _json(200, self._answer.read(view))
        except NotThere as error:
            return _wrong(404, str(error))
        except CannotDo as error:
            return _wrong(400, str(error))
        except ConnectionFailed as error:
            return _wrong(503, str(error), Retry_After="2")
        except HotQueueError as error:
            return _wrong(409, str(error))
        except Exception:
            log.exception("%s failed", view.path)
            return _wrong(500, "this answer has a mistake; the log of the dashboard says more")


def _wrong(status: int, text: str, **headers: str) -> Response:
    return _json(status, {"error": text}, {name.replace("_", "-"): value for name, value in headers.items()})


def _json(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value, indent=2) + "\n", status, headers, "application/json")
