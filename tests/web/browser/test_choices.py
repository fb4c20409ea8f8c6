"""What a reader chooses, in Chromium: the keys are listed, colours; several queues are selected; also without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsing import fits, follow, open_until
from tests.web.browser.conftest import Served

DARK, LIGHT = "rgb(18, 19, 21)", "rgb(246, 245, 242)"


@pytest.mark.parametrize(
    "page",
    [
        {"color_scheme": "light"},
        {"color_scheme": "light", "java_script_enabled": False, "viewport": {"width": 360, "height": 700}},
    ],
    indirect=True,
)
def test_keys_are_listed_and_colours_chosen(page: Page) -> None:
    page.goto("/queues?q=choices")
    expect(page.locator("body")).to_have_css("background-color", LIGHT)
    page.get_by_role("button", name="Keys and colours").click()
    sheet = page.get_by_role("dialog", name="Keys and colours")
    expect(sheet).to_contain_text("down and up through a list")
    fits(page)
    follow(sheet.get_by_role("button", name="Dark"), r"/queues\?q=choices$")
    expect(page.locator("body")).to_have_css("background-color", DARK)
    page.get_by_role("button", name="Keys and colours").click()
    expect(sheet.get_by_role("button", name="Dark", pressed=True)).to_be_visible()


def test_a_key_shows_them(page: Page) -> None:
    page.goto("/")
    sheet = page.get_by_role("dialog", name="Keys and colours")
    page.keyboard.press("?")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


@pytest.mark.parametrize("page", [{}, {"java_script_enabled": False, "viewport": {"width": 360, "height": 700}}], indirect=True)
def test_queues_are_selected_and_paused(page: Page, served: Served) -> None:
    queues = [served.queue(f"choice-{n}") for n in range(3)]
    for queue in queues:
        queue.put("x")
    open_until(page, "/queues?q=choice-&sort=name", page.get_by_role("button", name="All 3…"))
    for n in range(2):
        page.get_by_label(f"Select choice-{n}").check()
    page.get_by_role("button", name="Pause", exact=True).first.click()
    expect(page.get_by_role("status")).to_contain_text("2 queues are paused")
    expect(page.get_by_text("paused", exact=True)).to_have_count(2)
    fits(page)
    page.get_by_role("row").filter(has_text="choice-2").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("queue choice-2 is paused")
    page.get_by_role("button", name="All 3…").click()
    page.get_by_role("dialog", name="All queues").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("3 queues are resumed")
    for queue in queues:
        assert not queue.stats()["paused"]
        queue.clear()
        queue.close()
