"""The monitor in a real terminal: keys are typed, the screen is read."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue
from tests.support.processes import run_command
from tests.support.servers import RedisServer
from tests.support.terminal import COMMANDS, Terminal

HOTWATCH = COMMANDS / "hotwatch"
WITHOUT_TEXTUAL = "import sys; sys.modules['textual'] = None; from hotqueue.cli.watch import main; main()"

COLOURS = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3([0-8])|4[0-8]|9[0-7]|10[0-7])(?=[;m])")  # all but to have no colour any more


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server of this test's own, with three queues."""
    started = start_redis()
    with HotQueue("mail", url=started.url) as queue:
        for n in range(3):
            queue.send("shop.mail", (n,))
    with HotQueue("low", url=started.url) as queue:
        queue.send("shop.clean")
    return started


def test_keys_screens_and_sizes(server: RedisServer, terminal: Callable[..., Terminal]) -> None:
    exported = {"COLUMNS": "80", "LINES": "24"}  # as some shells do; it may become larger or smaller all the same
    shown = terminal(HOTWATCH, "--live", "--url", server.url, "--every", "0.2", env=exported)
    screen = shown.shows("low", "mail", "4 waiting", "? help")
    assert max(map(len, screen.splitlines())) <= 80
    shown.press("j", "Enter")
    shown.shows("/queue:mail", "shop.mail")
    shown.shows_no("shop.clean")
    shown.press("/")
    shown.type(" arg:2")
    shown.press("Enter")
    shown.shows("/queue:mail arg:2", "1/1")
    shown.press("Enter")
    shown.shows("shop.mail(2)", "timeline")
    shown.resize(50, 12)
    shown.shows("shop.mail(2)")
    shown.press("Escape")
    assert max(map(len, shown.shows("shop.mail", "? help").splitlines())) <= 50
    shown.resize(120, 40)
    shown.shows("arguments")
    shown.press("?")
    shown.shows("sort by the next column")
    shown.press("q")
    shown.shows_no("sort by the next column")
    shown.press("K")
    shown.shows("Revoke 1 task?", "y  yes")
    shown.press("y")
    shown.shows("1 revoked")
    shown.press("q")
    shown.shows("ended with 0")


def test_a_server_that_is_away_is_said_to_be_and_shown_again_when_it_is_back(
    server: RedisServer, terminal: Callable[..., Terminal]
) -> None:
    shown = terminal(HOTWATCH, "--live", "--url", server.url, "--every", "0.2", width=100)
    shown.shows("4 waiting")
    server.kill()
    shown.shows("away since", "this is how it was", "mail")
    server.start()
    with HotQueue("back", url=server.url) as queue:
        queue.send("shop.mail")
    shown.shows_no("away since")
    shown.press("C-c")
    shown.shows("ended with 0")


@pytest.mark.parametrize("how", ["--no-color", "NO_COLOR"])
def test_no_colour_when_asked(how: str, server: RedisServer, terminal: Callable[..., Terminal]) -> None:
    args, env = (["--no-color"], {}) if how == "--no-color" else ([], {how: "1"})
    shown = terminal(HOTWATCH, "--live", "--url", server.url, *args, env=env)
    shown.shows("4 waiting")
    screen = shown.shows_escape("\x1b[7m")  # the cursor is seen without them
    assert not COLOURS.search(screen)


def test_the_terminals_own_colours_or_others(server: RedisServer, terminal: Callable[..., Terminal]) -> None:
    own = terminal(HOTWATCH, "--live", "--url", server.url)
    own.shows("4 waiting")
    assert set(COLOURS.findall(own.coloured_screen)) <= set("12346")  # of the foreground, of the terminal's own
    light = terminal(HOTWATCH, "--live", "--url", server.url, "--theme", "light")
    light.shows("4 waiting")
    light.shows_escape("\x1b[48;", ";48;")


def test_where_it_cannot_be_shown_is_one_sentence(server: RedisServer, terminal: Callable[..., Terminal]) -> None:
    done = run_command("hotwatch", "--live", "--url", server.url)
    assert (done.returncode, done.stderr) == (1, "hotwatch: --live needs a terminal; without it, hotwatch prints lines\n")
    done = run_command("hotwatch", "--live", "--json", "--url", server.url)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    missing = terminal(sys.executable, "-c", WITHOUT_TEXTUAL, "--live", "--url", server.url, width=100)
    missing.shows("hotwatch: --live needs textual: pip install 'hotqueue[watch]'", "ended with 1")
    nobody = terminal(HOTWATCH, "--live", "--url", "redis://127.0.0.1:1", width=100)
    nobody.shows("Connection refused", "ended with 1")


def test_plain_lines_stay_the_default(server: RedisServer, tmp_path: Path) -> None:
    assert run_command("hotwatch", "--url", server.url, check=True).stdout == "low: 1 items\nmail: 3 items\n"
