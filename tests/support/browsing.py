"""What somebody does with a page in Chromium, and waits for: a machine that is busy loads pages late, and a page that is being
replaced takes no orders. No action here is done before the one before has shown what it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Error, Locator, Page, Route, expect

from tests.support.waiting import wait_until

PATIENCE = 30.0  # seconds, for whatever a page does
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth).map((each) => each.outerHTML.slice(0, 80))"""

expect.set_options(timeout=1000 * PATIENCE)


def have_patience(page: Page) -> Page:
    """Have whatever is done with a page wait as long as an expectation does; return the page."""
    page.set_default_timeout(1000 * PATIENCE)
    return page


def follow(link: Locator, path: str) -> None:
    """Click what leads to another page, also by a form and from there on; be there when it is loaded.

    Args:
        path: a regular expression that the address of that page has.
    """
    with link.page.expect_navigation(url=re.compile(path)):
        link.click()


def open_until(page: Page, path: str, there: Locator) -> None:
    """Open a page, and again until something is on it: the dashboard looks once a second what there is.

    Args:
        path: of the page; "" is the one that is open.
    """
    wait_until(lambda: page.goto(path or page.url) and there.is_visible(), what=f"{there} on {path or page.url}")


def hold(page: Page, path: str) -> Callable[[], Route]:
    """Have a page's requests not reach the dashboard, from now on; what is returned waits for the next one, to let it go on.

    Args:
        path: a regular expression that their addresses have.
    """
    held: list[Route] = []
    page.route(re.compile(path), lambda route: held.append(route))
    return lambda: wait_until(lambda: [page.title(), *held][1:], what=f"a request for {path}") and held.pop(0)


def fits(page: Page) -> None:
    """Check that a page is not wider than the screen, once it has come with its style."""
    page.wait_for_load_state()
    wider: list[str] = []

    def does_fit() -> bool:
        try:
            wider[:] = page.evaluate(TOO_WIDE)
        except Error as error:  # it goes on to another one just now
            wider[:] = [str(error)]
        return not wider

    try:
        wait_until(does_fit, what=page.url)
    except AssertionError as error:
        raise AssertionError(f"{error}: {wider}") from None
