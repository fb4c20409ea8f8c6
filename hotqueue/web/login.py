"""Logging in and out: a page with a form, a cookie that is sealed, and few tries."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hotqueue.web import audit
from hotqueue.web.access import STAYS, Viewer
from hotqueue.web.guard import DEVICE, SESSION, address_of, is_of_same_origin
from hotqueue.web.page import View
from hotqueue.web.routing import Site, read_form

KNOWN = 365 * 24 * 3600  # seconds for which a browser in which somebody logged in is counted by itself
LONGEST = 20_000  # bytes of its form, which anybody may send


class Login:
    """The page on which one logs in."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def answer(self, request: Request) -> Response:
        """Show the form, or take it."""
        view = self._site.view(request, Viewer("nobody", ()))
        if not self._site.access.has_login:
            return RedirectResponse(view.url("/"), 303)
        if request.method == "POST":
            return await self._take(request, view)
        return self._form(view, "", view.query.get("to", ""))

    def _form(self, view: View, wrong: str, to: str, status: int = 200) -> Response:
        has_users, has_token = bool(self._site.access.users), bool(self._site.access.token)
        more = {"has_users": has_users, "has_token": has_token, "wrong": wrong, "to": to}
        return self._site.show("login.html", view, status, title="Log in", is_bare=True, **more)

    async def _take(self, request: Request, view: View) -> Response:
        access, tries, address = self._site.access, self._site.tries, address_of(request)
        form = await read_form(request, LONGEST)
        if form is None or not is_of_same_origin(request):
            return self._form(view, "The form was not on a page of this dashboard.", "", 403)
        to = form.one("to")
        user = form.one("user")
        whose = address, user, access.of_device(request.cookies.get(DEVICE, ""), user)
        if wait := tries.wait(*whose):
            response = self._form(view, f"Too many wrong ones: wait {int(wait) + 1} s.", to, 429)
            response.headers["Retry-After"] = str(int(wait) + 1)
            return response
        name = access.knows(user, form.one("secret"))
        if not name:
            tries.note(*whose)
            audit.refused(user or "somebody", address, "login", "wrong")
            return self._form(view, "That is not right.", to, 401)
        tries.forget(*whose)
        is_ours = to.startswith(f"{view.root}/") and not to.startswith("//") and "\\" not in to and to.isprintable()
        response = RedirectResponse(to if is_ours else view.url("/"), 303)
        cookie: dict[str, Any] = {"path": view.root or "/", "httponly": True, "secure": request.url.scheme == "https"}
        response.set_cookie(SESSION, access.session(name), max_age=STAYS, samesite="lax", **cookie)
        response.set_cookie(DEVICE, access.device(name), max_age=KNOWN, samesite="strict", **cookie)
        return response


class Logout:
    """What ends that."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def answer(self, request: Request) -> Response:
        """Have the browser forget who it is."""
        view = self._site.view(request, Viewer("nobody", ()))
        response = RedirectResponse(view.url("/login"), 303)
        if is_of_same_origin(request):
            response.delete_cookie(SESSION, path=view.root or "/")
        return response
