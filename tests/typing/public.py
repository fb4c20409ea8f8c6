"""Asks pyright whether every type of the public API is known to a user's checker; the inner rooms may infer theirs.

Run by ``make check``: prints what is not, and exits 1. A file that holds public names belongs in PUBLIC.
"""

from __future__ import annotations

import json
import subprocess
import sys

PUBLIC = (
    "",
    "queue",
    "errors",
    "tasks",
    "tasks.task",
    "tasks.result",
    "tasks.context",
    "tasks.workflow",
    "tasks.periodic",
    "tasks.futures",
)


def complaints() -> list[str]:
    """Return one line for each public symbol whose type pyright does not know for certain."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "hotqueue", "--ignoreexternal", "--outputjson"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    found = report["typeCompleteness"]
    assert found["symbols"], "pyright saw nothing of hotqueue: is it installed here?"
    modules = {module["name"] for module in found["modules"]}
    vague = [s for s in found["symbols"] if not s["isTypeKnown"] and _home(s["name"], modules) in PUBLIC]
    return [f"{s['name']}: {' '.join(d['message'] for d in s['diagnostics'])}" for s in vague]


def _home(symbol: str, modules: set[str]) -> str:
    """Return the module that a symbol is defined in, without the package's name."""
    while symbol not in modules:
        symbol = symbol.rpartition(".")[0]
    return symbol.removeprefix("hotqueue").removeprefix(".")


if __name__ == "__main__":
    found = complaints()
    print("\n".join(found) or "every type of the public API is known")
    sys.exit(bool(found))
