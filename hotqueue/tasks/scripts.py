"""The operations' scripts, loaded over their prelude. One name here for each file of lua/."""

from __future__ import annotations

from hotqueue.scripts import Script, load


def _script(name: str) -> Script:
    return load("hotqueue.tasks.lua", name, "prelude")


ENQUEUE = _script("enqueue")
ENQUEUE_ONE = load("hotqueue.tasks.lua", "enqueue_one")
STEP = _script("step")
RECOVER = _script("recover")
REGISTER = _script("register")
SWEEP = _script("sweep")
PROMOTE = _script("promote")
REAP = _script("reap")
AUDIT = _script("audit")
TAKE_BACK = _script("take_back")
WAIT = _script("wait")
LOOK = _script("look")
UNPARK = _script("unpark")
CLAIM = _script("claim")
REVOKE = _script("revoke")
REVIVE = _script("revive")
