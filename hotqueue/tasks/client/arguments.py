"""The arguments of a call as text, as they are kept for people beside the pickle: short, and without what is secret. Pure.

Whoever can look at the store or at a log reads this text, though not the pickle. So `sensitive=` of a task leaves out what is
nobody's affair; the value itself travels like any other.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Mapping
from typing import Any

from hotqueue.errors import Interruption
from hotqueue.hints import did_you_mean
from hotqueue.tasks.wire import envelope

Sensitive = bool | tuple[str, ...]  # all arguments, or those with these names

_SHORT = frozenset({float, bool, type(None)})
_WIDE = 1 << 64  # Python refuses to print an int of more than 4,300 digits


class _Shorten(reprlib.Repr):
    """As reprlib, which has no way of its own to look at the beginning of bytes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200

    def repr_bytes(self, value: bytes, level: int) -> str:
        return self.repr_instance(value if len(value) <= self.maxother else value[: self.maxother] + b"...", level)

    repr_bytearray = repr_bytes


_repr = _Shorten()


class _Hidden:
    """Stands for a value that is not to be read."""

    def __repr__(self) -> str:
        return "***"


HIDDEN = _Hidden()


def are_short(args: tuple[Any, ...]) -> bool:
    """Tell whether plain pickle and plain repr do, as for most calls: one look at a few arguments."""
    if len(args) > 7:
        return False
    for value in args:
        kind = type(value)
        if not (kind in _SHORT or (kind is int and -_WIDE < value < _WIDE) or (kind is str and len(value) < 80)):
            return False
    return True


def args_text(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return the arguments as text, at most about 1 KB, without looking at more of them than that."""
    if not kwargs and are_short(args):
        return repr(args)[1:-1].rstrip(",")
    try:
        parts = [_repr.repr(a) for a in args[:20]] + [f"{k}={_repr.repr(v)}" for k, v in list(kwargs.items())[:20]]
    except Interruption:
        raise
    except Exception as error:
        parts = [f"<unprintable: {type(error).__name__}>"]
    return ", ".join(parts)[: envelope.ARGS_REPR_MAX]


def readable(
    args: tuple[Any, ...], kwargs: dict[str, Any], signature: inspect.Signature, sensitive: Sensitive
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with HIDDEN in the place of each that is sensitive, however it was given."""
    if sensitive is True:
        return tuple(HIDDEN for _ in args), dict.fromkeys(kwargs, HIDDEN)
    if not sensitive:
        return args, kwargs
    names = _names_of_positions(signature, len(args))
    shown = tuple(HIDDEN if name in sensitive else value for name, value in zip(names, args, strict=True))
    rest = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), "")
    own = signature.parameters
    return shown, {
        name: HIDDEN if name in sensitive or (name not in own and rest in sensitive) else value for name, value in kwargs.items()
    }


def _names_of_positions(signature: inspect.Signature, count: int) -> list[str]:
    """Return the parameter's name for each of so many positional arguments."""
    parameters = list(signature.parameters.values())
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
    return (names + [rest] * count)[:count]


def check_sensitive(sensitive: Sensitive, signature: inspect.Signature, where: str) -> None:
    """Raise TypeError for a name that is no parameter: the one that was meant would be kept for all to read."""
    if isinstance(sensitive, bool) or any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        return
    for name in sensitive:
        if name not in signature.parameters:
            raise TypeError(f"{where} sensitive= names {name!r}, which is no argument{did_you_mean(name, signature.parameters)}")
