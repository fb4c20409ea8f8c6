"""Doing: what keys do to rows: asks where that is needed, does it in a thread, and says what was done, or why not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.message import Message

from hotqueue.errors import HotQueueError
from hotqueue.monitor.row import Row as TaskRow
from hotqueue.watch import task_lists
from hotqueue.watch.asking import Asking
from hotqueue.watch.reading import in_background
from hotqueue.watch.view import Act, Facts

if TYPE_CHECKING:
    from hotqueue.watch.page import TaskPage


class Told(Message):
    """Something for the thread of the screen to do."""

    def __init__(self, then: Callable[[], Any]) -> None:
        super().__init__()
        self.then = then


class Doing:
    """What keys do.

    Args:
        app: the monitor.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._is_busy = False
        self._last: tuple[Act, Facts] | None = None  # what can be undone

    def act(self, key: str) -> None:
        """Do what a key does to what is marked, or to the row at the cursor."""
        app, view = self._app, self._app.view
        act = next((each for each in view.acts if each.key == key), None)
        if act is None:
            app.say(f"{key} does nothing to {view.name.lower()}; ? shows the keys")
        elif self._is_busy:
            app.say("what was begun before is not done yet")
        elif view.is_all:
            snapshot = app.snapshot
            gather = partial(view.gather, app.store, snapshot, self._progress("looking", "found"))
            self._begin(lambda: gather(), partial(self._ask, act))
        elif facts := view.targets():
            self._ask(act, facts)

    def undo(self) -> None:
        """Take back what was done last, where that can be."""
        if self._last is None:
            self._app.say("there is nothing to undo")
        elif not self._is_busy:
            (act, facts), self._last = self._last, None
            assert act.undo is not None
            undo, store, progress = act.undo, self._app.store, self._progress("undo", f"of {len(facts):,}")
            self._begin(lambda: undo(store, facts, progress), self._done)

    def act_on_page(self, key: str) -> None:
        """Do what a key does to the task whose page is open."""
        page: TaskPage = self._app.page
        if key == "U":
            self.undo()
        elif key == "c":
            self._app.copy_to_clipboard(page.task_id)
            self._app.say(f"copied {page.task_id}")
        elif page.found is not None and not self._is_busy:
            row = TaskRow(page.task_id, page.found.task, page.queue, page.found.state)
            self._ask(next(each for each in task_lists.ACTS if each.key == key), [row])

    def _ask(self, act: Act, facts: Facts) -> None:
        question = act.question(facts)
        if not facts:
            self._app.say("nothing matches any more")
        elif question:
            self._app.push_screen(Asking(question), lambda answer: self._do(act, facts) if answer else self._app.say("not done"))
        else:
            self._do(act, facts)

    def _do(self, act: Act, facts: Facts) -> None:
        store = self._app.store
        progress = self._progress(act.label, f"of {len(facts):,}")
        if act.undo is not None:
            self._last = act, facts
        self._begin(lambda: act.do(store, facts, progress), self._done)

    def _done(self, said: str) -> None:
        app = self._app
        app.view.unmark()
        app.say(said)
        app.action_reread()

    def _begin(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._is_busy = True
        in_background(job, lambda found: self._app.post_message(Told(lambda: self._end(found, then))))

    def _end(self, found: Any, then: Callable[[Any], None]) -> None:
        self._is_busy = False
        if isinstance(found, HotQueueError | TypeError | ValueError):
            self._app.say(str(found), is_bad=True)
        elif isinstance(found, Exception):
            self._app.say(f"{type(found).__name__}: {found}", is_bad=True)
        else:
            then(found)

    def _progress(self, what: str, of: str) -> Callable[[int], None]:
        """Return what says how far something has come: a few times, however many there are."""
        done = [0, 0]

        def more(count: int) -> None:
            done[0] += count
            if done[0] - done[1] >= 500:
                done[1] = done[0]
                self._app.post_message(Told(lambda: self._app.say(f"{what} … {done[0]:,} {of}")))

        return more
