"""The table of docs/faults.md speaks of every fault, and of tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text()


def test_every_row_is_there() -> None:
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", TABLE, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 81
    rows = re.findall(r"^\| (\d+[a-z]*) \|", TABLE, re.MULTILINE)
    assert len(rows) == len(set(rows))


def test_every_test_named_exists() -> None:
    missing, file = [], ""
    for row in TABLE.splitlines():
        for named in (text for text in re.findall(r"`([^`]*)`", row) if "test_" in text):
            path, _, test = named.partition("::")
            file = path or file
            if file == "tests/docs/test_faults_table.py":
                continue
            found = ROOT / file if "/" in file else ROOT / "tests" / "crash" / file
            if not found.exists() or (test and not re.search(rf"def {test}\b", found.read_text())):
                missing.append(named)
    assert missing == []
