"""Lists of tasks by their state, with the filter bar; the dead among them; and what is done to those that are selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hotqueue.monitor.acting import Chosen
from hotqueue.monitor.bulk import DISCARD, RETRY, REVOKE, VERBS, Action, Choice, Counted
from hotqueue.monitor.filter_text import FilterError, offers, parse, written
from hotqueue.monitor.filter_values import known
from hotqueue.monitor.filters import DEAD, ENDED, FIELDS, PARKED, RETRYING, RUNNING, SCHEDULED, STATES, UNENDED, WAITING, Filter
from hotqueue.monitor.row import Row
from hotqueue.monitor.tasks import Search
from hotqueue.web import page
from hotqueue.web.page import CannotDo, Form, Page, Said, View
from hotqueue.web.pages.bulk import actions_of, said_of
from hotqueue.web.paging import ROWS

LOOK_AT, LOOK_FURTHER = 1500, 20_000  # tasks that one page looks at; and when somebody asks for more
MOST_PAGES = 20  # that one can go through; a filter leads further
ENDED_QUEUES = 30  # in which it is looked for what has ended, if nobody says in which
SELECTED = 500  # tasks that a form may name

_COUNTS = {RUNNING: "running", WAITING: "waiting", SCHEDULED: "scheduled", PARKED: "parked", DEAD: "dead"}
_HAS = {
    RUNNING: ("running",),
    WAITING: ("ready", "blocked", "steps", "parked"),  # what is paused is parked
    RETRYING: ("scheduled",),
    SCHEDULED: ("scheduled",),
    PARKED: ("parked",),
    DEAD: ("dead",),
}


@dataclass(frozen=True)
class Tab:
    """One of the lists, as a link.

    Attributes:
        count: how many tasks are in it; None where that is not known.
    """

    label: str
    query: str
    is_here: bool
    count: int | None = None


def tasks(view: View) -> dict[str, Any]:
    """Return what the lists show."""
    return _listed(view, is_dead=False)


def dead(view: View) -> dict[str, Any]:
    """Return what the dead list shows."""
    return {"title": "Dead", **_listed(view, is_dead=True)}


def _listed(view: View, is_dead: bool) -> dict[str, Any]:
    text, wrong = view.query.get("q", "").strip(), ""
    try:
        wanted = parse(text)
    except FilterError as error:
        wanted, wrong = Filter(), str(error)
    states = (DEAD,) if is_dead else tuple(wanted.names("state", STATES if _says_state(wanted) else UNENDED))
    number = _page_number(view)
    search = Search(wanted, number * ROWS, LOOK_FURTHER if view.query.get("look") else max(LOOK_AT, (number + 1) * ROWS))
    queues = queues_with(view, wanted, states)
    found = search.rows(view.store, queues, states) if not wrong else iter(())
    rows = list(islice(found, (number - 1) * ROWS, None))
    verbs = _verbs(view, states)
    return {
        "is_dead": is_dead,
        "text": text,
        "wrong": wrong,
        "rows": rows,
        "number": number,
        "search": search,
        "has_next": search.has_more and number < MOST_PAGES,
        "tabs": [] if is_dead else _tabs(view, wanted, states),
        "fields": FIELDS,
        "key_of": key_of,
        "verbs": verbs,
        "total": sum(queue.dead for queue in view.snapshot.queues) if is_dead else None,
        "recent": [action for action in actions_of(view.store).recent() if not action.is_over or action.can_be_undone][:3],
        "said_of": said_of,
    }


def _says_state(wanted: Filter) -> bool:
    return any(term.field == "state" and not term.is_not for term in wanted.terms)


def _page_number(view: View) -> int:
    asked = view.query.get("page", "1")
    return min(max(1, int(asked) if asked.isdecimal() and len(asked) < 5 else 1), MOST_PAGES)


def queues_with(view: View, wanted: Filter, states: Sequence[str]) -> list[str]:
    """Return the queues that may have such tasks, by what the snapshot says: of a thousand most have none."""
    for term in wanted.terms:
        if term.field == "queue" and not term.is_not:
            view.snapshots.find(term.value)  # it may have appeared just now
    view.found = None
    names = {queue.name: queue for queue in view.snapshot.queues}
    parts = {part for state in states for part in _HAS.get(state, ())}
    found = [name for name in wanted.names("queue", names) if any(getattr(names[name], part) for part in parts)]
    if ENDED in states:
        others = [name for name in wanted.names("queue", names) if name not in found]
        found += others[: max(0, ENDED_QUEUES - len(found))]
    return found


def _verbs(view: View, states: Sequence[str]) -> list[str]:
    """Return what can be done to what is shown."""
    if not states:
        return []
    return [verb for verb in (RETRY, DISCARD, REVOKE) if set(states) <= set(VERBS[verb]) and view.may(verb)]


def _tabs(view: View, wanted: Filter, states: Sequence[str]) -> list[Tab]:
    found = [Tab("All", written(wanted.but("state")), not _says_state(wanted))]
    for state in STATES:
        count = view.snapshot.total(_COUNTS[state]) if state in _COUNTS else None
        is_here = _says_state(wanted) and tuple(states) == (state,)
        found.append(Tab(state.capitalize(), written(wanted.but("state", [state])), is_here, count))
    return found


# --- the selection ---------------------------------------------------------------------------------------------------


def key_of(row: Row) -> str:
    """Return what a form names a task by: its id, and behind the last blank but one nothing that a name may have."""
    return f"{len(row.queue)} {row.queue} {row.id}"


def selected(view: View, form: Form) -> Chosen:
    """Return the tasks that a form names.

    Raises:
        CannotDo: none, or too many, or what is no task.
    """
    found: dict[str, list[str]] = {}
    keys = form.get("task", ())
    if len(keys) > SELECTED:
        raise CannotDo(f"at most {SELECTED} tasks are selected one by one: take all that match")
    for key in keys:
        size, _, rest = key.partition(" ")
        length = int(size) if size.isdecimal() and len(size) < 5 else -1
        if length < 0 or rest[length : length + 1] != " ":
            raise CannotDo("the form names what is no task")
        if not view.shows(rest[:length]):
            raise CannotDo(f"this dashboard shows no queue {rest[:length]!r:.80}")
        found.setdefault(rest[:length], []).append(rest[length + 1 :])
    if not found:
        raise CannotDo("no task is selected")
    return found


def _on_selection(verb: str) -> page.Action:
    def act(view: View, form: Form) -> Said:
        chosen = selected(view, form)
        number = Counted(sum(map(len, chosen.values())))
        action = Action(Choice(verb, ids=chosen), number, view.viewer.name)
        actions_of(view.store).take_in(action)
        action.run(view.store)
        if action.failure and not action.done.count:
            raise action.failure  # of one that was sent nobody may know what became of it: the audit says so
        which = "; ".join(f"{', '.join(ids[:5])}{' …' * (len(ids) > 5)} of queue {queue}" for queue, ids in chosen.items())
        rest = f"; of the rest nothing was done: {action.error}" if action.error else ""
        return Said(said_of(action) + rest, f"tasks {which}")

    return page.Action(verb, verb, act)


# --- what one may type -------------------------------------------------------------------------------------------------


def completions(view: View) -> dict[str, Any]:
    """Return how whoever types a filter may go on."""
    text, at = view.query.get("q", "")[:500], view.query.get("at", "")
    cursor = int(at) if at.isdecimal() and len(at) < 6 else len(text)
    queues = [queue.name for queue in view.snapshot.queues][:20]
    return {"offers": offers(text, cursor, known(view.store, text, cursor, queues) if queues else {})}


PAGES = (
    Page("/tasks", "Tasks", "tasks.html", tasks),
    Page("/dead", "Dead", "tasks.html", dead),
    Page("/filter", "", "offers.html", completions, "Tasks"),
)
ACTIONS: tuple[page.Action, ...] = tuple(map(_on_selection, (RETRY, DISCARD, REVOKE)))
