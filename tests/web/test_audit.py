"""A line of the audit is one line, whatever things are called."""

from __future__ import annotations

import logging

import pytest

from hotqueue.web import audit


def test_no_name_feigns_another_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hotqueue.audit"):
        audit.changed("ann", "10.0.0.1", "purge", "queue a\nbob at 10.0.0.2: purge queue b", "done\x1b[2J")
        audit.refused("e\rve", "", "purge", "why")
        audit.changed("ann", "10.0.0.1", "retry", "tasks", "6\u202f000 tasks retried\u2028bob")
    assert caplog.messages == [
        r"ann at 10.0.0.1: purge queue a\nbob at 10.0.0.2: purge queue b: done\x1b[2J",
        r"e\rve at : purge refused: why",
        r"ann at 10.0.0.1: retry tasks: 6 000 tasks retried\u2028bob",
    ]
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]
