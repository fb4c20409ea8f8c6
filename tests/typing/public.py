"""Asks pyright whether a checker knows every type of the API; commands and the monitor, which nobody imports, may keep theirs.

Run by ``make check``: prints what is unknown, and exits 1. A type that is inferred counts as known. What is made of classes of
libraries that have no types is as unknown as these.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import hotqueue

EXCEPT = ("hotqueue.cli.", "hotqueue.watch.", "hotqueue.contrib.joblib.HotQueueBackend")


def complaints() -> list[str]:
    """Return one line for each symbol whose type pyright cannot tell."""
    asked = ["--verifytypes", "hotqueue", "--ignoreexternal", "--outputjson", "--pythonpath", sys.executable]
    env = {**os.environ, "PYTHONPATH": str(Path(hotqueue.__file__).parent.parent)}  # pyright does not follow an editable install
    run = subprocess.run([sys.executable, "-m", "pyright", *asked], env=env, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    symbols = report["typeCompleteness"]["symbols"]
    assert symbols, "pyright saw nothing of hotqueue: is it installed here?"
    unknown = [s for s in symbols if not s["isTypeKnown"] and not s["isTypeAmbiguous"]]
    return [
        f"{s['name']}: {' '.join(d['message'] for d in s['diagnostics'])}" for s in unknown if not s["name"].startswith(EXCEPT)
    ]


if __name__ == "__main__":
    found = complaints()
    print("\n".join(found) or "every type of the API is known")
    sys.exit(bool(found))
