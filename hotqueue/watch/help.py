"""The help: what each key does, and how filters are written. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hotqueue.monitor.filters import FIELDS
from hotqueue.watch import keys
from hotqueue.watch.canvas import Line
from hotqueue.watch.view import View

_KEY = 22


def lines(views: Sequence[View], width: int) -> list[Line]:
    """Return the help, for a width."""
    return list(_lines(views))


def _lines(views: Sequence[View]) -> Iterator[Line]:
    for shown, text in keys.said():
        yield _pair(shown, text)
    for number, view in enumerate(views, 1):
        yield ()
        yield ((f"{number} {view.name}", "title"), (f"  {view.about}", "dim"))
        for act in view.acts:
            yield _pair(act.key, act.text)
    yield ()
    yield (("filters of tasks", "title"), ('  task:mail -queue:low state:dead failed:>1h arg:"4"', "bold"))
    yield _pair("words", "are looked for in id, name, arguments and last error; - in front: not these")
    for each in FIELDS.values():
        yield _pair(each.example, each.says)


def _pair(shown: str, text: str) -> Line:
    return ((f"  {shown:{_KEY}}", "key"), (text, ""))
