"""The server that comes along: found, started, watched, mended. Knows no redis client, and nothing of queues.

Uses runtime, hints and errors alone. Others take what is handed on here, each imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hotqueue import moved

if TYPE_CHECKING:
    from hotqueue.embedded.files import default_path as default_path
    from hotqueue.embedded.maintenance import repair as repair
    from hotqueue.embedded.maintenance import status as status
    from hotqueue.embedded.maintenance import stop as stop
    from hotqueue.embedded.maintenance import upgrade as upgrade
    from hotqueue.embedded.server import EmbeddedServer as EmbeddedServer

__all__ = ["EmbeddedServer", "default_path", "repair", "status", "stop", "upgrade"]

_HOMES = {
    "EmbeddedServer": "server",
    "default_path": "files",
    **dict.fromkeys(("repair", "status", "stop", "upgrade"), "maintenance"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        return moved.find(__name__, name)  # this was a module once, with a class that stored queues name
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next use does not come here
    return value
