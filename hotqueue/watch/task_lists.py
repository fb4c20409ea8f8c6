"""The view of tasks: lists by state, with the filters of `hotqueue tasks`; retrying, discarding and revoking what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hotqueue.monitor import acting, words
from hotqueue.monitor.acting import Chosen, Done
from hotqueue.monitor.filter_text import FilterError, parse, written
from hotqueue.monitor.filters import DEAD, ENDED, PARKED, RETRYING, RUNNING, SCHEDULED, UNENDED, WAITING, Filter
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.monitor.tasks import Row as TaskRow
from hotqueue.monitor.tasks import Search
from hotqueue.plurals import plural
from hotqueue.store.store import Store
from hotqueue.tasks.broker.discarding import WHY_NOT
from hotqueue.watch import charts
from hotqueue.watch.canvas import Line, Piece, width_of
from hotqueue.watch.columns import Column, Row
from hotqueue.watch.view import Act, Facts, Progress, View

PAGE = 100  # rows that are read at first, and more of as one comes to the last of them
MOST = 2000
ALL = 10**9
STATES = ("", RUNNING, WAITING, RETRYING, SCHEDULED, PARKED, DEAD, ENDED)
_STYLES = {RUNNING: "good", RETRYING: "note", PARKED: "note", DEAD: "bad", SCHEDULED: "accent"}


def chosen(rows: Sequence[TaskRow]) -> Chosen:
    """Return the ids of tasks, by their queues."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.queue, []).append(row.id)
    return found


def _dead(facts: Facts) -> list[TaskRow]:
    return [row for row in facts if row.state == DEAD]


def _unended(facts: Facts) -> list[TaskRow]:
    return [row for row in facts if row.state not in (DEAD, ENDED)]


def retry(store: Store, facts: Facts, progress: Progress) -> str:
    """Put dead tasks back into their queues."""
    if not (some := _dead(facts)):
        return "only dead tasks can be retried"
    return said_of(acting.retry(store, chosen(some), progress), "retried")


def discard(store: Store, facts: Facts, progress: Progress) -> str:
    """Throw dead tasks away."""
    if not (some := _dead(facts)):
        return "only dead tasks can be thrown away; K revokes others"
    done = acting.discard(store, chosen(some), progress)
    return f"{said_of(done, 'thrown away')}{acting.undo_hint(done, 'U brings')}"


def bring_back(store: Store, facts: Facts, progress: Progress) -> str:
    """Bring back what was thrown away."""
    count, kept = 0, dict[str, str]()
    for queue, ids in chosen(_dead(facts)).items():
        done = acting.undo_discard(store, [queue], ids)
        count, kept = count + done.count, kept | done.kept
        progress(len(ids))
    whys = [f"; {plural(number, 'task')} not: {WHY_NOT[why]}" for why, number in Counter(kept.values()).items()]
    return f"{plural(count, 'task')} brought back{''.join(whys)}"


def revoke(store: Store, facts: Facts, progress: Progress) -> str:
    """Keep tasks from running."""
    if not (some := _unended(facts)):
        return "only tasks that wait or run can be revoked"
    done = acting.revoke(store, chosen(some), terminate=False, progress=progress)
    return ", ".join(f"{count:,} {said}" for said, count in sorted(done.said.items()))


def said_of(done: Done, what: str) -> str:
    """Return what was done, in a sentence."""
    parts = [f"{plural(done.count, 'task')} {what}"]
    parts += [f"{plural(len(done.kept), 'task')} kept, since another with the same unique key is there"] if done.kept else []
    parts += [f"{plural(len(done.missing), 'task')} not in the dead list any more"] if done.missing else []
    return "; ".join(parts)


def _about_retrying(facts: Facts) -> str:
    count = len(_dead(facts))
    return f"Retry {plural(count, 'dead task')}?" if count > 1 else ""


def _about_discarding(facts: Facts) -> str:
    count = len(_dead(facts))
    return f"Throw {plural(count, 'dead task')} away?" if count else ""


def _about_revoking(facts: Facts) -> str:
    count = len(_unended(facts))
    return f"Revoke {plural(count, 'task')}? What runs goes on." if count else ""


ACTS = (
    Act("R", "retry", "put dead tasks back into their queues (asks if more than one)", retry, _about_retrying),
    Act("D", "discard", "throw dead tasks away (asks)", discard, _about_discarding, bring_back),
    Act("K", "revoke", "keep tasks from running (asks)", revoke, _about_revoking),
)


class TaskLists(View):
    """Tasks."""

    name = "Tasks"
    about = "tasks by their state, newest or next first"
    empty = "there is no such task"
    every = 2.0
    has_all = True
    filter_hint = 'task:mail -queue:low state:dead age:>1h arg:"4"'
    columns = (
        Column("id", 8, stretch=1, drop=3),
        Column("task", 14, stretch=3),
        Column("queue", 8, stretch=1, drop=4),
        Column("state", 9),
        Column("age", 5, is_number=True, drop=1),
        Column("attempts", 8, is_number=True, drop=5),
        Column("arguments", 10, stretch=4, drop=2),
        Column("note", 10, stretch=4),
    )
    acts = ACTS

    def __init__(self) -> None:
        super().__init__()
        self.limit = PAGE

    # --- its filter -------------------------------------------------------------------------------------------------

    def check(self, text: str) -> str:
        """Return what is wrong with a filter."""
        try:
            parse(text)
        except FilterError as error:
            return str(error)
        return ""

    def set_filter(self, text: str) -> None:
        """Show what meets a filter."""
        self.limit = PAGE
        super().set_filter(text)

    @property
    def state(self) -> str:
        """The state that is shown alone; "" for all."""
        found = parse(self.filter).one("state")
        return found if found in STATES else ""

    def turn(self, by: int) -> None:
        """Show the next state, or the one before."""
        state = STATES[(STATES.index(self.state) + by) % len(STATES)]
        self.set_filter(written(parse(self.filter).but("state", [state] if state else [])))

    # --- its rows ---------------------------------------------------------------------------------------------------

    def read(self, store: Store, snapshot: Snapshot) -> list[Row]:
        """Return as many tasks as are wanted."""
        search = Search(parse(self.filter), self.limit)
        found = [_row(row) for row in search.rows(store, _queues(snapshot, search.wanted))]
        self.note = ""
        if search.refused:
            self.note = search.refused[0]
        elif search.is_cut:
            self.note = f"looked at {plural(search.looked, 'task')}, and stopped there"
        elif search.has_more and self.limit >= MOST:
            self.note = f"the first {MOST:,}: a filter (/) shows others"
        return found

    def move(self, by: int) -> None:
        """Move the cursor; at the last row, read more."""
        super().move(by)
        if self.index >= len(self.rows) - 1 and len(self.rows) >= self.limit < MOST:
            self.limit = min(MOST, self.limit * 2)

    def gather(self, store: Store, snapshot: Snapshot, progress: Progress) -> Facts:
        """Return all tasks that match."""
        search, found = Search(parse(self.filter), ALL, ALL), []
        for row in search.rows(store, _queues(snapshot, search.wanted)):
            found.append(row)
            progress(1)
        return found

    def badge(self, snapshot: Snapshot) -> str:
        """Return how many there are that have not ended."""
        return charts.count(snapshot.total("unfinished") + snapshot.total("dead"))

    def headline(self, snapshot: Snapshot, width: int) -> Line | None:
        """Return the states, with how many tasks are in each."""
        counts = {
            RUNNING: snapshot.total("running"),
            WAITING: snapshot.total("waiting"),
            SCHEDULED: snapshot.total("scheduled"),
            PARKED: snapshot.total("parked"),
            DEAD: snapshot.total("dead"),
        }
        pieces: list[Piece] = []
        for state in STATES:
            count = counts.get(state)
            text = f" {state or 'all'}{f' {charts.count(count)}' if count else ''} "
            pieces.append((text, "cursor" if state == self.state else "bold" if count else "dim"))
        return self._within(pieces, width)

    def _within(self, pieces: list[Piece], width: int) -> Line:
        """Return what fits: states in which nothing is go first, then the last ones, never the one that is shown."""
        for style in ("dim", "bold"):
            for piece in [piece for piece in reversed(pieces) if piece[1] == style]:
                if width_of(tuple(pieces)) > width:
                    pieces.remove(piece)
        return tuple(pieces)

    def open(self, row: Row) -> tuple[str, str] | None:
        """Return the page of a task."""
        return "", row.fact.id


def _queues(snapshot: Snapshot, wanted: Filter) -> list[str]:
    """Return the queues in which something can be found."""
    is_ended = ENDED in wanted.names("state", (*UNENDED, ENDED)) and any(term.field == "state" for term in wanted.terms)
    return [queue.name for queue in snapshot.queues if not queue.is_newer and (is_ended or queue.unfinished or queue.dead)]


def _row(row: TaskRow) -> Row:
    at = row.died or row.ended or row.sent
    due = f"due {words.ago(row.due)}" if row.due else ""
    note = row.outcome + (f" in {charts.seconds(row.run)}" if row.run is not None else "")
    note = ", ".join(each for each in (due, note, row.error or ("" if due else row.how)) if each)
    is_bad = bool(row.error) or row.outcome == "failed"
    return Row(
        f"{row.queue}\n{row.id}",
        (
            (row.id, "accent"),
            (row.task, "bold"),
            (row.queue, ""),
            (row.state, _STYLES.get(row.state, "")),
            (words.ago(at), ""),
            (str(row.attempts or ""), ""),
            (row.args, ""),
            (note, "bad" if is_bad else "dim"),
        ),
        (row.id, row.task, row.queue, row.state, -at.timestamp() if at else None, row.attempts, row.args, note),
        row,
    )
