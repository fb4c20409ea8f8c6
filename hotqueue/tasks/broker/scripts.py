"""The operations' scripts, with what they share of lua/shared/ in front. One name here for each file of lua/.

Their keys are built in script_keys.py; a worker runs them through its session.py, anyone else through broker.py and its like.
"""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue import keys, sizes
from hotqueue.store.scripts import Script, load
from hotqueue.tasks.rules import gates
from hotqueue.tasks.wire.envelope import UNIQUE

_SMALL = ("SMALL_TASK", sizes.SMALL_TASK)
_SCHEMA = (("SCHEMA", keys.SCHEMA), ("NUMBERS", keys.NUMBERS), ("LAST_NUMBER", keys.SCHEMA * keys.NUMBERS))
_SIZES = (("READ_BYTES", sizes.READ_BYTES), ("MOST_DEAD", sizes.DEAD_TASKS), ("MOST_DEAD_BYTES", sizes.DEAD_BYTES))
_DISCARDED = (("MOST_DISCARDED_BYTES", sizes.DISCARDED_BYTES),)
_RATES = (("LATEST", gates.LATEST), ("LATE_PART", gates.LATE_PART), ("RATE_PART", gates.RATE_PART))
CONSTANTS = (_SMALL, *_SCHEMA, *_SIZES, *_DISCARDED, *_RATES)

_OWNING = ("results", "history", "owning")
_UNIQUE_FLAGS = bytes([UNIQUE])  # and above
_GATES = ("gates",)  # which includes what few tasks with gates need


def _script(name: str, *more: str) -> Script:
    return load("hotqueue.tasks.broker.lua", name, *(f"shared/{each}" for each in ("prelude", *more)), constants=CONSTANTS)


def _stepping(steps: int, *more: str) -> Script:
    shared = ("prelude", "bells", "results", "history", *_GATES, *more, "holds")  # it includes more where it is used
    constants = (*CONSTANTS, ("STEPS", steps))
    return load("hotqueue.tasks.broker.lua", "step", *(f"shared/{each}" for each in shared), constants=constants)


_ENQUEUEING = tuple(
    f"shared/{each}"
    for each in ("prelude", "schema", "types", "bells", "results", "history", *_GATES, "receipts", "waiting", "firing")
)
_ENDING = ("abroad", "without_payload", "telling", "ending", "steps")
_REPLACING = ("shared/owning", *(f"shared/{each}" for each in _ENDING))
_PLAIN, _KEYED = (*CONSTANTS, ("UNIQUE", 0), ("STEPS", 0)), (*CONSTANTS, ("UNIQUE", 1), ("STEPS", 0))
_WORKFLOW = (*CONSTANTS, ("UNIQUE", 1), ("STEPS", 1))
ENQUEUE = load("hotqueue.tasks.broker.lua", "enqueue", *_ENQUEUEING, constants=_PLAIN)
ENQUEUE_UNIQUE = load("hotqueue.tasks.broker.lua", "enqueue", *_ENQUEUEING, *_REPLACING, constants=_KEYED)
ENQUEUE_STEPS = load("hotqueue.tasks.broker.lua", "enqueue", *_ENQUEUEING, *_REPLACING, "shared/laying", constants=_WORKFLOW)
COUNT_WAITING = _script("count_waiting", "schema", "waiting")
ENQUEUE_ONE = load("hotqueue.tasks.broker.lua", "enqueue_one", constants=(_SMALL, *_SCHEMA))
STEP, STEP_FOLLOWING = _stepping(0), _stepping(1, "types", *_ENDING, "laying", "replacing")
RECOVER = _script("recover", *_OWNING, "holds")
CHECKPOINT = _script("checkpoint", "types", "history", "holds")
REGISTER = _script("register", "schema", "holds")
SWEEP = _script("sweep", "bells", "pausing")
SHARE = _script("share")
PROMOTE = _script("promote", "schema", "types", "bells", "history", *_GATES)
REAP = _script("reap", "types", "bells", "history", *_GATES, "holds", "without_payload", "telling")
AUDIT = _script("audit", "schema", "types", "bells", "history", *_GATES, "holds", "paging")
TAKE_BACK = _script("take_back", "types", "bells", "history", *_GATES, "holds")
WAIT = _script("wait", "schema", "results", "history")
LOOK = _script("look", "schema", "bells", "results", "history", *_GATES)
WHY = _script("why", "schema", "bells", "results", "history", *_GATES, "holds", "without_payload")
GLIMPSE = _script("glimpse", "schema", "without_payload")
UNPARK = _script("unpark", "schema", "types", "bells", "history", *_GATES, "pausing")
PAUSE = _script("pause", "schema", "types", "bells")
CLAIM = _script("claim", "schema", "types", "history", "pausing")
UPGRADE = _script("upgrade", "schema", "types")
REVOKE = _script("revoke", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING)
REVOKE_STEPS = _script("revoke_steps", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING)
STEP_STATES = _script("step_states", "schema")
FOLLOW = _script("follow", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING)
WAITING_STEPS = _script("waiting_steps", "schema", "types")
AWAITED_STEPS = _script("awaited_steps", "schema", "types", *_OWNING)
END_LOST = _script("end_lost", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING)
REVOKE_SOME = _script("revoke_some", "schema", "types", "bells", *_OWNING, *_GATES, "pausing", "paging", *_ENDING)
REVIVE = _script("revive", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING, "dead_list", "coming")
DISCARD = _script("discard", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING, "dead_list", "discarded")
UNDO_DISCARD = _script("undo_discard", "schema", "types", "discarded")
WHAT_IS_LEFT = load("hotqueue.tasks.broker.lua", "what_is_left")
FOLD = _script("fold", "schema", "types")
DEPLOY = _script("deploy", "schema", "types")
FREE_DONE = load("hotqueue.tasks.broker.lua", "free_done")
EXPIRE = _script("expire", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING)
OWN = _script("own", "schema", "types", *_OWNING)
LET_GO = _script("let_go", "schema", "types", *_OWNING)
EXPIRE_UNOWNED = _script("expire_unowned", "schema", "types", *_OWNING)
MEND_OWNERS = _script("mend_owners", "schema", "types", *_OWNING)
HEAR = _script("hear", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING, "receipts", "coming")
ASK_AGAIN = _script("ask_again", "schema", "types", "bells", *_OWNING, *_GATES, *_ENDING)
POSTED = _script("posted", "schema")
STRIKE = _script("strike", "schema", "types")
RENUMBER = _script("renumber", "schema")
TOLD = _script("told", "schema")
DROP_SOURCE = _script("drop_source", "schema")
DUE_SCHEDULES = _script("due_schedules", "schema", "types")
SET_SCHEDULES = _script("set_schedules", "schema", "types", "firing", "outbox")
DECLARE = _script("declare", "schema", "types")
FORGET = _script("forget", "schema", *_OWNING)
STREAM_ADD = _script("stream_add", "types", "holds")
STREAM_READ = _script("stream_read", "schema", "types")
MEND_LANES = _script("mend_lanes", "schema", "bells", "history", *_GATES)
MEND_UNIQUE = _script("mend_unique", "schema", "bells", "history", *_GATES)
PAUSE_KEY = _script("pause_key", "schema", "types", "bells", "history", *_GATES)
AT_GATE = _script("at_gate", "schema", "bells", "history", *_GATES)
LIST_EXPIRED = _script("list_expired", "schema", "history")
LIST_DEAD = _script("list_dead", "schema")
UNSTARTED = _script("unstarted", "holds")
MAY_START = _script("may_start", "pausing", "holds")
WAKE_TOKENS = load("hotqueue.tasks.broker.lua", "wake_tokens")
HAS_TASKS = load("hotqueue.tasks.broker.lua", "has_tasks")
GLANCE = load("hotqueue.tasks.broker.lua", "glance")
SPANS = load("hotqueue.tasks.broker.lua", "spans")
HEADS = _script("heads", "schema", "without_payload")
NEEDS_UPKEEP = load("hotqueue.tasks.broker.lua", "needs_upkeep")
ARE_REGISTERED = load("hotqueue.tasks.broker.lua", "are_registered")


def enqueueing(envelopes: Sequence[bytes]) -> Script:
    """Return what stores tasks: of those among which some are unique, the script that knows about these."""
    return ENQUEUE_UNIQUE if max([data[3:4] for data in envelopes], default=b"") >= _UNIQUE_FLAGS else ENQUEUE
