"""Every page in Chromium: wide and narrow, light and dark, by keyboard, with names that would be markup; and charts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from hotqueue.web import pages
from tests.support.browsing import fits, open_until
from tests.support.elsewhere import task_by_name
from tests.web.browser.conftest import Served

EVIL = "<img/src=x/onerror=document.title='owned'>"
PARTS = {"/filter"}  # of pages
PATHS = [page.path.replace("{queue:path}", f"evil{EVIL}") for page in pages.PAGES if page.path not in PARTS]
PATHS = [path for path in PATHS if "{" not in path]
PATHS += [f"/queues/none{EVIL}", f"/names?q={EVIL}&queue={EVIL}", f"/names/one?queue={EVIL}&task={EVIL}", f"/tasks?q={EVIL}"]


@pytest.fixture(scope="module", autouse=True)
def filled(served: Served) -> Iterator[None]:
    """Queues, tasks and messages with names that would be markup."""
    queue = served.queue(f"evil{EVIL}")
    task = task_by_name(queue, f"shop.{EVIL}")
    for n in range(3):
        task.delay(EVIL, n)
    task.apply_async((EVIL,), countdown=3600)
    queue.pause(task=f"shop.{EVIL}")
    yield
    queue.close()


@pytest.mark.parametrize("page", [{"viewport": {"width": 360, "height": 700}, "color_scheme": "dark"}], indirect=True)
def test_no_page_is_wider_than_a_phone_nor_runs_what_is_in_names(page: Page) -> None:
    for path in PATHS:
        page.goto(path)
        fits(page)
        assert page.title() != "owned", path
        assert page.locator("main img").count() == 0, path
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 21)"


@pytest.mark.parametrize("page", [{"viewport": {"width": 1300, "height": 800}, "color_scheme": "light"}], indirect=True)
def test_every_page_is_there_on_a_wide_screen(page: Page) -> None:
    for path in PATHS:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        fits(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 245, 242)"


def test_one_gets_everywhere_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("2")
    page.wait_for_url(re.compile("/queues$"))  # and is loaded: keys are read by its script
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("evil")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/queues\?q=evil$"))
    expect(page.get_by_role("row").nth(1)).to_contain_text("evil")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/queues/evil"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("evil")
    page.get_by_role("button", name="Purge…").press("Enter")
    expect(page.get_by_role("dialog", name="Purge")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Purge")).to_be_hidden()


def test_a_chart_tells_its_values_under_the_pointer_by_arrows_and_as_a_table(page: Page) -> None:
    page.goto("/")
    chart = page.get_by_role("img", name="Tasks that ended, per minute")
    expect(chart).to_have_accessible_description(
        "Tasks that ended, per minute. Succeeded: nothing; Retried: nothing; Failed: nothing."
    )
    chart.hover()
    expect(page.locator(".tip")).to_contain_text("Succeeded")
    page.mouse.move(0, 0)
    expect(page.locator(".tip")).to_have_count(0)
    page.select_option("#every", "0")  # or the next minute begins between two keys
    chart.focus()
    page.keyboard.press("ArrowLeft")
    shown = page.locator(".tip strong").inner_text()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tip strong")).not_to_have_text(shown)
    page.get_by_text("Numbers").first.click()
    expect(page.locator("#chart-ended table")).to_be_visible()


def test_what_one_writes_selects_and_opens_stays_while_the_page_is_replaced(page: Page, served: Served) -> None:
    open_until(page, "/queues", page.get_by_role("row", name="evil"))
    page.select_option("#every", "1")
    page.get_by_role("searchbox").fill("half a na")
    page.evaluate("document.querySelector('thead').same = 'yes'")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('main h1'))")
    queue = served.queue("appears")
    queue.put("x")
    expect(page.get_by_role("row", name="appears")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("half a na")
    assert page.evaluate("document.querySelector('thead').same") == "yes"
    assert page.evaluate("String(getSelection())") == "Queues"
    queue.clear()
    queue.close()


def test_a_page_asks_nothing_while_it_is_switched_off(page: Page) -> None:
    page.goto("/queues")
    page.select_option("#every", "0")
    page.reload()
    expect(page.locator("#every")).to_have_value("0")
    expect(page.locator("#pulse")).to_have_class("dot off")


HIDDEN = """(is_hidden) => {
    Object.defineProperty(document, "hidden", {value: is_hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""  # what Chromium says of a tab behind another; one without a window never does


def test_a_page_asks_nothing_while_its_tab_is_hidden_and_at_once_when_it_is_seen_again(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "x-live" in request.headers else None)
    page.goto("/queues")
    page.select_option("#every", "1")
    with page.expect_request(lambda request: "x-live" in request.headers):
        pass
    page.evaluate(HIDDEN, True)
    page.wait_for_load_state("networkidle")  # nothing for half a second
    before = len(asked)
    # Counted by the page's own clock, which is that of what must not happen; five turns of it.
    page.evaluate("new Promise((done) => { let left = 5; const tick = () => --left ? setTimeout(tick, 500) : done(); tick(); })")
    assert len(asked) == before
    with page.expect_request(lambda request: "x-live" in request.headers):
        page.evaluate(HIDDEN, False)
