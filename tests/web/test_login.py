"""Logging in and out with a form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from hotqueue.web import tries

pytestmark = pytest.mark.servers("embedded")
Dashboard = Callable[..., TestClient]


def test_somebody_logs_in_and_is_where_they_wanted_to_be(dashboard: Dashboard) -> None:
    asked = dashboard(users={"ann": "pw"})
    page = asked.get("/queues?sort=name")
    assert page.url.path == "/login"
    assert page.url.params["to"] == "/queues?sort=name"
    assert asked.post("/login", data={"user": "ann", "secret": "no", "to": "/queues"}).status_code == 401
    page = asked.post("/login", data={"user": "ann", "secret": "pw", "to": "/queues?sort=name"})
    assert (page.status_code, page.url.path, page.url.query) == (200, "/queues", b"sort=name")
    assert "ann" in page.text
    asked.post("/logout")
    assert asked.get("/queues").url.path == "/login"


@pytest.mark.parametrize("to", ["//evil.example/", "https://evil.example/", "/\\evil.example", "evil", "/\nx", ""])
def test_one_is_sent_to_no_page_but_ours(dashboard: Dashboard, to: str) -> None:
    found = dashboard(token="t").post("/login", data={"secret": "t", "to": to}, follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (303, "/")


def test_the_cookie_is_for_our_pages_alone(dashboard: Dashboard) -> None:
    said = dashboard(token="t").post("/login", data={"secret": "t"}, follow_redirects=False).headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    assert "path=/" in said


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have who guesses wait for long at once: a test that is slow is no second try."""
    monkeypatch.setattr(tries, "FIRST", 60.0)


@pytest.mark.usefixtures("long_waits")
def test_who_guesses_has_to_wait(dashboard: Dashboard) -> None:
    asked = dashboard(token="t")
    codes = [asked.post("/login", data={"secret": "no"}).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    assert asked.post("/login", data={"secret": "t"}).status_code == 429


@pytest.mark.usefixtures("long_waits")
def test_who_guesses_at_the_same_address_keeps_nobody_out_who_has_been_in(dashboard: Dashboard) -> None:
    asked = dashboard(users={"ann": "pw", "bob": "pw"})
    asked.post("/login", data={"user": "ann", "secret": "pw"})
    asked.post("/logout")
    known = dict(asked.cookies)
    asked.cookies.clear()
    for _ in range(20):  # somebody behind the same proxy
        asked.post("/login", data={"user": "ann", "secret": "no"})
    assert asked.post("/login", data={"user": "ann", "secret": "pw"}).status_code == 429
    assert asked.post("/login", data={"user": "bob", "secret": "pw"}, follow_redirects=False).status_code == 303
    asked.cookies.clear()
    asked.cookies.update(known)
    assert asked.get("/queues").url.path == "/login"  # that alone is no login
    assert asked.post("/login", data={"user": "ann", "secret": "pw"}, follow_redirects=False).status_code == 303


def test_a_form_elsewhere_logs_nobody_in_or_out(dashboard: Dashboard) -> None:
    asked = dashboard(token="t")
    assert asked.post("/login", data={"secret": "t"}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    asked.post("/login", data={"secret": "t"})
    asked.post("/logout", headers={"sec-fetch-site": "cross-site"})
    assert asked.get("/queues").url.path == "/queues"


def test_where_there_is_no_password_there_is_no_login(dashboard: Dashboard) -> None:
    assert dashboard().get("/login").url.path == "/"
