"""The audit: a line for each change that somebody makes at the dashboard: who, what, to which. To the logger hotqueue.audit."""

from __future__ import annotations

import logging
import unicodedata

log = logging.getLogger("hotqueue.audit")

LONGEST = 2000  # characters of what it was done to


def changed(who: str, address: str, what: str, which: str, outcome: str) -> None:
    """Note what somebody has changed."""
    extra = {"who": who, "address": address, "what": what, "which": which[:LONGEST], "outcome": outcome}
    log.info("%s at %s: %s %s: %s", *map(_one_line, (who, address, what, which, outcome)), extra=extra)


def refused(who: str, address: str, what: str, why: str) -> None:
    """Note what somebody was not let do."""
    extra = {"who": who, "address": address, "what": what, "outcome": why}
    log.warning("%s at %s: %s refused: %s", *map(_one_line, (who, address, what, why)), extra=extra)


def _one_line(text: str) -> str:
    """Return a text in which no name can feign another line."""
    return "".join(map(_plain, text[:LONGEST]))


def _plain(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else repr(letter)[1:-1]  # such as what parts 6 000 on a page
