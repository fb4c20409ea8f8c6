r"""Globs: names of queues for a worker that have ``*``, ``?`` or ``[abc]`` in them, and stand for all queues that match. Pure.

As in a shell, and in Redis: ``[a-c]`` is a range, ``[!a]`` or ``[^a]`` all but that. A backslash takes its meaning from the
character behind it: ``a\*`` is the queue ``a*``. A ``[`` that nothing closes is a character like others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

_SPECIAL = "*?[]\\"


def is_glob(name: str) -> bool:
    """Tell whether a name stands for all queues that match."""
    return any((len(token) > 1 and token[0] == "[") or token in ("*", "?") for token in _tokens(name))


def literal(name: str) -> str:
    """Return the queue that a name without a glob in it means."""
    return "".join(token[-1] for token in _tokens(name))


def escaped(queue: str) -> str:
    """Return what `literal` makes a queue's name of."""
    return re.sub(r"[*?\[\]\\]", r"\\\g<0>", queue)


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


def in_redis(glob: str) -> str:
    """Return a glob as Redis's SCAN takes it; what it finds beyond is for `matches`."""
    return "".join(
        "[^" + token[2:] if token.startswith("[!") and len(token) > 2 else token for token in _tokens(glob, for_redis=True)
    )


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
    if len(token) > 1 and token[0] == "[":
        inside = re.sub(r"([\\\[&~|])", r"\\\1", token[1:-1])
        return "[^" + inside[1:] + "]" if inside[0] in "!^" and len(inside) > 1 else f"[{inside}]"
    return re.escape(token[-1])
