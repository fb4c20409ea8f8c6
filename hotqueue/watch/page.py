"""Pages over the table: one of text that scrolls, such as the help, and that of one task, which is read anew all the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from hotqueue.monitor.one_task import OneTask
from hotqueue.plurals import plural
from hotqueue.watch import one_task
from hotqueue.watch.canvas import Canvas, Line, fitted

Act = Callable[[str], None]  # told which key was pressed


class Page(ModalScreen[None]):
    """A text.

    Args:
        title: stands above.
        make: returns its lines, for a width.
        acts: keys that do something to what it shows, and what is called then.
    """

    CSS = """
    Page { layout: vertical; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,left,h,question_mark", "close", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", show=False),
        Binding("home,g", "scroll(-1000000)", show=False),
        Binding("end,G", "scroll(1000000)", show=False),
        *(Binding(key, f"act('{key}')", show=False) for key in "RDKUc"),
    ]

    def __init__(self, title: str, make: Callable[[int], Sequence[Line]], acts: str = "", act: Act | None = None) -> None:
        super().__init__()
        self.heading, self.make, self.acts, self._act = title, make, acts, act
        self.foot = ""
        self.top = 0

    def compose(self) -> ComposeResult:
        """Make the three parts."""
        yield Canvas(id="title", height=1)
        yield Canvas(id="text")
        yield Canvas(id="foot", height=1)

    def on_mount(self) -> None:
        """Show it."""
        self.call_after_refresh(self.show)

    def on_resize(self) -> None:
        """Show it in its new size."""
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Paint what changed."""
        text = self.query_one("#text", Canvas)
        width, height = text.size
        if not width:
            return
        lines = list(self.make(width))
        self.top = max(0, min(self.top, len(lines) - height))
        self.query_one("#title", Canvas).paint([((fitted(f" {self.heading}", width), "cursor"),)])
        text.paint(lines[self.top : self.top + height])
        more = f"   ↓ {plural(len(lines) - height - self.top, 'more line')}" if len(lines) > self.top + height else ""
        self.query_one("#foot", Canvas).paint([((" Esc back", "key"), (more, "dim"), (f"   {self.foot}", "key"))])

    def action_scroll(self, by: int) -> None:
        """Move the text."""
        self.top = max(0, self.top + by)
        self.show()

    def action_page(self, by: int) -> None:
        """Move it by a page."""
        self.action_scroll(by * max(1, self.query_one("#text", Canvas).size.height - 1))

    def action_close(self) -> None:
        """Go back to the table."""
        self.dismiss()

    def action_act(self, key: str) -> None:
        """Do something to what is shown."""
        if self._act is not None and key in self.acts:
            self._act(key)


class TaskPage(Page):
    """The page of a task.

    Args:
        queue: where it is; "" while nobody knows.
    """

    def __init__(self, task_id: str, queue: str, act: Act) -> None:
        super().__init__(f"task {task_id}", self._lines, "RDKUc", act)
        self.task_id, self.queue = task_id, queue
        self.found: OneTask | None = None
        self.is_read = False
        self.said = ""
        self.foot = "R retry   D discard   K revoke   c copy its id"

    def _lines(self, width: int) -> Sequence[Line]:
        said: list[Line] = [((fitted(self.said, width), "note"),), ()] if self.said else []
        if self.found is not None:
            gone: list[Line] = (
                [] if self.is_read else [((f"it is gone from queue {self.queue}; this is how it was", "note"),), ()]
            )
            return [*said, *gone, *one_task.lines(self.found, width)]
        text = f"there is no task {self.task_id} in queue {self.queue} any more" if self.is_read else "looking …"
        return [*said, ((text, "dim"),)]

    def take(self, found: OneTask | None) -> None:
        """Show what was found."""
        if found is not None or self.found is None:
            self.found, self.is_read = found, True
        else:
            self.is_read = False
        self.show()

    def say(self, text: str) -> None:
        """Say what was done."""
        self.said = text
        self.show()
