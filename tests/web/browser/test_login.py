"""Logging in in Chromium; and Redis that goes away and comes back while somebody looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from tests.support import dashboards
from tests.support.browsing import follow, have_patience
from tests.support.servers import RedisServer


@pytest.fixture
def redis(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server of this test's own."""
    return start_redis()


def test_one_logs_in_looks_on_while_redis_is_away_and_logs_out(browser: Browser, redis: RedisServer) -> None:
    with dashboards.served("--url", redis.url, "--user", "ann:secret", "--read-only") as (address, _):
        context = browser.new_context(base_url=address)
        page = have_patience(context.new_page())
        page.goto("/queues")
        expect(page.get_by_role("navigation")).to_have_count(0)  # it would lead here
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("wrong")
        follow(page.get_by_role("button", name="Log in"), "/login$")
        expect(page.get_by_role("alert")).to_contain_text("That is not right")
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("secret")
        follow(page.get_by_role("button", name="Log in"), "/queues$")
        expect(page.get_by_role("heading", name="Queues")).to_be_visible()
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        page.select_option("#every", "1")
        redis.kill()
        expect(page.get_by_role("alert")).to_contain_text("Redis cannot be reached")
        expect(page.get_by_role("heading", name="Queues")).to_be_visible()
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Redis cannot be reached")
        redis.start()
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview", timeout=60_000)  # it asks less and less often
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        context.close()
