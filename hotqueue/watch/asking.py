"""Asking: a question before something is changed that cannot be undone. Only y does it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static


class Asking(ModalScreen[bool]):
    """A question.

    Args:
        question: what is asked.
    """

    CSS = """
    Asking { align: center middle; }
    Asking > Vertical { width: auto; max-width: 76; height: auto; border: round $accent; background: $background; padding: 0 2; }
    Asking Static { width: auto; max-width: 70; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """Make the box."""
        with Vertical():
            yield Static(self.question, markup=False)
            yield Static("\ny  yes     n  no", markup=False)

    def action_answer(self, answer: bool) -> None:
        """Close it."""
        self.dismiss(answer)
