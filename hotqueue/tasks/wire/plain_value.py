"""PlainValue: a pickled value of plain data (numbers, texts, bytes, lists, tuples, sets, dicts) as text, without unpickling it.

What names a class, a function or anything else that would have to be imported is not plain: of that there is no text. So nothing
that stands in the store can make whoever looks at it run anything.
"""

from __future__ import annotations

import io
import pickletools
import reprlib
from collections.abc import Callable
from typing import Any

from hotqueue.errors import Interruption

MOST_OPCODES = 20_000
_MARK = object()
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_GIVEN = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"} | {
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")
}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Shorten(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 400
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 20


_repr = _Shorten().repr


def plain_text(data: bytes) -> str | None:
    """Return a pickled value as text, at most some KB; None where it is not plain, or cut."""
    try:
        return _repr(_value(data))
    except Interruption:
        raise
    except Exception:  # whatever stands there
        return None


def _value(data: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
        if count > MOST_OPCODES:
            raise ValueError("too long to be read here")
        if opcode.name == "STOP":
            (value,) = stack
            return value
        _carry_out(opcode.name, argument, stack, memo)
    raise ValueError("cut")


def _carry_out(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in ("PROTO", "FRAME"):
        return
    if name == "MARK":
        stack.append(_MARK)
    elif name in _GIVEN:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _EMPTY:
        stack.append(_EMPTY[name]())
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    else:
        _put_together(name, stack)


def _put_together(name: str, stack: list[Any]) -> None:
    if name in _TUPLES:
        count = _TUPLES[name]
        stack[-count:] = [tuple(stack[-count:])]
    elif name in ("TUPLE", "FROZENSET"):
        parts = _since_mark(stack)
        stack.append(tuple(parts) if name == "TUPLE" else frozenset(parts))
    elif name in ("APPEND", "APPENDS"):
        parts = _since_mark(stack) if name == "APPENDS" else [stack.pop()]
        stack[-1].extend(parts)
    elif name in ("SETITEM", "SETITEMS"):
        parts = _since_mark(stack) if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
        stack[-1].update(zip(parts[::2], parts[1::2], strict=True))
    elif name == "ADDITEMS":
        parts = _since_mark(stack)
        stack[-1].update(parts)
    else:
        raise ValueError(f"{name} is not plain")


def _since_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1 - next(n for n, each in enumerate(reversed(stack)) if each is _MARK)
    parts = stack[at + 1 :]
    del stack[at:]
    return parts
