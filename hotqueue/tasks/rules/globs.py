r"""Globs: names of queues for a worker that have ``*``, ``?`` or ``[abc]`` in them, and stand for all queues that match. Pure.

As in a shell, and in Redis: ``[a-c]`` is a range, ``[!a]`` or ``[^a]`` all but that. A backslash takes its meaning from the
character behind it: ``a\*`` is the queue ``a*``. A ``[`` that nothing closes is a character like others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from hotqueue.errors import ConfigError

_SPECIAL = "*?[]\\"


def is_glob(name: str) -> bool:
    """Tell whether a name stands for all queues that match."""
    return any(_is_set(token) or token in ("*", "?") for token in _tokens(name))


def literal(name: str) -> str:
    """Return the queue that a name without a glob in it means."""
    return "".join(token[-1] for token in _tokens(name))


def matches(glob: str, queue: str) -> bool:
    """Tell whether a queue is one of those that a glob stands for."""
    return _pattern(glob).fullmatch(queue) is not None


def first_match(names: Iterable[str], queue: str) -> str | None:
    """Return by which of some names and globs a queue is meant: by its own, else by the first glob; None by none."""
    globs = []
    for name in names:
        if is_glob(name):
            globs.append(name)
        elif literal(name) == queue:
            return name
    return next((glob for glob in globs if matches(glob, queue)), None)


def weight_of(weights: Mapping[str, int], queue: str) -> int:
    """Return how many turns a queue has, where some names and globs have a weight; 1 if none means it."""
    name = first_match(weights, queue) if weights else None
    return 1 if name is None else weights[name]


def check(glob: str, what: str) -> None:
    """Raise ConfigError for a range that runs backwards, such as ``[9-0]``: no queue could match."""
    for token in _tokens(glob):
        for first, last in _ranges(token) if _is_set(token) else ():
            if first > last:
                raise ConfigError(f"{what}: the range {first}-{last} runs backwards; turn it round, or put the - first")


def in_redis(glob: str) -> str:
    """Return a glob as Redis's SCAN takes it, with ``*`` for all that Redis reads otherwise (it has bytes, no characters).

    What it finds beyond is for `matches`.
    """
    return "".join("*" if token == "?" or _is_set(token) else token for token in _tokens(glob, for_redis=True))


def example(glob: str) -> str:
    """Return a queue's name that, but for what is in brackets, matches a glob."""
    return "".join(
        "" if token == "*" else "x" if token == "?" else token[-1] if token[0] != "[" else token[1] for token in _tokens(glob)
    )


def _tokens(name: str, for_redis: bool = False) -> Iterator[str]:
    """Yield the parts of a glob: ``*``, ``?``, what is in brackets, and characters, with a backslash where they are meant so."""
    at = 0
    while at < len(name):
        character = name[at]
        if character == "\\" and name[at + 1 : at + 2] and name[at + 1] in _SPECIAL:
            yield name[at : at + 2]
            at += 2
        elif character == "[" and (end := name.find("]", at + 2)) > 0:
            yield name[at : end + 1]
            at = end + 1
        else:
            is_special = character in "*?"
            yield character if is_special or not for_redis or character not in _SPECIAL else "\\" + character
            at += 1


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile("".join(map(_expression, _tokens(glob))), re.DOTALL)


def _expression(token: str) -> str:
    if token == "*":
        return ".*"
    if token == "?":
        return "."
    if _is_set(token):
        spans = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in _ranges(token))
        return f"[^{spans}]" if _is_negated(token) else f"[{spans}]"
    return re.escape(token[-1])


def _is_set(token: str) -> bool:
    return len(token) > 1 and token[0] == "["


def _is_negated(token: str) -> bool:
    return token[1] in "!^" and len(token) > 3


def _ranges(token: str) -> list[tuple[str, str]]:
    """Return first and last character of each range in brackets; a character alone is a range of one."""
    inside = token[2:-1] if _is_negated(token) else token[1:-1]
    found = re.findall(r"(.)-(.)|(.)", inside, re.DOTALL)
    return [(one, one) if one else (first, last) for first, last, one in found]
