"""Each key does one thing, and the help has them all."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from hotqueue.watch import keys


def names(bindings: list[BindingType]) -> list[str]:
    return [key for binding in bindings if isinstance(binding, Binding) for key in binding.key.split(",")]


def test_no_key_does_two_things() -> None:
    found = names(keys.BINDINGS) + names(keys.TABLE_BINDINGS)
    assert len(found) == len(set(found))


def test_what_changes_something_is_upper_case() -> None:
    assert keys.ACTS.isupper()
    assert {"P", "R", "D", "K"} <= set(keys.ACTS)


def test_every_key_is_in_the_help() -> None:
    shown = " ".join(shown for shown, _ in keys.said())
    for key in ("j", "k", "g", "G", "h", "l", "Enter", "d", "Esc", "/", "s", "S", "x", "A", "c", "?", "q", "^C", "[", "]"):
        assert key in shown.split()
