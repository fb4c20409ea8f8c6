"""Lists in Chromium: a filter is completed as one types; tasks are selected, thrown away, brought back; without scripts too."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from hotqueue.tasks import chain
from tests.support.browsing import fits, follow, hold, open_until
from tests.web.browser.conftest import Served
from tests.web.pages.test_tasks import with_dead


def test_a_filter_is_completed_and_its_selection_is_undone(page: Page, served: Served) -> None:
    queue = served.queue("lists")
    with_dead(queue, 1, 2, 3)
    open_until(page, "/dead?q=queue:lists", page.locator("tbody tr").nth(2))
    page.goto("/dead")
    field = page.get_by_role("combobox", name="Filter")
    field.press_sequentially("queue:lis")
    expect(page.get_by_role("option", name="queue:lists")).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("queue:lists ")
    field.press_sequentially("-arg:2")
    field.press("Enter")
    expect(page).to_have_url(f"{served.address}/dead?q=queue%3Alists+-arg%3A2")
    expect(page.get_by_role("button", name="Discard", exact=True)).to_be_disabled()
    page.get_by_label("Select all on this page").check()
    expect(page.locator("#picked")).to_have_text("2 selected")
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("2 tasks thrown away")
    assert len(list(queue.dead())) == 1
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("2 tasks are in the dead list again")
    assert len(list(queue.dead())) == 3
    queue.discard_dead(all=True)
    queue.close()


def test_what_one_types_is_kept_though_offers_come_late(page: Page, served: Served) -> None:
    queue = served.queue("late")
    queue.send("shop.price", (1,))
    open_until(page, "/tasks?q=queue:late", page.locator("tbody tr").first)
    page.goto("/tasks")
    field, offers = page.get_by_role("combobox", name="Filter"), page.locator("#offers li")
    field.press_sequentially("queue:la")
    expect(page.get_by_role("option", name="queue:late")).to_be_visible()
    page.evaluate("document.querySelector('#offers li').dataset.before = 'yes'")
    late = hold(page, r"/filter\?")
    field.press("t")
    asked = late()
    field.press("ArrowDown")
    asked.continue_()
    expect(offers.first).not_to_have_attribute("data-before", "yes")
    field.press("Enter")
    expect(field).to_have_value("queue:late ")  # what was marked still is
    field.press_sequentially("-arg:2")
    field.press("Enter")
    expect(page).to_have_url(f"{served.address}/tasks?q=queue%3Alate+-arg%3A2")
    queue.purge()
    queue.close()


@pytest.mark.parametrize("page", [{"java_script_enabled": False, "viewport": {"width": 390, "height": 800}}], indirect=True)
def test_all_that_match_are_thrown_away_on_a_phone_without_scripts(page: Page, served: Served) -> None:
    queue = served.queue("plain-lists")
    with_dead(queue, 1, 2, 3)
    open_until(page, "/dead?q=queue:plain-lists", page.locator("tbody tr").nth(2))
    follow(page.get_by_role("link", name="Discard all…"), r"/bulk\?")
    open_until(page, "", page.get_by_role("button", name="Discard 3"))
    follow(page.get_by_role("button", name="Discard 3"), "/bulk/")
    open_until(page, "", page.get_by_text("finished", exact=True))  # without scripts one asks again oneself
    expect(page.get_by_text("3 tasks thrown away")).to_be_visible()
    assert list(queue.dead()) == []
    follow(page.get_by_role("button", name="Undo"), "/dead$")
    expect(page.get_by_role("status")).to_contain_text("3 tasks are in the dead list again")
    page.locator("input[name=task]").first.check()
    follow(page.get_by_role("button", name="Retry", exact=True), "/dead$")
    expect(page.get_by_role("status")).to_contain_text("1 task retried")
    queue.purge()
    queue.discard_dead(all=True)
    queue.close()


@pytest.mark.parametrize("page", [{"viewport": {"width": 360, "height": 700}}], indirect=True)
def test_on_a_phone_a_long_error_is_within_its_panel_and_the_page_one_is_on_in_the_row_of_pages(
    page: Page, served: Served
) -> None:
    queue = served.queue("steps")

    @queue.task(name="shop.refuse")
    def refuse() -> None:
        raise ValueError("words " * 40)

    result = chain(refuse.si(), refuse.si()).delay()
    queue.run_worker(burst=True)
    page.goto(f"/workflow?queue=steps&id={result.id}")
    expect(page.get_by_label("Traceback")).to_be_visible()
    fits(page)
    expect(page.locator("#nav [aria-current]")).to_be_in_viewport(ratio=1)
    page.goto("/tasks?q=nothing:known")
    expect(page.locator("main .panel")).to_be_hidden()
    open_until(page, "/tasks?q=queue:steps", page.locator("tbody tr").first)
    expect(page.locator("td.attempts").first).to_have_text("1")
    queue.discard_dead(all=True)
    queue.close()
