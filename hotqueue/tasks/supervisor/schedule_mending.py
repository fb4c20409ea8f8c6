"""Puts schedules right where nobody else does: places that are lost, slots of a time to which a clock was wrongly set.

And forgets those that nobody has declared for a day.
"""

from __future__ import annotations

from hotqueue.errors import CorruptEnvelope, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.scheduling import Change, version_of
from hotqueue.tasks.rules import firing
from hotqueue.tasks.rules.firing import DURABLE, State
from hotqueue.tasks.wire import schedule_row

HOUR, DAY = 3_600_000, 86_400_000  # ms
LONGEST = 367 * DAY  # ms to the next slot of nearly any schedule


def mend(broker: Broker, signer: Signer | None, was_put_back: bool) -> None:
    """Look at all schedules of a queue, and put right what is wrong; a row that cannot be read is left to who fires it.

    Args:
        signer: of the queue's tasks.
        was_put_back: the server's clock was; then any slot that is more than an hour away is looked at.
    """
    due = broker.due_schedules(0)
    live = {version_of(who) for who in due.live}
    far = due.now + (HOUR if was_put_back else LONGEST)
    known = {DURABLE, *(version_of(who) for who, until in broker.declarers().items() if until >= due.now - DAY)}
    wrong, lost = [], []
    for name, text, has_place in broker.places_of_schedules():
        state = State.read(text)
        if state is not None and state.version not in known:
            broker.set_schedules([Change(name, text, "")])
            continue
        if state is None or state.slot is None or state.is_paused:
            continue
        if (state.last or 0) > due.now + HOUR or state.slot > far:
            wrong.append(name)
        elif not has_place and (state.version == DURABLE or state.version in live):
            lost.append(name)
    if not (wrong or lost):
        return
    rows_signer, changes = None if signer is None else signer.for_schedules(broker.name), []
    for name, data, text in broker.schedules([*wrong, *lost]):
        state = State.read(text)
        try:
            plan = schedule_row.decode(data, name, rows_signer).plan
        except (CorruptEnvelope, SignatureError):
            continue
        if state is not None:
            after = firing.put_back(state, plan, due.now) if name in wrong else state
            changes.append(Change(name, text, after.text, due=after.due(plan)))
    broker.set_schedules(changes)


def forget(broker: Broker) -> None:
    """Remove schedules of versions that nobody has declared for a day."""
    known = {DURABLE, *map(version_of, broker.declarers())}
    states = [(name, text, State.read(text)) for name, text, _ in broker.places_of_schedules()]
    gone = [Change(name, text, "") for name, text, state in states if state is not None and state.version not in known]
    broker.set_schedules(gone)
