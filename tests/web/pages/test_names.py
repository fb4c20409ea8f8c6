"""Tasks by name: what ended, how it failed, how long it took; one of them with its slowest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.support import dashboards

pytestmark = pytest.mark.servers("embedded")
EVIL = "<script>alert(1)</script>"


def test_where_nothing_ended_it_says_so(make_queue: Callable[..., HotQueue]) -> None:
    asked = dashboards.client(make_queue())
    assert "No task ended in this time" in asked.get("/names").text
    assert "No task of such a name" in asked.get("/names?q=mail&span=day").text
    assert asked.get("/names/one").status_code == 404
    for span in ("hour", "day", "month"):
        assert asked.get(f"/names/one?queue=q&task=t&span={span}").status_code == 200


def test_what_the_address_says_is_text(make_queue: Callable[..., HotQueue]) -> None:
    asked = dashboards.client(make_queue())
    for path in (f"/names?q={EVIL}&queue={EVIL}&span={EVIL}&{EVIL}={EVIL}", f"/names/one?queue={EVIL}&task={EVIL}"):
        page = asked.get(path)
        assert page.status_code == 200
        assert EVIL not in page.text
