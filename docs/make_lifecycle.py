"""Writes the diagram and the table in lifecycle.md from the transition table in hotqueue/tasks/rules/lifecycle.py.

``python docs/make_lifecycle.py`` writes; with ``--check`` it only tells, by its exit code, whether the page is current.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from hotqueue.tasks.rules.lifecycle import FINAL_STATE, TABLE, Do, State

PAGE = Path(__file__).with_name("lifecycle.md")
BEGIN, END = "<!-- made by {}: do not edit -->", "<!-- end of {} -->"

# What is not decided by the table: each move is one script of hotqueue/tasks/lua.
MOVES = [
    ("[*]", State.PENDING, "enqueue"),
    ("[*]", State.SCHEDULED, "enqueue with countdown or eta"),
    (State.SCHEDULED, State.PENDING, "promote, when it is due"),
    (State.RETRY, State.PENDING, "promote, when it is due"),
    (State.PENDING, State.STARTED, "step, which fetches it"),
    (State.STARTED, State.PENDING, "reap, when its worker died"),
    (State.PENDING, State.REVOKED, "revoke"),
    (State.SCHEDULED, State.REVOKED, "revoke"),
    (State.RETRY, State.REVOKED, "revoke"),
    (State.FAILURE, State.PENDING, "revive, by retry_dead"),
]
AFTER = {
    **FINAL_STATE,
    Do.FORGET: State.SUCCESS,
    Do.RETRY: State.RETRY,
    Do.PUT_BACK: State.PENDING,
    Do.PARK: State.PENDING,
    Do.REPLACE: State.PENDING,
}
MEANING = {
    Do.SUCCEED: "store the value",
    Do.FORGET: "end it without a result",
    Do.END: "store the error; it is not kept",
    Do.BURY: "store the error; keep the task in the dead list",
    Do.RETRY: "run it again after its delay",
    Do.PUT_BACK: "put it back at its place, uncharged",
    Do.PARK: "keep it, at its place, for a worker that can run it",
    Do.REPLACE: "put the workflow in its place, whose last step has its id",
}


def diagram() -> str:
    """Return the states and what leads from one to the other, as Mermaid."""
    causes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for before, after, cause in MOVES:
        causes[str(before), str(after)].append(cause)
    for ended, (with_retry, otherwise) in TABLE.items():
        for do in dict.fromkeys((with_retry, otherwise)):
            causes[str(State.STARTED), str(AFTER[do])].append(ended.value)
    lines = [f"    {before} --> {after}: {', '.join(dict.fromkeys(words))}" for (before, after), words in causes.items()]
    ends = [f"    {state} --> [*]" for state in dict.fromkeys(FINAL_STATE.values())]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, *ends, "```"])


def table() -> str:
    """Return what becomes of a task by how its run ended."""
    rows = ["| how the run ended | with a retry left | otherwise |", "|---|---|---|"]
    for ended, (with_retry, otherwise) in TABLE.items():
        first = _told(with_retry) if with_retry is not otherwise else "the same"
        rows.append(f"| {ended.value} | {first} | {_told(otherwise)} |")
    return "\n".join(rows)


def _told(do: Do) -> str:
    return f"`{AFTER[do]}`: {MEANING[do]}"


def replaced(text: str, part: str, made: str) -> str:
    """Return a page with what stands between the comments of a part replaced."""
    begin, end = BEGIN.format(part), END.format(part)
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise SystemExit(f"the page has no {begin} … {end}")
    return f"{head}{begin}\n\n{made}\n\n{end}{tail}"


def write(page: Path, wanted: str) -> None:
    """Write a page, or with --check only compare."""
    if sys.argv[1:] != ["--check"]:
        page.write_text(wanted)
    elif page.read_text() != wanted:
        sys.exit(f"{page.name} is not current: run python {sys.argv[0]}")


if __name__ == "__main__":
    write(PAGE, replaced(replaced(PAGE.read_text(), "the diagram", diagram()), "the table", table()))
