"""The next version of hotqueue, played: a copy of today's package whose queues may have a schema more, for real processes.

It writes rows in forms of its own once a queue has been taken to its schema: records in `held` that today's version does not
know, and a word more in `attempts` of every task. It reads today's forms as well. What a version to come has to do, this one
does: see "When a form changes" in CONTRIBUTING.md. What does not fit the sources any more fails here.
"""

from __future__ import annotations

import compileall
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hotqueue
from hotqueue import keys
from hotqueue.store.scripts import Script, load
from hotqueue.store.store import Store
from hotqueue.tasks.broker.scripts import CONSTANTS

SCHEMA = keys.SCHEMA + 1
WORD = "next"  # behind the numbers in `attempts`
HISTORY = f"0 0 - - - 0 0 0 {WORD}"
_LUA = "tasks/broker/lua"
_IS_THERE = f"redis.call('EXISTS', string.match(KEYS[1], '^{{.-}}:') .. 'schema:{SCHEMA}') == 1"

# file → (what stands there, what stands there in the next version)
_CHANGES = {
    "keys.py": [(f"\nSCHEMA = {keys.SCHEMA}\n", f"\nSCHEMA = {SCHEMA}\n")],
    "tasks/broker/holds.py": [('value[:1] != b"1"', 'value[:1] not in (b"1", b"2")')],
    f"{_LUA}/shared/holds.lua": [
        ("if form ~= '1' then", "if form ~= '1' and form ~= '2' then"),
        ("string.format('1%03d%04d'", f"({_IS_THERE} and '2' or '1') .. string.format('%03d%04d'"),
    ],
    f"{_LUA}/enqueue_one.lua": [
        (
            "if #envelope > SMALL_TASK then",
            f"if {_IS_THERE} then call('HSET', string.match(tasks, '^{{.-}}:') .. 'attempts', id, '{HISTORY}') end\n"
            "if #envelope > SMALL_TASK then",
        )
    ],
    f"{_LUA}/enqueue.lua": [
        (
            "if expires then\n",
            f"if not expires and {_IS_THERE} then add(histories, ids[i], '{HISTORY}') end\n    if expires then\n",
        )
    ],
}


def make(folder: Path) -> Path:
    """Make the package in a folder, and return the folder, which is to come first on the path."""
    source = Path(hotqueue.__file__).parent
    shutil.copytree(source, folder / "hotqueue")
    for name, changes in _CHANGES.items():
        file = folder / "hotqueue" / name
        text = file.read_text()
        for before, after in changes:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, after)
        file.write_text(text)
    compileall.compile_dir(folder / "hotqueue", quiet=1)  # once, not in each of its processes
    return folder


def environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of the next version, which `make` has put into a folder."""
    path = os.pathsep.join([str(folder), *filter(None, [env.get("PYTHONPATH")])])
    return {**env, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}  # not from the folder in which it is started


def as_today(record: bytes) -> bytes:
    """Return a record of `held` in today's form."""
    return b"1" + record[1:] if record[:1] == b"2" else record


def _upgrade_script() -> Script:
    numbers = {**dict(CONSTANTS), "SCHEMA": SCHEMA, "LAST_NUMBER": SCHEMA * keys.NUMBERS}
    return load(
        "hotqueue.tasks.broker.lua",
        "upgrade",
        "shared/prelude",
        "shared/schema",
        "shared/types",
        constants=tuple(numbers.items()),
    )


UPGRADE = _upgrade_script()


def upgrade(store: Store, name: str) -> list[Any]:
    """Take a queue to the next version's schema, in this process; return what the script answers."""
    markers = [keys.schema(name, number) for number in range(2, SCHEMA + 1)]
    answer: list[Any] = store.run(UPGRADE, [keys.workers(name), keys.seq(name), *markers], [], "upgrading")
    return answer
