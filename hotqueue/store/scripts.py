"""Lua files → scripts that a store can run by their SHA-1. Reads package files; speaks to no server.

One operation a file, optionally over a shared prelude that is put in front, so that Redis sees one text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Script:
    """A Lua text as Redis gets it.

    Attributes:
        text: the whole source, prelude included.
        sha: its SHA-1 in hex, by which EVALSHA finds it.
    """

    text: bytes
    sha: bytes


@cache
def load(package: str, name: str, *preludes: str, constants: tuple[tuple[str, int], ...] = ()) -> Script:
    """Return the script in ``<package>/<name>.lua``.

    Args:
        package: dotted name of the package whose folder holds the file, or of the folder itself ("hotqueue.messages.lua").
        name: file name without ``.lua``.
        preludes: names of files of the same folder that are put in front.
        constants: names and numbers that are put before all, for what Python has to know as well.

    Raises:
        FileNotFoundError: there is no such file.
    """
    folder = resources.files(package.partition(".")[0])
    for part in package.split(".")[1:]:
        folder = folder / part
    head = "".join(f"local {constant} = {number}\n" for constant, number in constants).encode()
    text = head + b"\n".join((folder / f"{each}.lua").read_bytes() for each in (*preludes, name))
    return Script(text, hashlib.sha1(text).hexdigest().encode())
