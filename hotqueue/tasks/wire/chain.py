"""An exception with its causes, contexts and members ↔ tuples of plain values; pickles with what it is given.

What was put together is compared with what was raised, and a stand-in takes the place of what is not like it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from hotqueue import moved
from hotqueue.errors import Interruption, RemoteError
from hotqueue.tasks.wire.exceptions import (
    FAULTS,
    MESSAGE_MAX,
    apart,
    class_path,
    has_own_rules,
    is_command,
    message_of,
    stand_in,
    take,
    together,
)

SIZE_MAX = 1_000_000  # bytes of one exception's values, and about that of a chain's
CHAIN_MAX = 1_000  # exceptions that travel with one another
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")

Dumps = Callable[[Any], bytes]
Loads = Callable[[bytes], Any]


class _Sent(NamedTuple):
    """One exception on its way.

    Attributes:
        kind: its class.
        own: itself, by the rules of its class; empty if that has none.
        parts: its args, fields and attributes, as far as they can travel.
        left_out: the names of those that cannot.
        cause, context, members: numbers of exceptions on the same way; -1 for none.
        label: the message of a group, without the count.
    """

    path: str
    message: str
    kind: bytes
    own: bytes
    parts: bytes
    left_out: tuple[str, ...]
    cause: int
    context: int
    suppress: bool
    label: str
    members: tuple[int, ...]


def taken_apart(error: BaseException, dumps: Dumps, loads: Loads) -> list[tuple[Any, ...]]:
    """Return an exception, its causes, contexts and members as tuples of plain values; itself first."""
    found = _connected(error)
    numbers = {id(one): number for number, one in enumerate(found)}
    sent: list[tuple[Any, ...]] = []
    left = SIZE_MAX
    for one in found:
        kind = _dumped(type(one), dumps, left)
        has_rules = has_own_rules(type(one))
        own = _dumped(one, dumps, left) if has_rules else b""
        parts, left_out = _parts(one, dumps, loads, left)
        if has_rules:
            left_out = () if own else (*left_out, "what its class has pickle do")
        message = message_of(one)[: max(200, left)]
        left -= len(kind) + len(own) + len(parts) + len(message)
        members = tuple(numbers[id(m)] for m in _members(one) if id(m) in numbers)
        links = numbers.get(id(one.__cause__), -1), numbers.get(id(one.__context__), -1), one.__suppress_context__
        label = str(one.message)[:MESSAGE_MAX] if isinstance(one, BaseExceptionGroup) else ""
        sent.append(tuple(_Sent(class_path(one), message, kind, own, parts, left_out, *links, label, members)))
    return sent


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _connected(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it leads to, the nearest first; they may go round in a circle."""
    found, seen = [error], {id(error)}
    for one in found:
        for other in (*_members(one), one.__cause__, one.__context__):
            if other is not None and id(other) not in seen and len(found) < CHAIN_MAX:
                seen.add(id(other))
                found.append(other)
    return found


def _dumped(value: Any, dumps: Dumps, limit: int) -> bytes:
    """Return a value as bytes; none if it cannot travel."""
    try:
        data = dumps(value)
    except Interruption:
        raise
    except FAULTS:
        return b""
    return data if len(data) <= limit else b""


def _parts(error: BaseException, dumps: Dumps, loads: Loads, limit: int) -> tuple[bytes, tuple[str, ...]]:
    """Return the parts of an exception that can travel, and the names of the others."""
    args, fields, attributes = apart(error)
    data = _travelling((args, fields, attributes), dumps, loads, limit)
    if data:
        return data, ()

    def kept(some: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in some.items() if _travelling(value, dumps, loads, limit // 4)}

    args = args if args is None or _travelling(args, dumps, loads, limit // 4) else None
    parts = args, kept(fields), kept(attributes)
    left_out = sorted({*fields, *attributes} - {*parts[1], *parts[2]})
    return _travelling(parts, dumps, loads, limit), tuple(left_out) if left_out else ("args",)


def _travelling(value: Any, dumps: Dumps, loads: Loads, limit: int) -> bytes:
    """Return a value as bytes; none if it cannot travel, or cannot be made again: some pickle all the same."""
    data = _dumped(value, dumps, limit)
    return data if data and _is_loadable(data, loads) else b""


def _is_loadable(data: bytes, loads: Loads) -> bool:
    try:
        loads(data)
    except Interruption:
        raise
    except FAULTS:
        return False
    return True


def put_together(sent: list[tuple[Any, ...]], trace: str, loads: Loads) -> Exception:
    """Return the first exception of `sent`, connected with the others as they were.

    Args:
        trace: its traceback as text, for a stand-in.
    """
    entries = [_Sent(moved.today(path), *more) for path, *more in sent]
    made: dict[int, Exception] = {}
    for number in range(len(entries)):
        _make(number, entries, made, trace, loads)
    for number, entry in enumerate(entries):
        for name, link in (("__cause__", entry.cause), ("__context__", entry.context)):
            if link >= 0:
                object.__setattr__(made[number], name, made[link])
        object.__setattr__(made[number], "__suppress_context__", entry.suppress)
    return made[0]


def _make(number: int, entries: list[_Sent], made: dict[int, Exception], trace: str, loads: Loads) -> Exception:
    """Make one of the exceptions, after the members that it has."""
    if number not in made:
        members = [_make(member, entries, made, trace, loads) for member in entries[number].members]
        made[number] = _made(entries[number], members, "" if number else trace, loads)
    return made[number]


def _made(entry: _Sent, members: list[Exception], trace: str, loads: Loads) -> Exception:
    """Return one exception: by its own rules, or from its parts, whichever is like the original; else what stands in for it."""
    parts: tuple[Any, dict[str, Any], dict[str, Any]] = _loaded(entry.parts, loads) or (None, {}, {})
    args, fields, attributes = parts
    found = _by_own_rules(entry, args, attributes.get("__notes__"), loads)
    if found is not None:
        return found
    kind = _loaded(entry.kind, loads)
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        return RemoteError(entry.path, entry.message, trace)
    group = (entry.label, members) if members and issubclass(kind, BaseExceptionGroup) else ()
    if group and not issubclass(kind, Exception):
        return stand_in(ExceptionGroup, entry.path, entry.message, trace, group=group)
    if is_command(kind):
        return RemoteError(entry.path, entry.message, trace)
    if not entry.left_out and (args is not None or group):
        try:
            error: Any = together(kind, args, fields, group)
            take(error, attributes)
            if _is_like(error, entry):
                return error  # type: ignore[no-any-return]
        except Interruption:
            raise
        except FAULTS:
            pass
    return _noted(stand_in(kind, entry.path, entry.message, trace, fields, attributes, group), entry.left_out)


def _by_own_rules(entry: _Sent, args: Any, notes: Any, loads: Loads) -> Exception | None:
    error = None if entry.left_out else _loaded(entry.own, loads)
    try:
        if not isinstance(error, Exception) or not _is_like(error, entry) or (args is not None and error.args != args):
            return None
        take(error, {} if notes is None else {"__notes__": notes})
    except Interruption:
        raise
    except FAULTS:
        return None
    return None if is_command(type(error)) else error


def _noted(error: RemoteError, left_out: tuple[str, ...]) -> RemoteError:
    if left_out:
        note = f"Left in the worker, as it cannot travel: {', '.join(left_out)}"
        take(error, {"__notes__": [*getattr(error, "__notes__", ()), note]})
    return error


def _loaded(data: bytes, loads: Loads) -> Any:
    try:
        return loads(data) if data else None
    except Interruption:
        raise
    except FAULTS:  # a class that this process does not have, or has otherwise
        return None


def _is_like(error: BaseException, entry: _Sent) -> bool:
    """Tell whether what was made is named, and says, as what was raised; but for addresses, which change with the process."""
    said, message = message_of(error), entry.message
    return class_path(error) == entry.path and _ADDRESS.sub("0x", said) == _ADDRESS.sub("0x", message)
