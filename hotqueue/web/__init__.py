"""The dashboard: pages about the queues of a store, made on the server, for `hotqueue web` and for other people's applications.

Needs the extra ``hotqueue[web]``. ``hotqueue.web.app(queue)`` is what FastAPI and Starlette mount, ``hotqueue.web.wsgi(queue)``
what Flask and Django do. Asks Redis in threads, never in an event loop; unpickles nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotqueue.web.access import Viewer
    from hotqueue.web.application import app
    from hotqueue.web.over_wsgi import wsgi

__all__ = ["Viewer", "app", "wsgi"]

EXTRA = "the dashboard needs starlette, jinja2 and uvicorn: pip install 'hotqueue[web]'"

_HOMES = {"Viewer": "access", "app": "application", "wsgi": "over_wsgi"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hotqueue.web' has no attribute {name!r}")
    try:
        return getattr(import_module(f"hotqueue.web.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hotqueue"):
            raise
        raise ModuleNotFoundError(f"{EXTRA} ({error})", name=error.name) from error
