"""No test sleeps: it waits for something, sees that nothing happens, or says that time passes on purpose.

Read from the syntax trees of tests/, and from the text of programs in them. `sleep(0)` is none: it lets others run.
"""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import ROOT

TESTS = ROOT / "tests"
SLEEPS = re.compile(r"\b(?:time|asyncio)\.sleep\b(?!\(0[,)])|\bEvent\(\)\.wait\(\d")
MAY_SLEEP = {
    "support/durations.py": "what takes time on purpose",
    "support/waiting.py": "between two looks",
    "support/test_sleeps.py": "a program in which they are looked for",
    "crash/clock.py": "gives a process another time.sleep",
    "crash/test_leaving.py": "a docstring that names it",
    "crash/test_relay.py": "the pace of a program of its own",
}
MAY_LET_PASS = {
    "support/proxy.py": "the delay of a network, and its rate",
    "chaos/__main__.py": "the pace of faults",
    "chaos/faults.py": "the pace of what undoes them",
    "chaos/producer.py": "the pace of calls",
    "bystander/__main__.py": "the pace of looks at a family of processes",
    "bystander/sender.py": "the pace of calls",
    "soak/__main__.py": "the pace of rounds",
    "embedded/test_locks.py": "forks at all phases of a start",
    "messages/test_asyncio.py": "cancellations at any moment, and a request to a server that stands still",
    "crash/test_many_queues.py": "requests are counted meanwhile",
    "crash/test_cluster_queues.py": "requests are counted meanwhile; nothing happens at a queue for a while",
    "crash/test_upgrades.py": "requests are counted meanwhile",
    "crash/apps/schema_tasks.py": "tasks go on until they are told to end",
    "crash/test_silent_servers.py": "the pace of calls; looks are counted meanwhile",
    "crash/test_redis_faults.py": "lines of a log are counted afterwards",
    "crash/test_clocks.py": "leases run on while a clock is wrong; idle workers",
    "tasks/client/test_many_waits.py": "questions are counted meanwhile; a program stands still",
    "tasks/client/test_task.py": "an expiry passes",
    "tasks/test_expiry.py": "an expiry passes, and nobody looks",
}
CLOCKS = {"monotonic", "time", "perf_counter"}


def found_in(path: Path) -> Iterator[tuple[str, int]]:
    """Yield what there is in a file, and where: sleeps, passes, taken (in the body of a test itself), clocks (waited for)."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    turns = {id(node.func) for node in nodes if isinstance(node, ast.Call) and _is_zero(node.args[:1])}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio") and "sleep" in [n.name for n in node.names]:
            yield "sleeps", node.lineno
        if isinstance(node, ast.Attribute) and _is_sleep(node) and id(node) not in turns:
            yield "sleeps", node.lineno
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SLEEPS.search(node.value):
            yield "sleeps", node.lineno
        if isinstance(node, ast.Call) and _name(node) in ("let_pass", "alet_pass"):
            yield "passes", node.lineno
        if isinstance(node, ast.Call) and _name(node) in ("wait_until", "await_until") and _asks_only_a_clock(node):
            yield "clocks", node.lineno
        if isinstance(node, ast.Call) and _name(node) == "wait" and node.args and _is_new_event(node.func):
            yield "sleeps", node.lineno
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield from (("taken", call.lineno) for call in _own_calls(node) if _name(call) in ("take_time", "atake_time"))


def _is_zero(args: list[ast.expr]) -> bool:
    return any(isinstance(arg, ast.Constant) and arg.value == 0 for arg in args)


def _is_sleep(node: ast.Attribute) -> bool:
    return node.attr == "sleep" and isinstance(node.value, ast.Name) and node.value.id in ("time", "asyncio")


def _is_new_event(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and _name(node.value) == "Event"


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _asks_only_a_clock(call: ast.Call) -> bool:
    asked = [each for arg in call.args[:1] for each in ast.walk(arg) if isinstance(each, ast.Call)]
    return bool(asked) and all(_name(each) in CLOCKS and ast.unparse(each).startswith("time.") for each in asked)


def _own_calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that a function makes itself, not those of what is defined in it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _own_calls(child)


@functools.cache
def places() -> dict[str, dict[str, list[int]]]:
    """Return the lines of tests/ that have it, of each kind, by file."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(TESTS.rglob("*.py")):
        for kind, line in found_in(path):
            found[kind][path.relative_to(TESTS).as_posix()].append(line)
    return found


def test_only_named_helpers_sleep_and_each_exception_is_one() -> None:
    """A task uses take_time, a test wait_until or holds_for of tests.support.waiting."""
    found = places()["sleeps"]
    assert {name: lines for name, lines in found.items() if name not in MAY_SLEEP} == {}
    assert set(MAY_SLEEP) <= set(found), "an exception that is none any more"


def test_time_passes_where_there_is_a_reason() -> None:
    """A pace, a delay, a time in which something is counted: no wait for anything."""
    assert {name: lines for name, lines in places()["passes"].items() if name not in MAY_LET_PASS} == {}
    assert set(MAY_LET_PASS) <= set(places()["passes"]), "an exception that is none any more"


def test_what_takes_time_is_under_test() -> None:
    """No test takes its time itself: what it calls does."""
    assert places()["taken"] == {}


def test_no_wait_is_a_sleep_in_disguise() -> None:
    assert places()["clocks"] == {}


def test_what_is_looked_for_is_found(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(
        "import time\nfrom asyncio import sleep\n"
        "def test_it():\n    time.sleep(1)\n    time.sleep(0)\n    take_time(1)\n    let_pass(1)\n"
        "    wait_until(lambda: time.monotonic() > 1)\n    wait_until(lambda: done() and time.monotonic() > 1)\n"
        "    def task(): take_time(2)\n    CODE = 'f(asyncio.sleep(1))'\n    then(asyncio.sleep)\n    threading.Event().wait(3)\n"
    )
    sleeps = {("sleeps", line) for line in (2, 4, 11, 12, 13)}
    assert set(found_in(path)) == sleeps | {("taken", 6), ("passes", 7), ("clocks", 8)}
