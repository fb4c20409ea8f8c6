"""A new task in Chromium: what is wrong is said beside its field, and what was typed stays; also on a phone, without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsing import fits, follow
from tests.support.elsewhere import task_by_name
from tests.web.browser.conftest import Served


@pytest.mark.parametrize("page", [{}, {"java_script_enabled": False, "viewport": {"width": 360, "height": 700}}], indirect=True)
def test_a_call_is_put_right_and_sent(page: Page, served: Served) -> None:
    queue = served.queue("calls")
    task_by_name(queue, "shop.price").delay(0)
    page.goto("/queues/calls")
    follow(page.get_by_role("link", name="New task"), "/new")
    expect(page.get_by_label("Queue")).to_have_value("calls")
    page.get_by_label("Task", exact=True).fill("shop.price")
    page.get_by_label("Arguments").fill('4 to="Ann')
    page.get_by_label("Start").fill("15m")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_label("Arguments")).to_have_accessible_description(
        "'\"Ann' begins like JSON, and is none: Unterminated string starting at: line 1 column 6 (char 5)"
    )
    expect(page.get_by_label("Arguments")).to_have_value('4 to="Ann')
    fits(page)
    page.get_by_label("Arguments").fill('4 to="Ann"')
    follow(page.get_by_role("button", name="Send"), "/do/enqueue$")
    page.get_by_label("Send it all the same").check()  # no worker knows it
    follow(page.get_by_role("button", name="Send"), "/task")
    expect(page.get_by_role("status")).to_contain_text("shop.price is sent")
    expect(page.get_by_text("shop.price(4, to='Ann')")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Due")
    fits(page)
    queue.purge()
    queue.close()
