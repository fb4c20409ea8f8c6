"""LiveApp: the screen of `hotwatch --live`: which view is shown, what keys do, and what comes from the thread that reads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input

from hotqueue.errors import HotQueueError
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.store.store import Store
from hotqueue.watch import help as help_page
from hotqueue.watch import status
from hotqueue.watch.canvas import Canvas
from hotqueue.watch.doing import Doing, Told
from hotqueue.watch.filter_bar import FilterBar
from hotqueue.watch.grid import Grid
from hotqueue.watch.keys import BINDINGS
from hotqueue.watch.names import Names
from hotqueue.watch.page import Page, TaskPage
from hotqueue.watch.pulse import Pulse
from hotqueue.watch.queues import Queues
from hotqueue.watch.reading import Reader
from hotqueue.watch.schedules import Schedules
from hotqueue.watch.source import Found, Source, known
from hotqueue.watch.task_lists import TaskLists
from hotqueue.watch.themes import TERMINAL
from hotqueue.watch.view import View
from hotqueue.watch.workers import Workers

SAID_FOR = 10.0  # seconds for which is shown what was done
SILENT = 3.0  # seconds beyond the usual without an answer, from which on that is said

_CSS = """
Screen { layout: vertical; overflow: hidden; }
#filter { display: none; height: 1; background: $background; }
"""


class LiveApp(App[None]):
    """The monitor.

    Args:
        names: of queues, and globs; none: all of the store.
        every: seconds from one read to the next.
        theme: one of THEMES.
    """

    CSS = _CSS
    BINDINGS = BINDINGS
    ENABLE_COMMAND_PALETTE = False
    TITLE = "hotwatch --live"

    def __init__(self, store: Store, names: Sequence[str] = (), every: float = 1.0, theme: str = "terminal") -> None:
        super().__init__(ansi_color=True if theme == "terminal" else None)
        self.register_theme(TERMINAL)
        self.theme = "terminal" if theme == "terminal" else f"textual-{theme}"
        self.store, self.every = store, every
        self.source = Source(store, names, every, lambda: (self.view, self.page))
        self.pulse = Pulse()
        self.views: list[View] = [Queues(self.pulse), Workers(), Names(), TaskLists(), Schedules()]
        self.view = self.views[0]
        self.snapshot: Snapshot | None = None
        self.error, self.away_since = "", 0.0
        self.said, self.said_at, self.is_bad = "", 0.0, False
        self.wrong = ""  # what is, with the filter that is being typed
        self._heard_at = time.monotonic()
        self._doing = Doing(self)
        self._reader = Reader(self.source.read, self._hear, every)

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield Canvas(id="top", height=3)
        yield Grid(self.view, id="grid")
        yield Canvas(id="message", height=1)
        yield FilterBar(lambda: known(self.snapshot, self.views), id="filter")
        yield Canvas(id="keys", height=1)

    def on_mount(self) -> None:
        """Begin to read."""
        self._grid.focus()
        self._reader.start()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self.show)

    def on_unmount(self) -> None:
        """Read no more."""
        self._reader.stop()

    def on_resize(self) -> None:
        """Show all in the new size."""
        self.call_after_refresh(self.show)

    @property
    def _is_there(self) -> bool:  # not so while it begins, and while it ends
        return bool(self.screen_stack and self._main.query("#keys"))

    @property
    def _grid(self) -> Grid:
        return self._main.query_one("#grid", Grid)

    @property
    def _main(self) -> Screen[Any]:
        return self.screen_stack[0]

    def _hear(self, found: Any) -> None:
        if isinstance(found, Exception):
            text = str(found) if isinstance(found, HotQueueError) else f"{type(found).__name__}: {found}"
            self.post_message(Told(lambda: self._take_error(text)))
        else:
            self.post_message(Told(lambda: self.take(found)))

    def _take_error(self, text: str) -> None:
        self._heard_at = time.monotonic()
        self.error, self.away_since = text, self.away_since or self._heard_at
        self._show_status()

    def take(self, found: Found) -> None:
        """Show what was read."""
        self._heard_at = time.monotonic()
        self.error, self.away_since, self.snapshot = "", 0.0, found.snapshot
        if found.rows is not None and found.changes == found.view.changes:
            found.view.take(found.rows)
        if found.page is not None and found.page is self.page:
            found.page.take(found.task)
        else:
            self.show()

    @on(Told)
    def told(self, message: Told) -> None:
        """Do what a thread has to have done here."""
        if self._is_there:
            message.then()

    def _tick(self) -> None:
        if not self._is_there:
            return
        if (silent := time.monotonic() - self._heard_at) > self.every + SILENT and not self.error:
            self.error, self.away_since = "no answer", time.monotonic() - silent
        if self.said and time.monotonic() - self.said_at > SAID_FOR:
            self.said = ""
        self._show_status()

    @property
    def page(self) -> TaskPage | None:
        """The page of a task that is open."""
        return next((each for each in reversed(self.screen_stack) if isinstance(each, TaskPage)), None)

    def show(self) -> None:
        """Paint what changed."""
        if not self._is_there:
            return
        grid = self._grid
        grid.view = self.view
        grid.show()
        self._show_status()

    def _show_status(self) -> None:
        width, snapshot = self.size.width, self.snapshot
        away = status.away(self.error, time.monotonic() - self.away_since, snapshot, width) if self.error else None
        lines = status.above(str(self.store), self.views, self.view, snapshot, away, self.pulse, width)
        self._main.query_one("#top", Canvas).paint(lines)
        said = status.message(self.said, self.is_bad, self.view, snapshot, width)
        self._main.query_one("#message", Canvas).paint([said])
        keys = status.message(self.wrong, True, self.view, None, width) if self.wrong else status.keys(self.view, width)
        self._main.query_one("#keys", Canvas).paint([keys])

    def say(self, text: str, is_bad: bool = False) -> None:
        """Show a sentence for a while."""
        self.said, self.said_at, self.is_bad = " ".join(text.split()), time.monotonic(), is_bad
        if self.page is not None:
            self.page.say(self.said)
        self._show_status()

    @on(Grid.Changed)
    def table_changed(self) -> None:
        """Say what is marked, and where the cursor is."""
        self.said = ""
        self._show_status()

    def action_view(self, by: int) -> None:
        """Show the view beside this one."""
        self.action_show_view((self.views.index(self.view) + by) % len(self.views))

    def action_show_view(self, number: int) -> None:
        """Show a view."""
        self.view = self.views[number]
        self._show_other()

    def action_state(self, by: int) -> None:
        """Show tasks in the next state, or in the one before."""
        if isinstance(self.view, TaskLists):
            self.view.turn(by)
            self._show_other()

    def _show_other(self) -> None:
        """Read at once what is to be shown now; what was said before is said no more, it would hide the filter."""
        self.said = ""
        self._reader.now()
        self.show()

    def action_reread(self) -> None:
        """Read all at once."""
        self.source.outdate()
        self.view.changes += 1
        self._reader.now()
        self.show()

    def action_open(self) -> None:
        """Show what is behind the row at the cursor."""
        if (row := self.view.here) is None or (where := self.view.open(row)) is None:
            return
        name, what = where
        if not name:
            self.push_screen(TaskPage(what, row.fact.queue, self._doing.act_on_page))
            self._reader.now()
            return
        self.view = next(view for view in self.views if view.name == name)
        self.view.set_filter(what)
        self._show_other()

    def action_leave(self) -> None:
        """Unmark; else show all; else the first view."""
        if self.view.marked or self.view.is_all:
            self.view.unmark()
        elif self.view.filter:
            self.view.set_filter("")
        else:
            self.view = self.views[0]
        self._show_other()

    def action_copy(self) -> None:
        """Copy the id or the name, as far as the terminal lets programs do that (OSC 52)."""
        if (row := self.view.here) is not None:
            self.copy_to_clipboard(text := row.key.rpartition("\n")[2])
            self.say(f"copied {text}")

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Page("keys of hotwatch --live", lambda width: help_page.lines(self.views, width)))

    def action_act(self, key: str) -> None:
        """Do what a key does here."""
        self._doing.act(key)

    def action_undo(self) -> None:
        """Take back what was done last."""
        self._doing.undo()

    def action_filter(self) -> None:
        """Have a filter typed."""
        self._main.query_one("#message", Canvas).display = False
        self._main.query_one("#filter", FilterBar).begin(
            self.view.filter, self.view.filter_hint, isinstance(self.view, TaskLists)
        )

    def on_key(self, event: Key) -> None:
        """Take a key that was typed so fast that the table got it."""
        bar = self._main.query_one("#filter", FilterBar)
        if self.focused is bar and event.is_printable and event.character:
            bar.insert_text_at_cursor(event.character)
            event.prevent_default()

    @on(FilterBar.Submitted)
    def filter_typed(self, event: Input.Submitted) -> None:
        """Show what meets it; one that is wrong is said to be, and stays."""
        if wrong := self.view.check(event.value):
            self.wrong = wrong
            self._show_status()
            return
        self.view.set_filter(" ".join(event.value.split()))
        self.end_filter()
        self._show_other()

    @on(FilterBar.Changed)
    def filter_changed(self) -> None:
        """Say no more what was wrong with it."""
        self.wrong = ""
        self._show_status()

    @on(FilterBar.Left)
    def end_filter(self) -> None:
        """Have the filter line go away."""
        self.wrong = ""
        self._main.query_one("#filter", FilterBar).end()
        self._main.query_one("#message", Canvas).display = True
        self._main.set_focus(self._grid)
        self.call_after_refresh(self.show)
