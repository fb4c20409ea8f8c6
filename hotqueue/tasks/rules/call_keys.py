"""Keys of calls: templates such as ``"tenant-{id}"``, or callables, and what they make of a call's arguments. Pure.

By such a key calls count together (gates.py), take turns, or are the same. Templates are checked where a task is defined, and
keys where a call is made.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import Any

from hotqueue.hints import did_you_mean

Key = str | Callable[..., Any]
KEY_BYTES = 200  # of a key at most: it becomes a part of names in the store


def check_key(key: Any, what: str) -> Key:
    """Return what may say a key: a template, or a callable that makes one of the arguments."""
    if isinstance(key, str) and key and not is_key(_without_fields(key)):
        raise ValueError(f"{what} makes 1 to {KEY_BYTES} bytes (as UTF-8) without NUL or newline, unlike {key!r:.80}")
    if (isinstance(key, str) and key) or callable(key):
        made: Key = key
        return made
    raise TypeError(f"{what} takes a template such as 'tenant-{{id}}', or a callable of the task's arguments, not {key!r:.80}")


def check_fields(key: Key | None, signature: inspect.Signature, hidden: bool | Iterable[str], what: str) -> None:
    """Raise TypeError for a key that is not one of a task's arguments.

    That is a template that names what is no argument, or one that nobody is to read (keys can be read); a callable that
    does not take what the task takes.

    Args:
        hidden: the arguments that `sensitive=` names, or whether it means all of them.
    """
    if not isinstance(key, str):
        if key is not None:
            _check_takes(key, signature, what)
        return
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in _fields(key, what):
        if name not in signature.parameters and not takes_any:
            raise TypeError(f"{what} names {name!r}, which is no argument{did_you_mean(name, signature.parameters)}")
        if hidden is True or (not isinstance(hidden, bool) and name in hidden):
            raise TypeError(f"{what} names {name!r}, which sensitive= hides, but keys can be read in the store; name another one")


def _check_takes(key: Callable[..., Any], signature: inspect.Signature, what: str) -> None:
    try:
        takes = inspect.signature(key)
    except (TypeError, ValueError):  # some built-ins have none
        return
    parameters = list(signature.parameters.values())
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = {p.name: None for p in parameters if p.kind is p.KEYWORD_ONLY}
    has_more = len(positional) + len(named) < len(parameters)
    try:
        (takes.bind_partial if has_more else takes.bind)(*positional, **named)
    except TypeError as error:
        raise TypeError(f"{what} is called with all arguments of the task, {signature}, and takes {takes}: {error}") from None


def _without_fields(template: str) -> str:
    """Return what all keys of a template have in common; "-" for nothing, or what is no template."""
    try:
        return "".join(text for text, *_ in Formatter().parse(template)) or "-"
    except ValueError:
        return "-"  # `check_fields` says so


def _fields(template: str, what: str) -> list[str]:
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ValueError(f"{what} is no template: {template!r:.80}: {error}") from None
    names = [re.split(r"[.\[]", field)[0] for field in fields]
    if not all(name.isidentifier() for name in names):
        raise ValueError(f"{what} names its arguments, such as 'tenant-{{id}}', unlike {template!r:.80}")
    return names


def key_of(key: Key, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any], what: str) -> bytes:
    """Return the key of a call.

    Args:
        key: what makes it of the bound arguments, defaults included.
        what: how to name the option in an error, such as "shop.mail: fair_key=".

    Raises:
        TypeError, ValueError: the arguments make no key.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    made = key(*bound.args, **bound.kwargs) if callable(key) else _filled(key, bound, what)
    if not isinstance(made, str):
        raise TypeError(f"{what} makes a str of the arguments, not {made!r:.80}")
    if not is_key(made):
        raise ValueError(f"{what} makes 1 to {KEY_BYTES} bytes (as UTF-8) without NUL or newline, not {made!r:.80}")
    return made.encode()


def is_key(made: str) -> bool:
    """Tell whether a call can have such a key."""
    try:
        return 0 < len(made.encode()) <= KEY_BYTES and not {"\n", "\0"} & set(made)
    except UnicodeEncodeError:
        return False


def _filled(template: str, bound: inspect.BoundArguments, what: str) -> str:
    values = dict(bound.arguments)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            values.update(values.pop(parameter.name, {}))
    try:
        return template.format_map(values)
    except (LookupError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f"{what} cannot be made of {template!r:.80}: {type(error).__name__}: {error}") from None
