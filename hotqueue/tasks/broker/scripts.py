"""The operations' scripts, loaded over their prelude. One name here for each file of lua/.

Their keys are built in script_keys.py; a worker runs them through its session.py, anyone else through broker.py and its like.
"""

from __future__ import annotations

from hotqueue import sizes
from hotqueue.store.scripts import Script, load

_SMALL = ("SMALL_TASK", sizes.SMALL_TASK)
_SIZES = (_SMALL, ("READ_BYTES", sizes.READ_BYTES), ("DEAD_TASKS", sizes.DEAD_TASKS), ("DEAD_BYTES", sizes.DEAD_BYTES))


def _script(name: str, *more: str) -> Script:
    return load("hotqueue.tasks.broker.lua", name, "prelude", *more, constants=_SIZES)


ENQUEUE = _script("enqueue")
ENQUEUE_ONE = load("hotqueue.tasks.broker.lua", "enqueue_one", constants=(_SMALL,))
STEP = _script("step", "holds")
RECOVER = _script("recover", "holds")
REGISTER = _script("register")
SWEEP = _script("sweep")
PROMOTE = _script("promote")
REAP = _script("reap", "holds")
AUDIT = _script("audit", "holds")
TAKE_BACK = _script("take_back", "holds")
WAIT = _script("wait")
LOOK = _script("look")
UNPARK = _script("unpark")
CLAIM = _script("claim")
REVOKE = _script("revoke", "ending")
REVIVE = _script("revive")
DISCARD = _script("discard")
EXPIRE = _script("expire", "ending")
LIST_EXPIRED = _script("list_expired")
LIST_DEAD = _script("list_dead")
UNSTARTED = _script("unstarted", "holds")
WAKE_TOKENS = load("hotqueue.tasks.broker.lua", "wake_tokens")
HAS_TASKS = load("hotqueue.tasks.broker.lua", "has_tasks")
