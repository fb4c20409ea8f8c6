"""The colours that a reader chooses are a cookie; whoever may change nothing may choose them as well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.support import dashboards

pytestmark = pytest.mark.servers("embedded")


def test_colours_are_chosen(make_queue: Callable[..., HotQueue]) -> None:
    asked = dashboards.client(make_queue(), read_only=True)
    assert '<html lang="en">' in asked.get("/queues").text
    page = asked.post("/theme", data={"theme": "dark", "_back": "/queues?q=x"})
    assert (page.url.path, page.url.query) == ("/queues", b"q=x")
    for path in ("/queues", "/nowhere"):
        page = asked.get(path)
        assert '<html lang="en" data-theme="dark">' in page.text
        assert '<meta name="color-scheme" content="dark">' in page.text
    assert "data-theme" not in asked.post("/theme", data={"theme": "system"}).text


def test_no_other_page_chooses_them_and_nothing_else_is_taken(make_queue: Callable[..., HotQueue]) -> None:
    asked = dashboards.client(make_queue())
    assert asked.post("/theme", data={"theme": "dark"}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert asked.post("/theme", data={"theme": "dark", "_back": "//evil.example"}).url.path == "/"
    asked.post("/theme", data={"theme": '"><b>'})
    asked.cookies.set("hotqueue_theme", '"><b>')
    assert "data-theme" not in asked.get("/").text
    assert asked.get("/theme").status_code == 405
