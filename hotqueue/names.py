"""Names of queues: what one may be, and which queue a key belongs to. No I/O.

Which keys there are: keys.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hotqueue.errors import ConfigError
from hotqueue.utf8 import raw

PREFIX = "hotqueue:"
_PLAIN, _TAGGED = PREFIX.encode(), f"{{{PREFIX}".encode()


def check_name(name: object, what: str = "a queue's name") -> str:
    """Return `name` when it can be a queue's name, else raise ConfigError, which calls it `what` ("queue=", say).

    A brace would move the hash tag, and with it the queue's keys, to other Cluster slots. That no name has one is also what
    lets ``clicks{3}`` mean a partition of "clicks".
    """
    if not isinstance(name, str) or not name:
        its_name = getattr(name, "name", None)  # of a HotQueue
        hint = f"; did you mean {its_name!r}?" if isinstance(its_name, str) else ""
        raise ConfigError(f"{what} is a non-empty str, not {name!r:.80}{hint}")
    if part := re.fullmatch(r"([^{}]+)\{\d*\}", name):
        raise ConfigError(f"{what} is {name!r:.80}, as a part of queue {part[1]!r:.80} is to be called; name the queue itself")
    if "{" in name or "}" in name:
        raise ConfigError(f"{what} may not contain {{ or }}: {name!r:.80}; choose another name")
    try:
        raw(name)
    except UnicodeEncodeError:
        raise ConfigError(f"{what} cannot be written as UTF-8: {name!r:.80}; choose another name") from None
    return name


def key_of(name: str, thing: str) -> str:
    """Return the key of a queue under which something of it is kept."""
    return f"{{{PREFIX}{name}}}:{thing}"


def name_of(key: str) -> str:
    """Return the name of the queue that a key belongs to; empty for a key that is none of ours."""
    if key.startswith(PREFIX):
        return key.removeprefix(PREFIX)
    if key.startswith(f"{{{PREFIX}") and "}:" in key:
        return key.removeprefix(f"{{{PREFIX}").partition("}:")[0]
    return ""


def names_of(keys: Iterable[bytes]) -> set[str]:
    """Return the names of the queues that many keys belong to, as `name_of` has each; of what is none of ours nothing."""
    found: set[bytes] = set()
    for key in keys:
        if key.startswith(_TAGGED):
            name, has_end, _ = key[len(_TAGGED) :].partition(b"}:")
            if has_end:
                found.add(name)
        elif key.startswith(_PLAIN):
            found.add(key[len(_PLAIN) :])
    return {name.decode(errors="replace") for name in found if name}
