"""The page of one task: its arguments, what happened to it and when, who has it, why it waits, its log, error, workflow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from hotqueue.monitor import words
from hotqueue.monitor.one_task import Event, OneTask
from hotqueue.plurals import plural
from hotqueue.watch.canvas import Line

_BAD = {"failed", "failure", "lost", "error", "expired", "timeout"}
NAMES = 10  # columns of the names of facts


def lines(task: OneTask, width: int) -> list[Line]:
    """Return a page, for a width."""
    return [*_facts(task, width), *_timeline(task, width), *_log(task, width), *_workflow(task, width), *_error(task, width)]


def _facts(task: OneTask, width: int) -> Iterator[Line]:
    outcome = task.state if task.state != "ended" else f"ended, {task.outcome or 'and its result was not kept'}"
    bad = task.state == "dead" or task.outcome not in ("", "SUCCESS")
    held, progress = task.held_by, task.progress
    marks = {"async": task.is_async, "by value": task.is_by_value, "signed": task.is_signed}
    pairs = (
        ("task", f"{task.task}({task.args})", "bold"),
        ("id", task.id, "accent"),
        ("queue", task.queue, ""),
        ("state", outcome, "bad" if bad else "good" if task.state in ("running", "ended") else "note"),
        ("why", task.why, ""),
        ("held by", f"{held['worker']} (process {held['pid']} on {held['host']})" if held else "", ""),
        ("progress", f"{progress.get('done')}/{progress.get('total')} {progress.get('message') or ''}" if progress else "", ""),
        ("priority", str(task.priority or ""), ""),
        ("attempts", str(task.attempts or ""), ""),
        ("deaths", str(task.deliveries or ""), ""),
        ("expires", words.moment(task.expires), ""),
        ("options", ", ".join(f"{name}={value!r}" for name, value in task.options.items()), ""),
        ("headers", ", ".join(f"{name}={value!r}" for name, value in task.headers.items()), ""),
        ("sent as", ", ".join(name for name, is_so in marks.items() if is_so), ""),
        ("result", task.result or (plural(task.result_bytes, "byte") if task.result_bytes >= 0 else ""), "good"),
        ("error", f"{task.error}: {task.message}" if task.error else "", "bad"),
    )
    for name, value, style in pairs:
        if value:
            yield from _fact(name, value, style, width)


def _fact(name: str, value: str, style: str, width: int) -> Iterator[Line]:
    """Yield a name and its value, which goes on under itself where it is long."""
    for n, part in enumerate(_wrapped(value, width - NAMES - 1)):
        yield ((f"{name if n == 0 else '':{NAMES}}", "dim"), (" ", ""), (part, style))


def _wrapped(text: str, width: int) -> list[str]:
    some = [words.printable(line) for line in text.splitlines()]
    return [part for line in some for part in wrap(line, max(10, width), break_on_hyphens=False) or [""]]


def _title(text: str) -> list[Line]:
    return [(), ((text, "title"),)]


def _timeline(task: OneTask, width: int) -> Iterator[Line]:
    if not task.timeline:
        return
    yield from _title("timeline")
    before: Event | None = None
    for event in task.timeline:
        after = f"+{words.span(max(0.0, (event.at - before.at).total_seconds()))}" if before and before.at and event.at else ""
        style = "bad" if event.what in _BAD else "good" if event.what in ("success", "running") else ""
        head = f"{words.moment(event.at):23} {after:>5}  "
        for n, part in enumerate(_wrapped(f"{event.what}{': ' + event.text if event.text else ''}", width - len(head))):
            yield ((head if n == 0 else " " * len(head), "dim"), (part, style))
        before = event


def _log(task: OneTask, width: int) -> Iterator[Line]:
    if not (task.log or task.log_dropped):
        return
    yield from _title("log")
    if task.log_dropped:
        yield ((f"{plural(task.log_dropped, 'line')} before these not kept"[:width], "dim"),)
    attempts = len({each.attempt for each in task.log}) > 1
    for each in task.log:
        head = f"{words.moment(each.at):23}  {f'#{each.attempt}  ' * attempts}"
        for n, part in enumerate(_wrapped(each.text, width - len(head))):
            yield ((head if n == 0 else " " * len(head), "dim"), (part, ""))


def _workflow(task: OneTask, width: int) -> Iterator[Line]:
    if task.workflow is None:
        return
    yield from _title(f"workflow {task.workflow['id']}, {plural(task.workflow['steps'], 'step')}")
    for word, some in (("behind", task.workflow["parents"]), ("before", task.workflow["children"])):
        text = ", ".join(f"{each['task']}[{each['id']}]" for each in some[:20]) + " …" * (len(some) > 20)
        if text:
            yield from _fact(word, text, "", width)


def _error(task: OneTask, width: int) -> Iterator[Line]:
    if not task.traceback:
        return
    yield from _title("traceback")
    yield from _plain(task.traceback.splitlines(), width)


def _plain(texts: Iterable[str], width: int) -> Iterator[Line]:
    for text in texts:
        rest = words.printable(text)
        yield ((rest[:width], "bad" if rest[:1].strip() and not rest.startswith("Traceback") else ""),)
        for start in range(width, len(rest), width):
            yield ((rest[start : start + width], ""),)
