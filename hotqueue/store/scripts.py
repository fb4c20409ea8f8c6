"""Lua files → scripts that a store can run by their SHA-1. Reads package files; speaks to no server.

One operation a file, behind files that it shares with others, so that Redis sees one text. Names in capitals are constants.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_NAMES, _VALUE = r"[A-Z][A-Z_0-9]+(?:, [A-Z][A-Z_0-9]+)*", r"(?:\d+|KEYS\[\d+\]|ARGV\[\d+\])"
_CONSTANTS = re.compile(rf"^ *local ({_NAMES}) = ({_VALUE}(?:, {_VALUE})*)(?: *--.*)?\n", re.MULTILINE)
_NAME = re.compile(r"(?<!')\b[A-Z][A-Z_0-9]+\b(?!')")


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
    head = "".join(f"local {constant} = {number}\n" for constant, number in constants)
    lua = head + "\n".join((folder / f"{each}.lua").read_text("utf-8") for each in (*preludes, name))
    text = _in_place(lua).encode()
    return Script(text, hashlib.sha1(text).hexdigest().encode())


def _in_place(lua: str) -> str:
    """Put what constants stand for (numbers, keys, arguments) in their places.

    A variable to which a function of a script refers costs Redis a search and a piece of memory at every call.
    """
    values: dict[str, str] = {}
    for names, found in _CONSTANTS.findall(lua):
        for name, value in zip(names.split(", "), found.split(", "), strict=True):
            if values.setdefault(name, value) != value:
                raise ValueError(f"{name} stands for {values[name]} and for {value}")
    return _NAME.sub(lambda name: values.get(name[0], name[0]), _CONSTANTS.sub("", lua))
