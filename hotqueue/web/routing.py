"""Pages and actions → what Starlette asks: who is let in, a thread for what asks Redis, an answer for whatever goes wrong."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.monitor.history import History
from hotqueue.monitor.snapshot import Snapshots
from hotqueue.store.store import Store
from hotqueue.web import audit
from hotqueue.web.access import Access, Viewer
from hotqueue.web.guard import Barred, Unknown, address_of, is_of_same_origin, viewer_of
from hotqueue.web.page import Action, Amiss, CannotDo, Form, NotThere, Page, View
from hotqueue.web.templating import render
from hotqueue.web.tries import Tries

log = logging.getLogger("hotqueue.web")

PATIENCE = 2.0  # seconds for which a page waits for a server that is away
SAID = "hotqueue_said"  # the cookie of what an action said, for the next page
THEME, THEMES = "hotqueue_theme", ("light", "dark")  # the cookie of the colours that somebody chose
LONGEST_SAID = 3_000  # bytes of its value
LONGEST, FIELDS = 1_000_000, 10_000  # bytes of a form, and fields


@dataclass
class Site:
    """What all pages of one dashboard share.

    Attributes:
        navigation: the pages that all pages link to, in their order.
    """

    store: Store
    snapshots: Snapshots
    history: History
    access: Access
    navigation: Sequence[Page] = ()
    tries: Tries = field(default_factory=Tries)

    def warm(self) -> None:
        """Read what the first page will need: which queues there are takes longer than how they are."""
        with contextlib.suppress(HotQueueError):  # that page says what is wrong
            queues = [queue.name for queue in self.snapshots.get().queues]
            self.history.overall(queues, 60, 60)

    def view(self, request: Request, viewer: Viewer) -> View:
        """Return what a page is given."""
        root = str(request.scope.get("root_path", ""))
        path = str(request.scope["path"])  # as it is meant; that of request.url is quoted
        path = path[len(root) :] if path.startswith(root) else path
        said = unquote(request.cookies.get(SAID, ""))
        rights = self.access.rights(viewer)
        more = root, path or "/", request.path_params, dict(request.query_params), said
        theme = request.cookies.get(THEME, "")
        return View(self.store, self.snapshots, self.history, viewer, rights, *more, theme=theme if theme in THEMES else "")

    def show(self, template: str, view: View, status: int = 200, **context: Any) -> Response:
        """Return an answer that a template makes."""
        has_login = self.access.has_login
        text = render(
            template,
            view,
            navigation=self.navigation,
            has_login=has_login,
            **{"section": "", "title": "", "is_bare": False, **context},
        )
        body = text.encode(errors="backslashreplace")  # what a task says may have half of a pair in it
        return Response(body, status, media_type="text/html")


class Shown:
    """A page, as Starlette asks for it."""

    def __init__(self, site: Site, page: Page) -> None:
        self._site, self._page = site, page

    async def answer(self, request: Request) -> Response:
        """Answer."""
        site = self._site
        if isinstance(viewer := await let_in(site, request), Response):
            return viewer
        view = site.view(request, viewer)
        response = await run_in_threadpool(self._answer, view)
        if view.said:
            response.delete_cookie(SAID, path=view.root or "/")
        return unchanged(request, response)

    def _answer(self, view: View) -> Response:
        page, site = self._page, self._site
        try:
            if (queue := view.query.get("queue", "")) and not view.shows(queue):
                raise NotThere(f"This dashboard shows no queue {queue!r:.80}.")
            with site.store.limited(PATIENCE):  # also a server that takes what we say, and says nothing
                found = page.read(view)
            section = page.section or page.title
            return site.show(page.template, view, **{"title": page.title, "section": section, **found})
        except NotThere as error:
            return site.show("message.html", view, 404, title="Not there", text=str(error), section=page.section)
        except HotQueueError as error:
            return trouble(site, view, error, page.section or page.title)
        except Exception:
            return mistake(site, view)


def trouble(site: Site, view: View, error: HotQueueError, section: str = "") -> Response:
    """Return the page that says what is wrong with the store."""
    is_away = isinstance(error, ConnectionFailed) and error.retry  # else it refused us, and will again
    title = "Redis cannot be reached" if is_away else "Redis did not let us see this"
    response = site.show("trouble.html", view, 503, title=title, text=str(error), is_away=is_away, section=section)
    response.headers["Retry-After"] = "2"
    return response


def mistake(site: Site, view: View) -> Response:
    """Return the page that says that we made a mistake; what it was is for the log."""
    log.exception("the page %s failed", view.path)
    text = "This page has a mistake. The log of the dashboard says more."
    return site.show("message.html", view, 500, title="Something went wrong", text=text)


class Done:
    """What can be done, as Starlette asks for it."""

    def __init__(self, site: Site, actions: Sequence[Action]) -> None:
        self._site = site
        self._actions = {action.name: action for action in actions}

    async def answer(self, request: Request) -> Response:
        """Do what a form says, and go back to where it was."""
        site = self._site
        if isinstance(viewer := await let_in(site, request), Response):
            return viewer
        view = site.view(request, viewer)
        action = self._actions.get(request.path_params["name"])
        if action is None:
            return site.show("message.html", view, 404, title="Not there", text="There is no such action.")
        why = "" if view.may(action.right) else f"you may not {action.name} here"
        if why or not is_of_same_origin(request):
            why = why or "the form was not on a page of this dashboard"
            audit.refused(viewer.name, address_of(request), action.name, why)
            return site.show("message.html", view, 403, title="Not allowed", text=f"Nothing was changed: {why}.")
        form = await read_form(request)
        if form is None:
            return site.show("message.html", view, 413, title="Too much", text="Nothing was changed: the form is too large.")
        return await run_in_threadpool(self._do, view, action, form, address_of(request), request.url.scheme == "https")

    def _do(self, view: View, action: Action, form: Form, address: str, is_secure: bool) -> Response:
        back, which = back_of(view, form), ""
        try:
            for queue in form.get("queue", ()):
                if not view.shows(queue):
                    raise CannotDo(f"this dashboard shows no queue {queue!r:.80}")
            said = action.act(view, form)
            text, which, back = said.text, said.which, view.url(said.back, **said.query) if said.back else back
            audit.changed(view.viewer.name, address, action.name, which, text)
        except Amiss as error:
            page = error.page
            return self._site.show(page.template, view, 422, **{"title": page.title, "section": page.section, **error.shown})
        except CannotDo as error:
            text = f"!{error}"
        except ConnectionFailed as error:
            if not error.retry:  # it refused us: nothing was done
                return trouble(self._site, view, error)
            audit.changed(view.viewer.name, address, action.name, which, f"unknown: {error}")
            return trouble(self._site, view, error)
        except HotQueueError as error:
            text = f"!{error}"
        except Exception:
            audit.changed(view.viewer.name, address, action.name, which, "unknown: a mistake of the dashboard")
            return mistake(self._site, view)
        view.snapshots.outdate()
        response = RedirectResponse(back, 303)
        cookie: dict[str, Any] = {"path": view.root or "/", "max_age": 60, "httponly": True, "secure": is_secure}
        response.set_cookie(SAID, for_cookie(text), samesite="strict", **cookie)
        return response


def for_cookie(text: str) -> str:
    """Return what is said for a cookie, of which a browser takes 4 KB; a letter may take twelve bytes there."""
    while len(quoted := quote(text, errors="replace")) > LONGEST_SAID:
        text = text[: len(text) * 3 // 4]
    return quoted


def back_of(view: View, form: Form) -> str:
    """Return where to go on: the page with the form, if that is one of ours."""
    back = form.one("_back")
    is_ours = back.startswith(f"{view.root}/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    return back if is_ours else view.url("/")


async def let_in(site: Site, request: Request) -> Viewer | Response:
    """Return who asks, or what to answer to somebody who is not let in."""
    try:
        return await viewer_of(request, site.access, site.tries)
    except Unknown as error:
        view = site.view(request, Viewer("nobody", ()))
        is_page = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")
        if is_page and not error.wait and "x-live" not in request.headers:
            return RedirectResponse(view.url("/login", to=view.here()), 303)
        status, headers = (429, {"Retry-After": str(int(error.wait) + 1)}) if error.wait else (401, {})
        text = f"too many wrong passwords: wait {int(error.wait) + 1} s" if error.wait else "log in first"
        return Response(f"{text}\n", status, {**headers, "WWW-Authenticate": "Bearer"}, "text/plain")
    except Barred as error:
        view = site.view(request, Viewer("nobody", ()))
        return site.show("message.html", view, 403, title="Not for you", text=f"{error}.", is_bare=True)


async def read_form(request: Request, longest: int = LONGEST) -> Form | None:
    """Return what a form says; None where that is too much."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > longest:
            return None
    form: dict[str, list[str]] = {}
    try:
        said = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:  # more: reading them would take long, and others wait
        return None
    for name, value in said:
        form.setdefault(name, []).append(value)
    return Form(form)


def unchanged(request: Request, response: Response) -> Response:
    """Return an answer of no length where the browser has that page already."""
    if response.status_code != 200:
        return response
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:24]}"'
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    if request.headers.get("if-none-match") == etag and "set-cookie" not in response.headers:
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
    return response
