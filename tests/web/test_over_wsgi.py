"""The dashboard as a WSGI application, below a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import hotqueue.web
from hotqueue import HotQueue
from tests.support.waiting import wait_until


@pytest.mark.servers("embedded")
def test_pages_and_actions_go_by_wsgi(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    queue.put("x")
    app = hotqueue.web.wsgi(queue)

    def ask(method: str, path: str, body: bytes = b"", address: str = "127.0.0.1") -> tuple[str, dict[str, str], str]:
        import io

        environ: dict[str, Any] = {"SCRIPT_NAME": "/ops", "PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": "localhost"}
        environ |= {"REMOTE_ADDR": address, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        environ |= {"HTTP_SEC_FETCH_SITE": "same-origin"}
        setup_testing_defaults(environ)
        said: list[Any] = []
        found = b"".join(app(environ, lambda *args: said.append(args)))
        return said[0][0], dict(said[0][1]), found.decode()

    status, _, page = ask("GET", "/queues")
    assert status == "200 OK"
    assert f'href="/ops/queues/{queue.name}"' in page
    status, headers, _ = ask("POST", "/do/pause", f"queue={queue.name}".encode())
    assert (status, headers["location"]) == ("303 See Other", "/ops/")
    assert queue.stats()["paused"]
    assert ask("GET", "/", address="10.0.0.1")[0].startswith("403")
    queue.resume()
    queue.clear()
    app.loop.call_soon_threadsafe(app.loop.stop)
    wait_until(lambda: not app.loop.is_running())
    app.loop.close()
