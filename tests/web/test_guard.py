"""What stands before every page: addresses, names of hosts, who is let in, other origins, headers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from hotqueue import HotQueue
from hotqueue.web import Viewer, tries
from tests.support import dashboards

pytestmark = pytest.mark.servers("embedded")
Dashboard = Callable[..., TestClient]


def test_without_a_password_it_is_for_this_machine_alone(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    assert dashboards.client(queue).get("/").status_code == 200
    assert dashboards.client(queue, base_url="http://localhost:4687").get("/").status_code == 200
    refused = dashboards.client(queue, address="10.0.0.7").get("/")
    assert refused.status_code == 403
    assert "has no password" in refused.text
    assert dashboards.client(queue, base_url="http://evil.example").get("/").status_code == 403
    assert dashboards.client(queue).get("/", headers={"x-forwarded-for": "10.0.0.7"}).status_code == 403


def test_authorize_says_who_somebody_is_and_what_they_may(dashboard: Dashboard) -> None:
    said: list[Any] = [None, False, True, "ann", Viewer("bob", ["pause"])]

    def authorize(request: Request) -> Any:
        return said[int(request.headers["n"])]

    asked = dashboard(authorize=authorize, base_url="http://a.example", address="10.0.0.1")
    found = [asked.get("/", headers={"n": str(n)}) for n in range(5)]
    assert [each.status_code for each in found] == [403, 403, 200, 200, 200]
    assert "ann" in found[3].text

    async def authorize_async(request: Request) -> bool:
        return request.headers["n"] == "1"

    asked = dashboard(authorize=authorize_async)
    assert [asked.get("/", headers={"n": n}).status_code for n in "01"] == [403, 200]


def test_programs_log_in_with_each_request(dashboard: Dashboard) -> None:
    asked = dashboard(token="t0ken", users={"ann": "pw"})
    basic = base64.b64encode(b"ann:pw").decode()
    headers = ["Bearer t0ken", f"Basic {basic}", "Bearer wrong", "Basic !!", "Basic"]
    assert [asked.get("/", headers={"authorization": each, "accept": "*/*"}).status_code for each in headers] == [
        200,
        200,
        401,
        401,
        401,
    ]


def test_who_guesses_has_to_wait(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "FIRST", 50.0)
    asked = dashboard(token="t0ken", users={"ann": "pw"})
    found = [asked.get("/", headers={"authorization": "Bearer no"}, follow_redirects=False) for _ in range(6)]
    assert found[-1].status_code == 429
    assert 0 < int(found[-1].headers["retry-after"]) <= 51
    assert asked.get("/", headers={"authorization": "Bearer t0ken"}).status_code == 429
    basic = base64.b64encode(b"ann:pw").decode()
    assert asked.get("/", headers={"authorization": f"Basic {basic}"}).status_code == 200  # nobody guessed hers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "", "origin": "http://127.0.0.1"}, 303),
        ({"sec-fetch-site": "", "origin": "http://127.0.0.1:81"}, 403),
        ({"sec-fetch-site": "", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "", "origin": "null"}, 403),
        ({"sec-fetch-site": "", "origin": "http://["}, 403),
        ({"sec-fetch-site": ""}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1"}, 403),
    ],
)
def test_a_form_of_another_origin_changes_nothing(
    make_queue: Callable[..., HotQueue], headers: dict[str, str], status: int
) -> None:
    queue = make_queue()
    queue.put("x")
    found = dashboards.client(queue).post("/do/pause", data={"queue": queue.name}, headers=headers, follow_redirects=False)
    assert found.status_code == status
    assert queue.stats()["paused"] == (status == 303)
    queue.resume()
    queue.clear()


@pytest.mark.parametrize("path", ["/", "/queues", "/nowhere", "/static/style.css", "/login"])
def test_every_answer_keeps_others_from_using_it(dashboard: Dashboard, path: str) -> None:
    headers = dashboard(token="t").get(path, follow_redirects=False).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
