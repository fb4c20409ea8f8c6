"""What a test needs that not every machine has: another build of the server, a library, a right.

A test that lacks something says so with `lacking`, in words that the summary can count and put into one line.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

import pytest

_LACKING = re.compile(r"needs (?P<what>.*?)(?: \(apt-get install (?P<package>\S+)\))?")


def are_required() -> bool:
    """Tell whether everything has to be here: the servers, with all they can, and what `.ci/run` installs besides."""
    return bool(os.environ.get("HOTQUEUE_REQUIRE_SERVERS"))


def lacking(what: str, package: str = "", *, required: bool = False) -> BaseException:
    """Return what a test raises to be skipped for want of something.

    Args:
        what: what the test needs, to be read after "needs".
        package: Debian's package that brings it, if one does.
        required: have the test fail instead.
    """
    reason = f"needs {what}" + (f" (apt-get install {package})" if package else "")
    return (pytest.fail if required else pytest.skip).Exception(reason)


def told(reasons: Iterable[str]) -> str:
    """Return one line about all tests that were skipped, by the reasons they gave; "" for none."""
    installable: Counter[str] = Counter()
    other: Counter[str] = Counter()
    packages = set()
    for reason in reasons:
        if not (found := _LACKING.fullmatch(reason)):
            other[reason] += 1
        elif found["package"]:
            installable[found["what"]] += 1
            packages.add(found["package"])
        else:
            other[found["what"]] += 1
    parts = [", ".join(f"{what} ({n})" for what, n in lacked.most_common()) for lacked in (installable, other) if lacked]
    if packages:
        parts[0] += f": `apt-get install {' '.join(sorted(packages))}` runs these as well"
    total = installable.total() + other.total()
    return f"{total} test{'s need' if total > 1 else ' needs'} what is not here: {'; '.join(parts)}" if parts else ""
