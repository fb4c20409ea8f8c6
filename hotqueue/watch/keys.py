"""The keys of the monitor, as `kiq` and `k9s` have them, and what the help says of each. What a key changes is upper case."""

from __future__ import annotations

from textual.binding import Binding, BindingType

# What is said, the keys as they are shown, as textual names them, and the action.
_KEYS = (
    ("move", "↑ ↓  j k", "up,k", "move(-1)"),
    ("", "", "down,j", "move(1)"),
    ("a page up, down", "PgUp PgDn  ^B ^F", "pageup,ctrl+b", "page(-1)"),
    ("", "", "pagedown,ctrl+f", "page(1)"),
    ("to the first, the last", "g G  Home End", "home,g", "move(-1000000000)"),
    ("", "", "end,G", "move(1000000000)"),
    ("another view", "1 … 5  ← →  h l  Tab", "left,h", "view(-1)"),
    ("", "", "shift+tab", "app.view(-1)"),  # at the table: the screen, asked before the app, would move the focus
    ("", "", "right,l", "view(1)"),
    ("", "", "tab", "app.view(1)"),
    ("another state of tasks", "[ ]", "left_square_bracket", "state(-1)"),
    ("", "", "right_square_bracket", "state(1)"),
    ("open; a task's page", "Enter  d", "enter,d", "open"),
    ("back: close, unmark, show all", "Esc", "escape", "leave"),
    ("filter", "/", "slash", "filter"),
    ("sort by the next column, or the other way around", "s S", "s", "sort(False)"),
    ("", "", "S", "sort(True)"),
    ("mark a row; actions are then for all that are marked", "x  Space", "x,space", "mark"),
    ("mark all, of tasks all that match, however many", "A", "A", "mark_all"),
    ("undo: bring back what was thrown away within five minutes", "U", "U", "undo"),
    ("copy the id or name", "c", "c", "copy"),
    ("read at once", "^R", "ctrl+r", "reread"),
    ("this help", "?", "question_mark", "help"),
    ("quit", "q  ^C", "q", "quit"),
)
ACTS = "PRDKXQTE"  # keys of what changes something; each view says which it has, and what they do there
VIEWS = 5
_OF_TABLE = ("move", "page", "mark", "mark_all", "sort", "app.view")
TABLE_BINDINGS: list[BindingType] = [
    Binding(keys, action, show=False) for _, _, keys, action in _KEYS if action.partition("(")[0] in _OF_TABLE
]

BINDINGS: list[BindingType] = [
    *(Binding(keys, action, show=False) for _, _, keys, action in _KEYS if action.partition("(")[0] not in _OF_TABLE),
    *(Binding(key, f"act('{key}')", show=False) for key in ACTS),
    *(Binding(str(n), f"show_view({n - 1})", show=False) for n in range(1, VIEWS + 1)),
    Binding("ctrl+c", "quit", show=False, priority=True),
]


def said() -> list[tuple[str, str]]:
    """Return what keys do, in all views."""
    return [(shown, text) for text, shown, _, _ in _KEYS if shown]
