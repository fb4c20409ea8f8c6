"""Which version of the user's code a worker runs, as far as that can be known without importing it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata


def code_version(said: str, modules: Sequence[str]) -> str:
    """Return what somebody said; else the version of the installed distribution that has the first module's name, or "".

    Args:
        modules: as a worker is given them: ``shop.tasks:queue``.
    """
    if said:
        return said
    for module in modules[:1]:
        try:
            return metadata.version(module.partition(":")[0].partition(".")[0])
        except (metadata.PackageNotFoundError, ValueError):
            continue
    return ""
