"""Unique: by which key a task is the only one of its kind, for how long, and what becomes of a second one. Pure.

It travels with its call as a text that Lua reads: ``ie60000 shop.price:user-7``: the second one is ignored, until the first has
ended, for 60,000 ms at most, under that key. What scripts make of it is in broker/lua/shared/unique.lua; why it is so, in
docs/decisions/0053.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hotqueue.hints import did_you_mean
from hotqueue.tasks.rules import call_keys, canonical

OPTIONS = ("unique_for", "unique_until", "on_conflict")
ON_CONFLICT = {"raise": "r", "ignore": "i", "replace": "p"}  # as users say it → on the wire
UNTIL = {"ended": "e", "started": "s"}
_WORDS = {letter: word for word, letter in (*ON_CONFLICT.items(), *UNTIL.items())}
UNIQUE = re.compile(rb"([rip])([es])([0-9]*) ([^\n]+)")


class Read(NamedTuple):
    """What a call says.

    Attributes:
        on_conflict: what becomes of the second one: "raise", "ignore", "replace".
        until: "ended" or "started".
        for_ms: for how long at most; 0 for as long as that takes.
        key: with the task's name in front.
    """

    on_conflict: str
    until: str
    for_ms: int
    key: str


def check(given: dict[str, Any], where: str) -> None:
    """Check what options say of it, in place; False and None are no key.

    Raises:
        TypeError, ValueError: the value is none that they take.
    """
    if "unique" in given:
        given["unique"] = _checked_key(given["unique"], f"{where} unique=")
    for name, known in (("unique_until", UNTIL), ("on_conflict", ON_CONFLICT)):
        if name in given and not (isinstance(given[name], str) and given[name] in known):
            value = given[name]
            is_text, all_but_last, last = isinstance(value, str), [*known][:-1], [*known][-1]
            raise (ValueError if is_text else TypeError)(
                f"{where} {name}= takes {', '.join(map(repr, all_but_last))} or {last!r}, not {value!r:.80}"
                + (did_you_mean(value, known) if is_text else "")
            )
    if given.get("unique_for") == 0:
        raise ValueError(f"{where} unique_for= is 0, but a task is there for some time; None is as long as it is there")


def _checked_key(key: Any, what: str) -> call_keys.Key | bool:
    if key is None or isinstance(key, bool):
        return bool(key)
    if (isinstance(key, str) and key) or callable(key):
        return call_keys.check_key(key, what)
    raise TypeError(
        f"{what} takes True, a template such as 'user-{{id}}', or a callable of the task's arguments, not {key!r:.80}"
    )


def of_call(
    key: call_keys.Key | bool,
    on_conflict: str,
    until: str,
    seconds: float | None,
    name: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> bytes:
    """Return what a call says of it.

    Args:
        key: the option `unique`.
        seconds: for how long at most.
        name: of the task.

    Raises:
        TypeError, ValueError: the arguments make no key.
    """
    what = f"{name}: unique="
    if isinstance(key, bool):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        try:
            made = b"(%b)" % canonical.digest(bound).encode()
        except TypeError as error:
            raise TypeError(
                f"{what}True compares the arguments of calls, but {error}; name what counts: unique='…{{id}}'"
            ) from None
    else:
        made = b":" + call_keys.key_of(key, signature, args, kwargs, what)
    ms = b"" if seconds is None else b"%d" % max(1, int(seconds * 1000))
    return b"%b%b%b %b%b" % (ON_CONFLICT[on_conflict].encode(), UNTIL[until].encode(), ms, name.encode(), made)


def read(text: bytes) -> Read | None:
    """Return what a call's text says; None for one of a form that is not known here."""
    found = UNIQUE.fullmatch(text)
    if found is None:
        return None
    mode, until, ms, key = found.groups()
    return Read(_WORDS[mode.decode()], _WORDS[until.decode()], int(ms or 0), key.decode("utf-8", "replace"))


def shown(name: str, key: str) -> str:
    """Return a key as people know it."""
    own = key.removeprefix(name)
    return f"the unique key {own[1:]!r}" if own.startswith(":") else "the same arguments"
