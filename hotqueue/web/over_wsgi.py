"""The dashboard for WSGI: Flask, Django and whatever else is asked so. a2wsgi carries it over, with an event loop in a thread."""

from __future__ import annotations

from typing import Any

from a2wsgi import ASGIMiddleware

from hotqueue.web.application import app


def wsgi(*args: Any, **options: Any) -> ASGIMiddleware:
    """Return the dashboard as a WSGI application; takes what `app` takes.

    Flask: ``DispatcherMiddleware(app.wsgi_app, {"/hotqueue": hotqueue.web.wsgi(queue)})``.
    """
    application: Any = app(*args, **options)  # the same ASGI, by other types
    return ASGIMiddleware(application)
