"""What stands under /api/: each answers what a command prints by --json, a page of a list at a time. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hotqueue.monitor import answers, ended, one_task
from hotqueue.monitor import schedules as schedule_facts
from hotqueue.monitor.crowd import QueueFacts
from hotqueue.monitor.filter_text import FilterError, parse
from hotqueue.monitor.filters import ENDED, STATES, UNENDED
from hotqueue.monitor.tasks import Search
from hotqueue.web.page import CannotDo, NotThere, View
from hotqueue.web.pages import one_task as task_page
from hotqueue.web.pages.queues import matches
from hotqueue.web.pages.tasks import queues_with

USUAL, MOST = 50, 500  # rows of a page, if nobody says how many
FURTHEST = 10_000  # rows of a list that can be reached
LOOK_AT, LOOK_FURTHEST = 10_000, 20_000  # tasks that are looked at for a list


@dataclass(frozen=True)
class Answer:
    """An address, and what it answers.

    Attributes:
        path: below /api, as Starlette's routes have it.
        asks: what may stand behind its "?".
        command: what prints the same.
        read: returns it.
    """

    path: str
    asks: Sequence[str]
    command: str
    read: Callable[[View], dict[str, Any]]


def number(view: View, name: str, usual: int, most: int) -> int:
    """Return a number that the address says.

    Raises:
        CannotDo: it is none, from 1 to `most`.
    """
    said = view.query.get(name, str(usual))
    if not (said.isascii() and said.isdecimal() and len(said) < 8 and 1 <= int(said) <= most):
        raise CannotDo(f"{name}={said:.80} is no number from 1 to {most}")
    return int(said)


def paged(view: View, what: str, rows: Callable[[int], Sequence[Any]], **more: Any) -> dict[str, Any]:
    """Return the page of a list that the address asks for, and the address of the next one.

    Args:
        rows: takes how many are wanted from the first on, and returns as many, if there are.
    """
    limit = number(view, "limit", USUAL, MOST)
    page = number(view, "page", 1, FURTHEST)
    found = rows(page * limit + 1) if page * limit <= FURTHEST else ()
    has_next = len(found) > page * limit and (page + 1) * limit <= FURTHEST
    return {what: list(found[(page - 1) * limit : page * limit]), "next": view.here(page=page + 1) if has_next else None, **more}


def _one_of(view: View, name: str, some: Sequence[str]) -> str:
    said = view.query.get(name, some[0])
    if said not in some:
        raise CannotDo(f"{name}={said:.80} is none of {', '.join(some)}")
    return said


# --- queues --------------------------------------------------------------------------------------------------------------


def info(view: View) -> dict[str, Any]:
    return {**answers.info(view.store), **queues(view)}


def queues(view: View) -> dict[str, Any]:
    sought = view.query.get("q", "").strip()
    found = sorted(
        (each for each in view.snapshot.queues if not sought or matches(each.name, sought)), key=lambda each: each.name
    )
    answer = paged(view, "queues", lambda count: found[:count])
    return {**answer, "queues": _described(view, answer["queues"])}


def _described(view: View, found: Sequence[QueueFacts]) -> list[dict[str, Any]]:
    schemas = answers.schemas(view.store, [each.name for each in found])
    return [answers.queue_of(each, schema) for each, schema in zip(found, schemas, strict=True)]


def one_queue(view: View) -> dict[str, Any]:
    name = view.params["queue"]
    found = view.snapshots.find(name)
    if found is None:
        raise NotThere(f"there is no queue {name!r:.80}, or it is empty and has no worker")
    return _described(view, [found])[0]


# --- tasks ---------------------------------------------------------------------------------------------------------------


def tasks(view: View) -> dict[str, Any]:
    try:
        wanted = parse(view.query.get("f", ""))
    except FilterError as error:
        raise CannotDo(str(error)) from None
    says_state = any(term.field == "state" and not term.is_not for term in wanted.terms)
    states = wanted.names("state", STATES if says_state else UNENDED)
    search = Search(wanted, 0, number(view, "look_at", LOOK_AT, LOOK_FURTHEST))

    def rows(count: int) -> Sequence[Any]:
        search.limit = count
        every = [each.name for each in view.snapshot.queues]
        queues = wanted.names("queue", every) if ENDED in states else queues_with(view, wanted, tuple(states))
        return [row.as_json() for row in search.rows(view.store, queues, list(states))]

    answer = paged(view, "tasks", rows)
    return {**answer, "looked_at": search.looked, "is_cut": search.is_cut, "refused": search.refused}


def _queue_of(view: View) -> str:
    """Return the queue that knows the task of the address."""
    task_id, queue = view.params["id"], view.query.get("queue", "")
    names = [queue] if queue else [each.name for each in view.snapshot.queues]
    found = task_page.known_by(view, task_id, names) or [each for each in names[:LOOKED] if ended.find(view.store, each, task_id)]
    if not found:
        raise NotThere(f"there is no task {task_id!r:.200}: it was never sent, or its result has expired")
    if len(found) > 1:
        raise CannotDo(f"task {task_id!r:.200} is in queues {', '.join(found[:5])}: say which one with queue=")
    return found[0]


LOOKED = 20  # queues in whose ended tasks is looked, where nobody says which


def one(view: View) -> dict[str, Any]:
    found = one_task.look(view.store, _queue_of(view), view.params["id"])
    if found is None:
        raise NotThere(f"there is no task {view.params['id']!r:.200} any more")
    return found.as_json()


def why(view: View) -> dict[str, Any]:
    return answers.why(view.store, _queue_of(view), view.params["id"])


# --- workers, schedules, statistics --------------------------------------------------------------------------------------


def workers(view: View) -> dict[str, Any]:
    found, queue = view.snapshot.workers, view.query.get("queue", "")
    some = [each for each in found if not queue or queue in each.queues]
    return paged(view, "workers", lambda count: [each.as_json() for each in some[:count]], refused=list(view.snapshot.refused))


def schedules(view: View) -> dict[str, Any]:
    refused: list[str] = []
    names = [each.name for each in view.snapshot.queues if each.schedules and view.query.get("queue", each.name) == each.name]
    found = schedule_facts.schedules(view.store, names, refused)
    return paged(view, "schedules", lambda count: [each.as_json() for each in found[:count]], refused=refused)


def stats(view: View) -> dict[str, Any]:
    per = _one_of(view, "per", tuple(answers.STEPS))
    last = number(view, "last", min(60, answers.MOST[per]), answers.MOST[per])
    by_span = _one_of(view, "spans", ("0", "1")) == "1"
    refused: list[str] = []

    def rows(count: int) -> Sequence[Any]:
        found = answers.counted(view.store, _names(view), refused, view.query.get("task", ""), per, last, by_span)
        return [answers.counts(*row) for row in islice(found, count)]

    return paged(view, "stats", rows, refused=refused)


def deploys(view: View) -> dict[str, Any]:
    found = answers.deploys(view.store, _names(view)[:MOST])
    return paged(view, "deploys", lambda count: [answers.deploy(*each) for each in found[:count]])


def _names(view: View) -> list[str]:
    """Return the queues that are meant: the one that the address says, else all that can be read."""
    if not (queue := view.query.get("queue", "")):
        return [each.name for each in view.snapshot.queues if not (each.is_newer or each.refused)]
    if view.snapshots.find(queue) is None:
        raise NotThere(f"there is no queue {queue!r:.80}")
    return [queue]


_PAGES = ("limit", "page")
ANSWERS = (
    Answer("/info", _PAGES, "hotqueue info", info),
    Answer("/queues", ("q", *_PAGES), "hotqueue info", queues),
    Answer("/queues/{queue:path}", (), "hotqueue info", one_queue),
    Answer("/tasks", ("f", "look_at", *_PAGES), "hotqueue tasks", tasks),
    Answer("/tasks/{id:path}", ("queue",), "hotqueue show", one),
    Answer("/why/{id:path}", ("queue",), "hotqueue why", why),
    Answer("/workers", ("queue", *_PAGES), "hotqueue workers", workers),
    Answer("/schedules", ("queue", *_PAGES), "hotqueue schedules", schedules),
    Answer("/stats", ("queue", "task", "per", "last", "spans", *_PAGES), "hotqueue stats", stats),
    Answer("/deploys", ("queue", *_PAGES), "hotqueue stats --deploys", deploys),
)
