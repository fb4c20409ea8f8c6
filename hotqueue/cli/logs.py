"""How the worker's log lines look: text for people, JSON for collectors. Sets up logging; logs nothing itself."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from hotqueue.runtime.descriptors import Lines

OF_A_TASK = ("task", "task_id", "attempt", "queue", "worker", "seconds")  # which `TaskFilter` says of each line
LEVELS = ("debug", "info", "warning", "error", "critical")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **_of_a_task(record),
            **getattr(record, "hotqueue_fields", {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _of_a_task(record: logging.LogRecord) -> dict[str, Any]:
    said = {name: getattr(record, name, "") for name in OF_A_TASK} if hasattr(record, "task_id") else {}
    return {name: value for name, value in said.items() if value != ""}


class TextFormatter(logging.Formatter):
    """One line for people; what a task itself logs begins with its name and id."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        task_id = getattr(record, "task_id", "")
        if task_id and not hasattr(record, "hotqueue_fields"):  # our own lines name the task where it fits
            record.message = f"{getattr(record, 'task', '')}[{task_id}] {record.message}"
        return super().formatMessage(record)


class _Stderr(logging.Handler):
    """Writes to the standard error that the process has, whatever becomes of `sys.stderr`; never raises, never waits for long."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding
        self._lines = Lines(2)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line."""
        try:
            text = self.format(record)
        except Exception as error:  # such as %d for a text: the user's, in a task
            text = f"a line of the log cannot be formatted ({error}): {record.msg!r} {record.args!r}"
        self._lines.write(f"{text}\n".encode(self._encoding, "backslashreplace"))


class _Kept(logging.Logger):
    """A logger that is not silenced by the way: `logging.config` disables all that it finds and is not told of.

    What is set on purpose counts: a level, a filter, a handler, `propagate`, `logging.disable`.
    """

    disabled = property(lambda _self: False, lambda _self, _value: None)

    def handle(self, record: logging.LogRecord) -> None:
        """Have a record handled; where a handler of the user's raises, by ours."""
        try:
            super().handle(record)
        except Exception:
            if _ours not in logging.getLogger("hotqueue").handlers:
                _ours.handle(record)


_OURS = ("hotqueue", "hotqueue.worker", "hotqueue.embedded", "hotqueue.queue")
_ours: logging.Handler = logging.NullHandler()
_level = logging.INFO


def set_up(level: str, form: str) -> None:
    """Send all log records to stderr: ours by a handler of our own, the others by one that gives way to what users set up.

    More than others say by themselves (debug) is asked of ours alone: redis, asyncio and the like would drown them.

    Args:
        level: one of LEVELS.
        form: "text" or "json".
    """
    from hotqueue.tasks.context import TaskFilter

    global _level, _ours
    _level = getattr(logging, level.upper())
    _ours = _Stderr("utf-8" if form == "json" else getattr(sys.stderr, "encoding", None) or "utf-8")
    _ours.addFilter(TaskFilter())
    text = TextFormatter("%(asctime)s %(levelname)-7s %(process)d %(message)s", "%H:%M:%S")
    _ours.setFormatter(JsonFormatter() if form == "json" else text)
    for name in _OURS:
        logging.getLogger(name).__class__ = _Kept
    ours = logging.getLogger("hotqueue")
    ours.handlers, ours.propagate = [_ours], False
    ours.setLevel(_level)
    logging.basicConfig(level=max(_level, logging.INFO), handlers=[_ours], force=True)


def make_way() -> None:
    """Let the modules of the user, which are about to be imported, set up logging as in any program."""
    logging.getLogger().removeHandler(_ours)
    logging.lastResort = _ours  # for what they log before they do, or if they never do


def come_back() -> None:
    """See to it, once they are imported, that all records get somewhere, once: to what users have set up, else to stderr."""
    root, ours = logging.getLogger(), logging.getLogger("hotqueue")
    for handler in list(root.handlers):
        if _is_by_the_way(handler):
            root.removeHandler(handler)
    if not root.handlers:
        root.addHandler(_ours)
    else:
        ours.removeHandler(_ours)
        if ours.level == _level:
            ours.setLevel(min(_level, root.level or _level))  # theirs may want more, but not silence us by the way
    if not ours.handlers:
        ours.propagate = True


def _is_by_the_way(handler: logging.Handler) -> bool:
    """Tell whether it is what a bare `logging.info()` sets up where there is nothing yet."""
    return (
        type(handler) is logging.StreamHandler
        and handler.stream is sys.stderr
        and getattr(handler.formatter, "_fmt", "") == logging.BASIC_FORMAT
        and not handler.level
        and not handler.filters
    )
