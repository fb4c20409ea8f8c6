"""Lua files → scripts that a store can run by their SHA-1. Reads package files; speaks to no server.

One operation a file, behind files that it shares with others, so that Redis sees one text. Names in capitals are constants. A
line ``-- include other`` stands for a file of the folder ``shared``, of which functions are made only where it is run.
"""

from __future__ import annotations

import hashlib
import pkgutil
import re
from functools import cache, cached_property

_NAMES, _VALUE = r"[A-Z][A-Z_0-9]+(?:, [A-Z][A-Z_0-9]+)*", r"(?:\d+|KEYS\[\d+\]|ARGV\[\d+\])"
_CONSTANTS = re.compile(rf"^ *local ({_NAMES}) = ({_VALUE}(?:, {_VALUE})*)(?: *--.*)?\n", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include (\w+)\n", re.MULTILINE)
_NAME = re.compile(r"(?<!')\b[A-Z][A-Z_0-9]+\b(?!')")


class Script:
    """A Lua text as Redis gets it.

    Args:
        lua: the whole text, with what it shares with others. Constants in it are put in their places when it is first needed: a
            program needs few of the scripts.
    """

    def __init__(self, lua: str) -> None:
        self._lua = lua

    @cached_property
    def text(self) -> bytes:
        """The text that is sent."""
        return _in_place(self._lua).encode()

    @cached_property
    def sha(self) -> bytes:
        """Its SHA-1 in hex, by which EVALSHA finds it."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


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
    head = "".join(f"local {constant} = {number}\n" for constant, number in constants)
    return Script(head + "\n".join(_read(package, each) for each in (*preludes, name)))


@cache
def _read(package: str, name: str) -> str:
    """Read a file, now: a process that runs on while another version of the package is installed must not mix the two."""
    top, _, folder = package.partition(".")
    read = pkgutil.get_data(top, "/".join([*folder.split("."), f"{name}.lua"]) if folder else f"{name}.lua")
    if read is None:
        raise FileNotFoundError(f"{package} has no {name}.lua")
    shared = name.rpartition("/")[0] or "shared"
    return _INCLUDE.sub(lambda found: _read(package, f"{shared}/{found[1]}"), read.decode())


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
