"""The monitor moved by textual's pilot: every view, every key that `?` shows, every size and colour, a server that goes away.

What each view shows of its facts is tested beside it; in a real terminal: test_app.py.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.watch import app as app_module
from hotqueue.watch import keys
from hotqueue.watch.app import LiveApp
from hotqueue.watch.help import lines
from hotqueue.watch.queues import Queues
from hotqueue.watch.task_lists import TaskLists
from tests.support.servers import RedisServer
from tests.support.waiting import await_until
from tests.watch.conftest import Live, Steps

VIEWS = ("Queues", "Workers", "Names", "Tasks", "Schedules")
WAITING = 40  # tasks: more than fit a screen
Shown = Callable[..., None]


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server of the test's own."""
    return start_redis()


@pytest.fixture
def shown(server: RedisServer) -> Iterator[Shown]:
    """``shown(steps, size)`` shows all that is there, and has ``await steps(live)`` look and press keys."""
    store = Store(resolve(url=server.url))

    def run(steps: Steps, size: tuple[int, int] = (120, 24), **options: Any) -> None:
        async def watched() -> None:
            app = LiveApp(store, **{"every": 0.1, **options})
            async with app.run_test(size=size) as pilot:
                await steps(Live(app, pilot))

        asyncio.run(watched())

    yield run
    store.close()


@pytest.fixture
def shop(server: RedisServer) -> Iterator[HotQueue]:
    """Two queues, with something in each view: 40 tasks wait, 3 are dead, one is scheduled; a worker, a schedule."""
    with HotQueue("low", url=server.url) as low, HotQueue("mail", url=server.url) as queue:
        low.put("a message")
        broken = queue.task(name="shop.broken", retries=0)(_fail)
        for n in range(3):
            broken.delay(n)
        queue.run_worker(burst=True)
        for n in range(WAITING):
            queue.send("shop.mail", (n,))
        queue.send("shop.later", countdown=3600)
        queue.schedule("nightly", "0 3 * * *", "shop.report")
        session = Session(Broker(queue._store, "mail"), "host-1-a", "s", ["shop.mail"])
        session.register(600_000, {"host": "host", "pid": "1", "name": "web-1"})
        yield queue


def _fail(n: int) -> None:
    raise ValueError(f"no account {n}")


def is_at(index: int) -> Callable[[Live], bool]:
    return lambda live: live.app.view.index == index


def is_in(name: str) -> Callable[[Live], bool]:
    return lambda live: live.app.view.name == name


def says(text: str) -> Callable[[Live], bool]:
    return lambda live: text in live.screen


def is_open(live: Live) -> bool:
    return len(live.app.screen_stack) == 2


def is_closed(live: Live) -> bool:
    return len(live.app.screen_stack) == 1


def _state(live: Live) -> str:
    view = live.app.view
    assert isinstance(view, TaskLists)
    return view.state


# As `?` shows a key → as textual names it, and what is so then; from the view of tasks on, one after another.
KEYS: dict[str, list[tuple[str, Callable[[Live], bool]]]] = {
    "↑ ↓  j k": [("down", is_at(1)), ("j", is_at(2)), ("up", is_at(1)), ("k", is_at(0))],
    "PgUp PgDn  ^B ^F": [
        ("pagedown", lambda live: live.app.view.index > 10),
        ("ctrl+f", lambda live: live.app.view.index > 20),
        ("pageup", lambda live: 10 < live.app.view.index < 20),
        ("ctrl+b", is_at(0)),
    ],
    "g G  Home End": [
        ("G", is_at(WAITING + 3)),
        ("g", is_at(0)),
        ("end", is_at(WAITING + 3)),
        ("home", is_at(0)),
    ],
    "1 … 5  ← →  h l  Tab": [
        *((str(n), is_in(name)) for n, name in enumerate(VIEWS, 1)),
        *(("left", is_in("Tasks")), ("h", is_in("Names")), ("shift+tab", is_in("Workers"))),
        *(("right", is_in("Names")), ("l", is_in("Tasks")), ("tab", is_in("Schedules")), ("4", is_in("Tasks"))),
    ],
    "[ ]": [
        ("right_square_bracket", lambda live: _state(live) == "running"),
        ("left_square_bracket", lambda live: _state(live) == "" and len(live.app.view.rows) == WAITING + 4),
    ],
    "Enter  d": [("enter", is_open), ("escape", is_closed), ("d", is_open), ("escape", is_closed)],
    "Esc": [("x", lambda live: bool(live.app.view.marked)), ("escape", lambda live: not live.app.view.marked)],
    "/": [
        ("slash", lambda live: live.app.screen.query_one("#filter").display),
        ("t", lambda live: True),
        ("escape", lambda live: not live.app.screen.query_one("#filter").display),
    ],
    "s S": [
        ("s", lambda live: live.app.view.sort_by == 0 and live.app.view.is_up),
        ("S", lambda live: live.app.view.sort_by == 0 and not live.app.view.is_up),
        ("s", lambda live: live.app.view.sort_by == 1),
    ],
    "x  Space": [("x", lambda live: len(live.app.view.marked) == 1), ("space", lambda live: len(live.app.view.marked) == 2)],
    "A": [("A", lambda live: not live.app.view.marked), ("A", lambda live: live.app.view.is_all), ("escape", is_closed)],
    "U": [("U", says("there is nothing to undo"))],
    "c": [("c", says("copied "))],
    "^R": [("ctrl+r", lambda live: live.app.view.is_read)],
    "?": [("question_mark", says("another view")), ("escape", is_closed)],
    "q  ^C": [("q", lambda live: live.app.return_code == 0)],
}


def test_each_key_that_the_help_shows_does_what_it_says(shop: HotQueue, shown: Shown) -> None:
    assert [*KEYS] == [label for label, _ in keys.said()]

    async def steps(live: Live) -> None:
        await live.press("4")
        await live.shows("shop.mail", f"1/{WAITING + 4}")
        for label, presses in KEYS.items():
            for key, is_so in presses:
                await live.press(key)
                await await_until(lambda is_so=is_so: is_so(live), what=f"{key!r} of {label!r}")

    shown(steps)


# View, key → what is asked ("" for nothing), and what is said once it is done.
ACTS = {
    ("Queues", "P"): ("", "low: paused"),
    ("Queues", "X"): ("low", ""),
    ("Workers", "Q"): ("web-1 (all processes of that program)", ""),
    ("Workers", "T"): ("finish what it runs, and end?", ""),
    ("Names", "P"): ("", "shop.broken of mail: paused"),
    ("Tasks", "R"): ("Retry 3 dead tasks?", "3 tasks retried"),
    ("Tasks", "D"): ("Throw 3 dead tasks away?", "3 tasks thrown away"),
    ("Tasks", "K"): (f"Revoke {WAITING + 1} tasks?", f"{WAITING + 1} revoked"),
    ("Schedules", "P"): ("", "nightly: paused"),
    ("Schedules", "E"): ("nightly", "sent "),
}


def test_each_action_asks_where_it_cannot_be_undone_and_only_y_is_a_yes(shop: HotQueue, shown: Shown) -> None:
    made = LiveApp(shop._store).views
    assert {(view.name, act.key) for view in made for act in view.acts} == set(ACTS)

    async def steps(live: Live) -> None:
        noes = cycle(("n", "escape", "enter", "q"))
        for (name, key), (question, _) in ACTS.items():
            await live.press(str(VIEWS.index(name) + 1), "A" if name == "Tasks" else "g")
            await await_until(lambda: live.app.view.rows and live.app.view.is_read)
            if not question:
                continue
            await live.press(key)
            await live.asks(question)
            await live.press(next(noes))
            await live.shows("not done")
            await live.press("escape")
        assert (shop.pending(), shop.stats()["dead"], shop.stats()["paused"]) == (WAITING + 1, 3, False)

    shown(steps)


@pytest.mark.parametrize("act", [act for act, (_, said) in ACTS.items() if said], ids=" ".join)
def test_each_action_says_what_it_did(shop: HotQueue, shown: Shown, act: tuple[str, str]) -> None:
    (name, key), (question, said) = act, ACTS[act]

    async def steps(live: Live) -> None:
        await live.press(str(VIEWS.index(name) + 1), *"A" * (name == "Tasks"))
        await await_until(lambda: live.app.view.rows and live.app.view.is_read)
        await live.press(key)
        if question:
            await live.asks(question)
            await live.press("y")
        await live.shows(said)

    shown(steps)


def test_a_filter_is_completed_sorted_by_and_left(shop: HotQueue, shown: Shown) -> None:
    async def steps(live: Live) -> None:
        await live.press("4")
        await live.shows("shop.mail")
        await live.press("slash", *"sta", "tab", *"de", "tab", "enter")
        await live.shows("/state:dead", "1/3", "ValueError")
        await live.press("s", "s", "s", "s", "s", "s", "s")  # by arguments
        for key, first in (("g", "0"), ("S", "2")):
            await live.press(key)
            await await_until(lambda first=first: live.app.view.rows[0].fact.args == first)
        await live.press("escape")
        await live.shows(f"1/{WAITING + 4}")

    shown(steps)


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10)], ids=str)
def test_each_view_fits_and_goes_with_the_size(shop: HotQueue, shown: Shown, size: tuple[int, int]) -> None:
    async def fits(live: Live, width: int, height: int) -> None:
        await await_until(lambda: live.app.size == (width, height))
        await live.pilot.pause()
        texts = live.screen.splitlines()
        assert [text for text in texts if len(text) > width] == []
        assert len(texts) <= height
        assert live.app.view.name in "\n".join(texts[:3])

    async def steps(live: Live) -> None:
        for n, name in enumerate(VIEWS, 1):
            await live.press(str(n))
            await await_until(lambda name=name: live.app.view.name == name and live.app.view.is_read)
            await fits(live, *size)
            for width, height in ((200, 50), (80, 24), size):
                await live.pilot.resize_terminal(width, height)
                await fits(live, width, height)
        if size[0] >= 80:
            await live.shows("nightly")

    shown(steps, size)


def _colours(app: LiveApp) -> set[str]:
    """Return the colours of what is on the screen, but for the frame of the picture."""
    picture = app.export_screenshot()
    return {each.lower() for each in re.findall(r"(?:fill: |fill=\")(#[0-9a-fA-F]{6})", picture.partition("</style>")[0])}


def _is_grey(colour: str) -> bool:
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return max(parts) - min(parts) < 8


@pytest.mark.parametrize("look", ["dark", "light", "none"])
def test_dark_light_and_without_colours(shop: HotQueue, shown: Shown, look: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if look == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    found: dict[str, Any] = {}

    async def steps(live: Live) -> None:
        await live.press("4")
        await live.shows("shop.mail", "dead 3")
        found.update(colours=_colours(live.app), background=live.app.theme_variables["background"], text=live.screen)

    shown(steps, theme="terminal" if look == "none" else look)
    assert all(map(_is_grey, found["colours"])) is (look == "none"), found["colours"]
    if look != "none":
        brightness = sum(int(found["background"][at : at + 2], 16) for at in (1, 3, 5)) / 3
        assert (brightness > 127) is (look == "light")


def test_one_that_is_silent_and_one_that_is_gone_are_said_to_be_and_heal(
    shop: HotQueue, server: RedisServer, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "SILENT", 0.2)

    async def steps(live: Live) -> None:
        await live.shows("mail", f"{WAITING} waiting")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await live.shows("away since", "no answer", "mail")
            await live.press("2", "4", "question_mark")  # keys are taken meanwhile
            await live.shows("another view")
            await live.press("escape", "1")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await live.shows_no("away since")
        server.kill()
        await live.shows("away since", "this is how it was", "mail")
        server.start()
        await live.shows_no("away since")

    shown(steps)


def test_a_store_in_which_nothing_is_says_so_in_each_view(shown: Shown) -> None:
    async def steps(live: Live) -> None:
        for n, view in enumerate(live.app.views, 1):
            await live.press(str(n))
            await live.shows(view.empty)
            await live.press("P", "X", "enter", "x", "A", "G", "s", "s", "c")
            await live.shows(view.empty)
            await live.press("escape")

    shown(steps)


def test_all_views_show_what_is_there_on_every_server(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str
) -> None:
    """Smoke, on each kind: the embedded one, stand-alone, Sentinel, Cluster."""
    queue = make_queue()
    broken = queue.task(name="shop.broken", retries=0)(_fail)
    result = broken.delay(4)
    queue.run_worker(burst=True)
    queue.send("shop.mail", (5,))
    schedule = queue.schedule("nightly", "0 3 * * *", "shop.report")
    session = Session(Broker(queue._store, queue.name), "host-1-a", "s", ["shop.mail"])
    session.register(600_000, {"host": "host", "pid": "1", "name": "web-1"})

    async def steps(live: Live) -> None:
        for key, text in (("1", queue_name), ("2", "web-1 (host)"), ("3", "shop.broken"), ("4", "shop.mail"), ("5", "nightly")):
            await live.press(key)
            await live.shows(text)
        await live.press("4", "slash", *f"id:{result.id}", "enter")
        await live.shows("1/1")
        await live.press("enter")
        await live.shows("shop.broken(4)", "ValueError: no account 4")
        await live.press("escape")
        await await_until(lambda: is_closed(live))
        await live.press("D")
        await live.asks("Throw 1 dead task away?")
        await live.press("y")
        await live.shows("1 task thrown away")

    live(steps)
    assert queue.stats()["dead"] == 0
    schedule.remove()
    session.broker.reap("host-1-a", known_dead=True)
    queue.purge()


def test_the_help_names_each_key_and_each_action(shop: HotQueue) -> None:
    views = LiveApp(shop._store).views
    assert isinstance(views[0], Queues)
    text = "\n".join("".join(piece for piece, _ in line) for line in lines(views, 80))
    assert all(label in text for label in KEYS)
    assert all(act.text in text for view in views for act in view.acts)
