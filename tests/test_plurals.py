"""Numbers with what they count: one is never many, in any text of the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from hotqueue.plurals import plural, word
from tests.test_house import FILES, PACKAGE

THINGS = (
    "attempts|bytes|calls|characters|days|deaths|elements|fields|hours|items|keys|lanes|lines|members|messages|minutes|"
    "processes|programs|queues|retries|rows|schedules|seconds|steps|suspects|tasks|terms|times|tries|turns|workers"
)
BESIDE = "more|other|such|dead|ended|parked|unfinished|waiting|worker|of its|of these|of the"
MANY = re.compile(rf"^ (?:(?:{BESIDE}) )?(?:{THINGS})\b(?! \()")
IN_LOG_LINES = re.compile(rf"%(?:d|i|s) (?:(?:{BESIDE}) )?(?:{THINGS})\b")
IN_PAGES = re.compile(rf"\}}\}}(?:</?\w+>)* (?:(?:{BESIDE}) )?(?:{THINGS})\b")

# Where a number in front of many is right: never 1, or no number.
RIGHT = {
    ("cli/watch.py", "queue.items"): "the form of these lines is promised",
    ("monitor/gates.py", "'async' if turn[1] == 'a' else 'sync'"): "no number",
    ("monitor/statistics.py", "', '.join(map(str, STEPS))"): "several",
    ("tasks/client/explain.py", "len(able)"): "of one it says something else",
    ("tasks/supervisor/found_queues.py", "%d queues"): "a constant",
    ("transfer/copying.py", "STAY_MS // 3600000"): "a constant",
    ("watch/schedules.py", "' …' * (len(facts) > 3)"): "no number",
    ("web/schedule_words.py", "int(step[1])"): "every 1 minutes is every minute there",
}


def many(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield where a text of a module has a number in front of what is said of several, and which number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant) and MANY.match(str(text.value)):
                    yield node.lineno, ast.unparse(value.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno, found[0]) for found in IN_LOG_LINES.finditer(node.value))
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Constant) and node.value.value in ("s", "es"):
            yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("f'{count} tasks wait'", "count"),
        ("f'there are {len(found):,} more lines'", "len(found)"),
        ("f'{count} tasks of {name}'", "count"),
        ("log.info('queue %s: %d steps', name, count)", "%d steps"),
        ("f'{count} task{\"s\"[: count != 1]}'", "'s'[:count != 1]"),
        ("f'{plural(count, \"task\")} of queue {name}'", None),
        ("f'{name} has tasks'", None),
    ],
)
def test_it_is_found(text: str, found: str | None) -> None:
    assert [what for _, what in many(ast.parse(text))] == ([found] if found else [])


def test_one_is_not_many_in_any_text() -> None:
    wrong, right = [], set()
    for path in FILES:
        name = str(path.relative_to(PACKAGE))
        for line, number in many(ast.parse(path.read_text())):
            if (name, number) in RIGHT:
                right.add((name, number))
            elif not number.isupper():  # constants are more than one
                wrong.append(f"{name}:{line}: {number}; hotqueue.plurals.plural() says it of one as well")
    assert not wrong
    assert right == set(RIGHT), "some exceptions are none any more"


def test_one_is_not_many_on_any_page() -> None:
    pages = sorted((PACKAGE / "web" / "templates").glob("*.html"))
    assert len(pages) > 10
    texts = [(page.name, found[0]) for page in pages for found in IN_PAGES.finditer(page.read_text())]
    assert not texts, "the filter plural says it of one as well"


def test_a_number_and_what_it_counts() -> None:
    assert [plural(n, "task") for n in (0, 1, 2, 1200)] == ["0 tasks", "1 task", "2 tasks", "1,200 tasks"]
    assert [plural(n, "process is", "processes are") for n in (1, 2)] == ["1 process is", "2 processes are"]
    assert [word(n, "was", "were") for n in (0, 1, 2)] == ["were", "was", "were"]
