"""Canonical: one text of bytes for all values that are equal, in whatever process; and a digest of it. Pure.

What `unique=True` compares calls by. Pickles do not do: equal values may have others, as dicts by their order, sets by the
hashes of a process, texts by which of them are one object.
"""

from __future__ import annotations

import copyreg
import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

DIGEST_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def digest(bound: inspect.BoundArguments) -> str:
    """Return the same text for all calls with equal arguments, however they were given; of others, another one.

    Args:
        bound: the arguments, defaults included.

    Raises:
        TypeError: of one nobody can tell in another process whether it is equal to another; names it.
    """
    parts = []
    for name, value in bound.arguments.items():
        try:
            parts.append(_sized(b"%b=" % name.encode() + of(value)))
        except TypeError as error:
            raise TypeError(f"argument {name!r} {error}") from None
        except RecursionError:
            raise TypeError(f"argument {name!r} is nested too deeply, or holds itself") from None
    return hashlib.blake2b(b"".join(parts), digest_size=DIGEST_BYTES).hexdigest()


def of(value: Any) -> bytes:
    """Return the bytes that all values equal to this one have; 1, 1.0 and True are one value, lists and tuples are not."""
    make = _PLAIN.get(type(value))
    return _other(value) if make is None else make(value)


def _sized(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)


def _of_number(value: float) -> bytes:
    if isinstance(value, float) and not value.is_integer():
        return b"n%r" % value
    return b"n%x" % int(value)  # in hex: of more than 4,300 digits Python makes no other text


def _of_sequence(letter: bytes, values: Iterable[Any]) -> bytes:
    return letter + b"".join([_sized(of(value)) for value in values])


def _of_set(values: Iterable[Any]) -> bytes:
    return b"S" + b"".join(sorted([_sized(of(value)) for value in values]))


def _of_mapping(values: Mapping[Any, Any]) -> bytes:
    return b"d" + b"".join(sorted([_sized(of(key)) + _sized(of(value)) for key, value in values.items()]))


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"-",
    bool: _of_number,
    int: _of_number,
    float: _of_number,
    str: lambda value: b"s" + _text(value),
    bytes: lambda value: b"b" + value,
    list: partial(_of_sequence, b"l"),
    tuple: partial(_of_sequence, b"t"),
    set: _of_set,
    frozenset: _of_set,
    dict: _of_mapping,
}


def _other(value: Any) -> bytes:
    """Return the bytes of an object: of what pickle would make it of again."""
    if isinstance(value, type | FunctionType | BuiltinFunctionType | MethodType):
        return _of_name(value)
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return b"i" + repr(value - _EPOCH).encode()  # an instant is the same in every zone
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        made = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception as error:
        raise TypeError(f"is, or holds, a {type(value).__qualname__}, which cannot be compared: {error}") from None
    if isinstance(made, str):
        return b"g" + _text(f"{type(value).__module__}.{made}")
    call, args, state, items, pairs = (*made, None, None, None)[:5]
    of_items = b"" if items is None else _of_sequence(b"l", items)
    of_pairs = b"" if pairs is None else _of_mapping(dict(pairs))
    return b"o" + b"".join(map(_sized, (of(call), of(args), of(state), of_items, of_pairs)))


def _of_name(value: Any) -> bytes:
    """Return the bytes of what others import by its name: a class, a function; of a method, with what it is bound to."""
    if "<" in value.__qualname__:
        raise TypeError(f"is, or holds, {value.__qualname__}, which has no name that is the same everywhere")
    owner = getattr(value, "__self__", None)
    if isinstance(value, type) or owner is None or isinstance(owner, ModuleType):
        return b"g" + _text(f"{value.__module__}.{value.__qualname__}")
    return b"m" + _sized(of(owner)) + _text(value.__name__)


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
