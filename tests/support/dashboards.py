"""Dashboards for tests: asked in this process by httpx, and as a process of their own that a real Chromium looks at."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from starlette.testclient import TestClient

import hotqueue.web
from tests.support import needs
from tests.support.processes import start_command

HOME = "http://127.0.0.1"


def client(where: Any, *, address: str = "127.0.0.1", base_url: str = HOME, **options: Any) -> TestClient:
    """Return what asks a dashboard as a browser on this machine does.

    Args:
        where: a queue, a store or a URL.
        address: whence it asks.
    """
    headers = {"accept": "text/html", "sec-fetch-site": "same-origin"}
    app = hotqueue.web.app(where, **options)
    return TestClient(app, base_url=base_url, client=(address, 50000), headers=headers)


@contextmanager
def served(*args: object, **options: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Have `hotqueue web` as a process; yield its address, without the slash, and the process."""
    process = start_command("hotqueue", "web", "--port", "0", *args, stderr=subprocess.DEVNULL, **options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://\S+)/  ", line)
        assert found, f"it said {line!r}"
        yield found[1], process
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Have Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    if path is None:
        raise needs.lacking("Chromium", "chromium", required=needs.are_required())
    with sync_playwright() as playwright:
        how = {"args": ["--no-sandbox", "--disable-dev-shm-usage"], "timeout": 100_000}
        browser = playwright.chromium.launch(executable_path=path, **how)
        try:
            yield browser
        finally:
            browser.close()
