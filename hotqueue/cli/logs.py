"""How the worker's log lines look: text for people, JSON for collectors. Sets up logging; logs nothing itself."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warning", "error", "critical")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **{name: value for name in ("task", "task_id") if (value := getattr(record, name, ""))},
            **getattr(record, "hotqueue_fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """One line for people; what a task itself logs begins with its name and id."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        task_id = getattr(record, "task_id", "")
        if task_id and not hasattr(record, "hotqueue_fields"):  # our own lines name the task where it fits
            record.message = f"{getattr(record, 'task', '')}[{task_id}] {record.message}"
        return super().formatMessage(record)


def set_up(level: str, form: str) -> None:
    """Send all log records to stderr.

    Args:
        level: one of LEVELS.
        form: "text" or "json".
    """
    from hotqueue.tasks.context import TaskFilter

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(TaskFilter())
    text = TextFormatter("%(asctime)s %(levelname)-7s %(process)d %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.INFO)
