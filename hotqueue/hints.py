"""What somebody who mistyped a name probably meant; what to type next. Imports nothing of hotqueue."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def did_you_mean(name: str, known: Iterable[str], before: str = "", cutoff: float = 0.6) -> str:
    """Return ``; did you mean 'x'?`` for the known name that is nearest, or nothing: the end of a message.

    Args:
        before: what to put before the name, such as the package of a module.
        cutoff: how near it has to be, from 0 to 1.
    """
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {before + near[0]!r}?" if near else ""


def shell_command(*words: str) -> str:
    """Return a command of this Python's packages as it can be pasted into a shell: ``hotqueue embedded repair 'my file.rdb'``.

    Args:
        words: the command's name and its arguments. The name gets its folder where the shell would find none, or another one.
    """
    import shlex
    import shutil

    ours = os.path.join(os.path.dirname(sys.executable or ""), words[0])
    found = shutil.which(words[0])
    is_ours = found is not None and os.path.exists(ours) and os.path.samefile(found, ours)
    name = ours if os.path.exists(ours) and not is_ours else words[0]
    return shlex.join([name, *words[1:]])


def hinting(function: F) -> F:
    """Have a method name the nearest known keyword when it is given an unknown one (Python itself does so from 3.13 on)."""
    known = frozenset(inspect.signature(function).parameters) - {"self"}

    def refuse(given: dict[str, Any]) -> None:
        name = next(name for name in given if name not in known)
        hint = did_you_mean(name, known) or f"; known are {', '.join(sorted(known))}"
        raise TypeError(f"{function.__name__}() got an unknown option {name!r}{hint}")

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if not known.issuperset(kwargs):
            refuse(kwargs)
        return function(*args, **kwargs)

    @functools.wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if not known.issuperset(kwargs):
            refuse(kwargs)
        return await function(*args, **kwargs)

    return awaited if inspect.iscoroutinefunction(function) else called  # type: ignore[return-value]


def check_flag(value: Any, what: str) -> bool:
    """Return `value` when it is True or False.

    Raises:
        TypeError: it is not; a number in the place of a flag is most often meant for the option after it.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{what} takes True or False, not {value!r:.80}")
    return value
