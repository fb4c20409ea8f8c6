"""The line in which a filter is typed: it is checked, and completed, as one types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from hotqueue.monitor.filter_text import offers

Known = Callable[[], Mapping[str, Iterable[str]]]  # names of the store by field: task, queue, worker


class Completion(Suggester):
    """Completes the term that is being typed.

    Args:
        known: returns names that occur.
    """

    def __init__(self, known: Known) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """Return a filter that begins as what was typed does, and goes on."""
        if not value or value.endswith(" "):
            return None
        return next((offer.text for offer in offers(value, len(value), self._known()) if offer.text.startswith(value)), None)


class FilterBar(Input):
    """A line to type in.

    Args:
        known: returns names that occur.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "cursor_right", show=False),
        Binding("escape", "leave", show=False),
    ]

    class Left(Message):
        """Nothing was typed after all."""

    def __init__(self, known: Known, *, id: str) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)
        self._completion = Completion(known)

    def begin(self, text: str, hint: str, has_fields: bool) -> None:
        """Have a filter typed, from this one on."""
        self.suggester = self._completion if has_fields else None
        self.placeholder = hint
        self.value = text
        self.cursor_position = len(text)
        self.display = True
        self.screen.set_focus(self)  # now: `focus` does it later, and the next key may be here before

    def end(self) -> None:
        """Be no more there."""
        self.display = False

    def action_leave(self) -> None:
        """Keep the filter that there was."""
        self.post_message(self.Left())
