"""The lines above and below the table: where the store is and how it does, the views, the sums, what is wrong, the keys. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hotqueue.monitor import words
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.plurals import plural
from hotqueue.watch import charts
from hotqueue.watch.canvas import Line, Piece, both_ends, fitted, width_of
from hotqueue.watch.pulse import Pulse
from hotqueue.watch.view import View


def above(
    store: str, views: Sequence[View], view: View, snapshot: Snapshot | None, away: Line | None, pulse: Pulse, width: int
) -> list[Line]:
    """Return the three lines above the table.

    Args:
        away: what is said of a store that is; None of one that is not.
    """
    lines = [top(store, snapshot, width), tabs(views, view, snapshot, width)]
    if away is not None:
        lines.append(away)
    elif snapshot is not None:
        lines.append(view.headline(snapshot, width) or sums(snapshot, pulse, width))
    return lines


def top(store: str, snapshot: Snapshot | None, width: int) -> Line:
    """Return where the store is, what answers there, and what time it is."""
    left: list[Piece] = [(" hotqueue ", "cursor"), (f" {store}", "bold")]
    if snapshot is not None:
        server = snapshot.server
        full = f" of {words.size(server.max_memory)}" if server.max_memory else ""
        left.append((f"  {server.version}  {words.size(server.memory)}{full}", "dim"))
    right: list[Piece] = [(f"{datetime.now(UTC):%H:%M:%S} UTC ", "dim")]
    line = both_ends(left, right, width)
    return line if len(line) > len(left) else both_ends(left[:2], right, width)


def tabs(views: Sequence[View], shown: View, snapshot: Snapshot | None, width: int) -> Line:
    """Return the views; where there is little room, of the others their numbers alone."""
    badges = [view.badge(snapshot) if snapshot else "" for view in views]
    pieces: list[Piece] = []
    for is_whole in (True, False):
        pieces = []
        for number, (view, badge) in enumerate(zip(views, badges, strict=True), 1):
            name = f" {view.name}{' ' + badge if badge else ''}" if is_whole or view is shown else ""
            pieces += [(f" {number}{name} ", "cursor" if view is shown else ""), (" ", "")]
        if width_of(tuple(pieces)) <= width:
            break
    return tuple(pieces)


def sums(snapshot: Snapshot, pulse: Pulse, width: int) -> Line:
    """Return how much there is of everything."""
    rate, total, failed = pulse.total()
    waits = snapshot.total("waiting")
    pieces: list[Piece] = []
    for what, number, style in (
        ("waiting", waits, "bad" if waits and not snapshot.workers else "bold"),
        ("running", snapshot.total("running"), "good"),
        ("later", snapshot.total("scheduled") + snapshot.total("steps") + snapshot.total("parked"), "bold"),
        ("dead", snapshot.total("dead"), "bad"),
    ):
        pieces += [(f" {charts.count(number)}", style if number else "dim"), (f" {what} ", "dim")]
    pieces += [(f" {charts.rate(rate)}", "bold" if rate else "dim"), (" done/s ", "dim")]
    if total:
        pieces += [(f" {charts.percent(failed, total)}", "bad" if failed else "dim"), (" failed ", "dim")]
    busy = sum(bool(worker.held) for worker in snapshot.workers)
    while width_of(tuple(pieces)) > width:
        del pieces[-2:]
    return both_ends(pieces, [(f"{busy} of {plural(len(snapshot.workers), 'worker')} busy ", "dim")], width)


def away(error: str, since: float, snapshot: Snapshot | None, width: int) -> Line:
    """Return that the store is away, since when, and what the table shows meanwhile."""
    shown = f"; this is how it was at {snapshot.at:%H:%M:%S}" if snapshot else ""
    return ((fitted(f" away since {words.span(since)}{shown}: {error}", width), "alarm"),)


def message(said: str, is_bad: bool, view: View, snapshot: Snapshot | None, width: int) -> Line:
    """Return what is to be said: what was done; else what is filtered; else what is wrong."""
    if said:
        return ((fitted(f" {said}", width), "bad" if is_bad else "note"),)
    left: list[Piece] = []
    if view.is_all:
        left.append((" all that match are marked ", "marked"))
    elif view.marked:
        left.append((f" {len(view.marked)} marked ", "marked"))
    if view.filter:
        left += [(" /", "key"), (f"{view.filter} ", "bold")]
    if view.note:
        left.append((f" {view.note}", "note"))
    found = snapshot.warnings if snapshot else ()
    if not left and found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        text = f" {found[0].text}{more}{'; ' + found[0].advice if found[0].advice else ''}"
        left.append((fitted(text, max(1, width - 12)), "bad" if found[0].level == "bad" else "note"))
    place = f"{view.index + 1}/{len(view.rows)} " if view.rows else ""
    return both_ends(left, [(place, "dim")], width)


def keys(view: View, width: int) -> Line:
    """Return the keys that one needs here, as many as there is room for."""
    pairs = [("?", "help"), ("/", "filter"), ("↵", "open"), *((act.key, act.label) for act in view.acts)]
    pairs += [("x", "mark"), ("s", "sort"), ("q", "quit")]
    pieces: list[Piece] = []
    left = width
    for key, what in pairs:
        left -= len(key) + len(what) + 3
        if left < 0:
            break
        pieces += [(f" {key} ", "key"), (f"{what} ", "")]
    return tuple(pieces)
