"""A page in Chromium keeps itself as the server has it, and leaves alone what somebody looks at."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsing import follow, hold
from tests.support.elsewhere import task_by_name
from tests.web.browser.conftest import Served


def test_a_page_shows_what_comes_without_being_loaded_again(page: Page, served: Served) -> None:
    queue = served.queue("comes")
    page.goto("/queues")
    page.evaluate("document.body.dataset.loaded = 'once'")
    page.select_option("#every", "1")
    task_by_name(queue, "shop.price").delay(1)
    expect(page.get_by_role("row", name="comes")).to_contain_text("1")
    assert page.evaluate("document.body.dataset.loaded") == "once"
    queue.close()


def test_an_action_is_done_where_one_is(page: Page, served: Served) -> None:
    queue = served.queue("act")
    task_by_name(queue, "shop.price").delay(1)
    page.goto("/queues/act")
    page.evaluate("document.body.dataset.loaded = 'once'")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("queue act is paused")
    assert queue.stats()["paused"]
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert not queue.stats()["paused"]
    assert page.evaluate("document.body.dataset.loaded") == "once"
    queue.close()


def test_a_page_is_not_read_while_an_action_is_on_its_way(page: Page, served: Served) -> None:
    queue = served.queue("slow")
    task_by_name(queue, "shop.price").delay(1)
    page.goto("/queues/slow")
    page.select_option("#every", "1")
    late = hold(page, "/do/pause$")
    page.get_by_role("button", name="Pause").click()
    sent = late()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "x-live" in request.headers else None)
    page.evaluate("new Promise((done) => setTimeout(() => setTimeout(done, 700), 700))")  # by the page's own clock
    assert asked == []
    sent.continue_()
    expect(page.get_by_role("status")).to_contain_text("queue slow is paused")
    with page.expect_request(lambda request: "x-live" in request.headers):
        pass
    queue.resume()
    queue.purge()
    queue.close()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_everything_works_without_scripts(page: Page, served: Served) -> None:
    queue = served.queue("plain")
    task_by_name(queue, "shop.price").delay(1)
    page.goto("/queues/plain")
    follow(page.get_by_role("button", name="Pause"), "/queues/plain$")
    expect(page.get_by_role("status")).to_contain_text("queue plain is paused")
    page.get_by_role("button", name="Purge…").click()
    follow(page.get_by_role("button", name="Purge", exact=True), "/queues/plain$")
    expect(page.get_by_role("status")).to_contain_text("1 task of queue plain will not run")
    assert queue.pending() == 0
    queue.close()
