"""Themes: the terminal's own colours, which are light or dark as everything else there is; or textual's dark or light ones."""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

THEMES = ("terminal", "dark", "light")

TERMINAL = Theme(
    name="terminal",
    primary="ansi_cyan",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    ansi=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
    },
)
