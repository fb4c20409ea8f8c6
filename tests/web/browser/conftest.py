"""One dashboard and one browser a module: `hotqueue web` as a process, over a store of its own; a page for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from hotqueue import HotQueue
from tests.support import dashboards
from tests.support.browsing import have_patience


@dataclass
class Served:
    """A dashboard that is served.

    Attributes:
        address: where, without the slash.
        dbfilename: what it shows.
    """

    address: str
    dbfilename: Path

    def queue(self, name: str) -> HotQueue:
        """Return a queue of the store; `close` it."""
        return HotQueue(name, dbfilename=self.dbfilename)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with dashboards.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The dashboard."""
    path = tmp_path_factory.mktemp("web") / "x.rdb"
    with dashboards.served("--dbfilename", path) as (address, _process):
        yield Served(address, path)


@pytest.fixture
def page(browser: Browser, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a browser that knows nothing yet; what a script of ours complains of fails the test.

    ``@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)`` gives options of a context.
    """
    options: dict[str, Any] = getattr(request, "param", {})
    context = browser.new_context(base_url=served.address, **options)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    yield have_patience(context.new_page())
    context.close()
    assert complaints == []
