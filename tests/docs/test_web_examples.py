"""The dashboard in other people's applications: the examples, asked as their servers ask them."""

from __future__ import annotations

import importlib
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def example(examples: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``example("name.py")`` → what it defines."""
    monkeypatch.chdir(examples)
    made: list[dict[str, Any]] = []

    def run(name: str) -> dict[str, Any]:
        made.append(runpy.run_path(str(examples / name), run_name=name.removesuffix(".py")))
        return made[-1]

    yield run
    for found in made:
        found["queue"].close()


def test_fastapi(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY", "a")
    monkeypatch.setenv("SUPPORT_KEY", "s")
    found = example("web_fastapi.py")
    found["queue"].put("x")
    asked = TestClient(found["app"], headers={"sec-fetch-site": "same-origin"})
    assert asked.get("/hotqueue/").status_code == 403
    page = asked.get("/hotqueue", headers={"x-api-key": "a"})
    assert page.status_code == 200
    assert 'href="/hotqueue/queues/shop"' in page.text
    headers = {"x-api-key": "s"}
    assert asked.post("/hotqueue/do/pause", data={"queue": "shop"}, headers=headers).status_code == 403
    assert asked.post("/hotqueue/do/pause", data={"queue": "shop"}, headers={"x-api-key": "a"}).status_code == 200


def test_flask(example: Any) -> None:
    found = example("web_flask.py")
    asked = found["app"].test_client()
    assert asked.get("/").text == "the shop"
    assert asked.get("/hotqueue/queues").status_code == 401
    page = asked.get("/hotqueue/queues", auth=("ann", "change-me"))
    assert page.status_code == 200
    assert 'href="/hotqueue/workers"' in page.text


def test_django(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(examples))
    monkeypatch.chdir(examples)
    found = vars(importlib.import_module("web_django"))
    from django.test import RequestFactory

    def ask(path: str, **more: str) -> tuple[str, str]:
        environ = RequestFactory().get(path, **more).environ
        said: list[str] = []
        body = b"".join(found["application"](environ, lambda status, headers, *_: said.append(status)))
        return said[0], body.decode()

    assert ask("/") == ("200 OK", "the shop")
    assert ask("/hotqueue/queues")[0].startswith("401")
    status, page = ask("/hotqueue/queues", HTTP_AUTHORIZATION="Basic YW5uOmNoYW5nZS1tZQ==")
    assert status == "200 OK"
    assert 'href="/hotqueue/workers"' in page
    found["queue"].close()
