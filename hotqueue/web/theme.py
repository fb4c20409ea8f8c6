"""The colours of the pages, as a reader chooses them: as the system, light or dark; a cookie of the browser."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hotqueue.web.access import Viewer
from hotqueue.web.guard import is_of_same_origin
from hotqueue.web.routing import THEME, THEMES, Site, back_of, read_form

LONGEST = 20_000  # bytes of its form, which anybody may send
KEPT = 365 * 86400  # seconds


class Theme:
    """Where the form sends what was chosen."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def answer(self, request: Request) -> Response:
        """Have the browser keep it, and go back to the page with the form."""
        view = self._site.view(request, Viewer("nobody", ()))
        form = await read_form(request, LONGEST)
        if form is None or not is_of_same_origin(request):
            return Response("the form was not on a page of this dashboard\n", 403, media_type="text/plain")
        response = RedirectResponse(back_of(view, form), 303)
        path, theme = view.root or "/", form.one("theme")
        if theme in THEMES:
            cookie: dict[str, Any] = {"path": path, "httponly": True, "secure": request.url.scheme == "https", "max_age": KEPT}
            response.set_cookie(THEME, theme, samesite="lax", **cookie)
        else:
            response.delete_cookie(THEME, path=path)
        return response
