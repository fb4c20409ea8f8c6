"""What is done to all tasks that match: counted, asked about, done in the background; how far it is; cancelling, undoing."""

from __future__ import annotations

import time
import weakref
from typing import Any

from hotqueue.monitor import bulk_told
from hotqueue.monitor.bulk import (
    CANCELLED,
    DISCARD,
    FAILED,
    QUEUED,
    RETRY,
    REVOKE,
    VERBS,
    Action,
    Actions,
    Choice,
    Counted,
    count,
    told_of,
)
from hotqueue.monitor.filter_text import FilterError, parse
from hotqueue.store.store import Store
from hotqueue.tasks.broker.discarding import UNDO_MS, WHY_NOT
from hotqueue.web import audit, page
from hotqueue.web.page import CannotDo, Form, NotThere, Page, Said, View
from hotqueue.web.templating import plural

PAST = {RETRY: "retried", DISCARD: "thrown away", REVOKE: "revoked"}
PRESENT = {RETRY: "Retry", DISCARD: "Discard", REVOKE: "Revoke"}
LOOK_AT = 10_000  # tasks that are looked at to say how many match
LISTS = {RETRY: "/dead", DISCARD: "/dead", REVOKE: "/tasks"}

_of_stores: weakref.WeakKeyDictionary[Store, Actions] = weakref.WeakKeyDictionary()


def actions_of(store: Store) -> Actions:
    """Return the actions of this process at a store."""
    found = _of_stores.get(store)
    if found is None:
        found = _of_stores.setdefault(store, Actions(store))
    return found


def said_of(action: Action) -> str:
    """Return what an action has done, in a sentence."""
    verb, done = action.choice.verb, action.done
    text = f"{plural(done.count, 'task')} {PAST[verb]}"
    if verb == REVOKE and (others := sum(done.said.values()) - done.count):
        text += f", {plural(others, 'other')} had begun or ended"
    if done.kept:
        text += f", {plural(len(done.kept), 'stays', 'stay')} dead: another with the same unique key is there"
    if action.brought_back:
        text += f", {plural(action.brought_back, 'of them', 'of them')} brought back"
    return text


# --- asking ------------------------------------------------------------------------------------------------------------


def ask(view: View) -> dict[str, Any]:
    """Return what the page shows that asks."""
    verb, text = view.query.get("verb", ""), view.query.get("q", "")
    choice = _choice(view, verb, text)
    return {
        "title": f"{PRESENT[verb]} all that match",
        "verb": verb,
        "text": text,
        "counted": _counted(view, choice),
        **_words(),
    }


def _counted(view: View, choice: Choice) -> Counted:
    """Return how many are meant: of all in some queues the snapshot says it."""
    if choice.verb != REVOKE and all(term.field == "queue" for term in choice.wanted.terms):
        return Counted(sum(queue.dead for queue in view.snapshot.queues if queue.name in set(choice.queues)))
    return count(view.store, choice, LOOK_AT)


def _words() -> dict[str, Any]:
    return {"present": PRESENT, "past": PAST, "lists": LISTS}


def _choice(view: View, verb: str, text: str) -> Choice:
    if verb not in VERBS:
        raise NotThere("Nothing of that name can be done to tasks.")
    try:
        wanted = parse(text)
    except FilterError as error:
        raise NotThere(f"That is no filter: {error}.") from None
    queues = [queue.name for queue in view.snapshot.queues if queue.unfinished or queue.dead]
    return Choice(verb, wanted.names("queue", queues), wanted)


def _beginning(verb: str) -> page.Action:
    def act(view: View, form: Form) -> Said:
        text, number = form.one("q"), form.one("counted")
        choice = _choice(view, verb, text)
        counted = Counted(int(number) if number.isdecimal() and len(number) < 12 else 0, bool(form.one("is_cut")))
        name = view.viewer.name

        def note(action: Action) -> None:
            audit.changed(name, "-", f"{verb}-all", f"action {action.id}", f"{action.state}: {said_of(action)}")

        action = actions_of(view.store).start(choice, counted, name, note)
        which = f"what matches {text or 'anything'}, {counted} in all, as action {action.id}"
        return Said(f"{PRESENT[verb]}: begun", which, back=f"/bulk/{action.id}", query={"queue": action.queue})

    return page.Action(f"{verb}-all", verb, act)


# --- how far it is -----------------------------------------------------------------------------------------------------


def progress(view: View) -> dict[str, Any]:
    """Return what the page of one action shows."""
    action = _known(view, view.params["id"], view.query.get("queue", ""))
    if action is None:
        raise NotThere(
            "Nothing is known of that action (any more). "
            "What it has done stays done; what it threw away 'hotqueue discard --undo' brings back, for five minutes."
        )
    left = max(0, int(action.ended + UNDO_MS / 1000 - time.time())) if action.is_over else 0
    total = max(action.total.number, action.seen)
    texts = {QUEUED: "waits for another to end", CANCELLED: "cancelled", FAILED: "could not go on"}
    return {
        "title": f"{PRESENT[action.choice.verb]} {plural(action.total.number, 'task')}",
        "action": action,
        "total": total,
        "percent": 100
        if action.is_over and not action.error and action.state != CANCELLED
        else int(100 * action.seen / max(1, total)),
        "state": texts.get(action.state, action.state),
        "text": said_of(action),
        "left": left,
        **_words(),
    }


def _known(view: View, action_id: str, queue: str) -> Action | None:
    """Return an action of this process; or of another, as that tells of it under a key of this queue."""
    own = actions_of(view.store).get(action_id)
    return told_of(view.store, queue, action_id) if own is None and queue and action_id.isalnum() else own


def cancel(view: View, form: Form) -> Said:
    """Have an action stop."""
    action = _known(view, form.need("bulk"), form.one("queue"))
    if action is None:
        raise CannotDo("nothing is known of that action")
    if not view.may(action.choice.verb):
        raise CannotDo(f"you may not {action.choice.verb} here")
    action.cancel()
    if action.queue:
        bulk_told.cancel(view.store, action.queue, action.id)
    return Said("It stops", f"action {action.id}")


def undo(view: View, form: Form) -> Said:
    """Bring back what an action threw away."""
    action = _known(view, form.need("bulk"), form.one("queue"))
    if action is None or action.choice.verb != DISCARD:
        raise CannotDo("nothing is known of that action: 'hotqueue discard --undo' brings back what was thrown away")
    if action.queue:
        bulk_told.cancel(view.store, action.queue, action.id)  # another process may do it
    back = action.undo(view.store, action.choice.queues or [queue.name for queue in view.snapshot.queues])
    action.tell(view.store)
    text = f"{plural(back.count, 'task is', 'tasks are')} in the dead list again"
    for why in dict.fromkeys(back.kept.values()):
        number = sum(each == why for each in back.kept.values())
        text += f"; {plural(number, 'task')} not: {WHY_NOT[why]}"
    return Said(text, f"what action {action.id} threw away", back="/dead")


PAGES = (Page("/bulk", "", "bulk_ask.html", ask, "Dead"), Page("/bulk/{id}", "", "bulk.html", progress, "Dead"))
ACTIONS: tuple[page.Action, ...] = (
    *map(_beginning, VERBS),
    page.Action("undo", DISCARD, undo),
    *(page.Action(f"cancel-{verb}", verb, cancel) for verb in VERBS),
)
