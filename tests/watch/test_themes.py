"""The terminal's own colours are left as they are."""

from __future__ import annotations

from hotqueue.watch.themes import TERMINAL, THEMES


def test_the_default_paints_no_background_and_uses_the_terminals_own_colours() -> None:
    assert THEMES[0] == TERMINAL.name == "terminal"
    assert TERMINAL.ansi
    assert TERMINAL.background == TERMINAL.foreground == "ansi_default"
