"""What the tests of the store share: a server that is not there, and scripts out of a line of Lua."""

from __future__ import annotations

from hotqueue.store.scripts import Script

NOBODY = "redis://127.0.0.1:1/0"


def script(text: str) -> Script:
    """Return a script of this text."""
    return Script(text)
