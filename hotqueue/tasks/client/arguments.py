"""A call's arguments: the signature they must fit, what is refused, and the text that people see. Pure.

Whoever can look at the store or at a log reads this text, though not the pickle. So it is short, and `sensitive=` of a task
leaves out what is nobody's affair; the value itself travels like any other.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from hotqueue.errors import Interruption
from hotqueue.hints import did_you_mean
from hotqueue.tasks.rules.options import OF_THE_CALL, PER_CALL
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.functions import is_in_class

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


# --- what is refused ---------------------------------------------------------------------------------------------------


def signature_of(function: Callable[..., Any], bind: bool) -> inspect.Signature:
    """Return the signature that calls must fit: without the task itself, where `bind` has it go in front."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-ins have none: accept anything
        return inspect.Signature(
            [
                inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
                inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
            ]
        )
    if not bind:
        return signature
    parameters = list(signature.parameters.values())
    if not parameters:
        raise TypeError("a task with bind=True gets itself as its first argument, but the function takes none")
    return signature.replace(parameters=parameters[1:])


def positional_counts(signature: inspect.Signature) -> tuple[int, float]:
    """Return the least and the most positional arguments of a call without keywords, so that most calls need no bind()."""
    least, most = 0, 0.0
    for parameter in signature.parameters.values():
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            most = float("inf")
        elif parameter.kind is parameter.KEYWORD_ONLY and required:
            return 1, 0  # never enough: always look closely
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += required
    return least, most


def check_fit(
    name: str, function: Callable[..., Any], signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise TypeError unless a task can be called with these arguments; says what is meant by what does not fit."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        why = _unknown_argument(signature, kwargs) or _lost_class(function, signature, args) or error
        raise TypeError(f"{name}{signature} cannot be called like this: {why}") from None


def _unknown_argument(signature: inspect.Signature, kwargs: dict[str, Any]) -> str:
    """Say which keyword is none of the function's, before what is missing for want of it."""
    known = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        return ""
    for name in kwargs:
        if name in known or not isinstance(name, str):
            continue
        if name in PER_CALL | OF_THE_CALL:
            return f"it has no argument {name!r}; an option of the call goes into apply_async(args, kwargs, {name}=…)"
        return f"it has no argument {name!r}{did_you_mean(name, known)}"
    return ""


def _lost_class(function: Callable[..., Any], signature: inspect.Signature, args: tuple[Any, ...]) -> str:
    """Say what is wrong with a class method that got no class: from Python 3.13 on, `classmethod` does not bind tasks."""
    first = next(iter(signature.parameters), "")
    if first != "cls" or not is_in_class(function) or (args and isinstance(args[0], type)):
        return ""
    return "it got no class; write @queue.task above @classmethod"


def refuse_as_options(signature: inspect.Signature, options: Mapping[str, Any], where: str) -> None:
    """Raise TypeError for an option that is an argument of the function."""
    for name in options:
        if name in signature.parameters and name not in PER_CALL | OF_THE_CALL:
            raise TypeError(f"{where} got an unknown option {name!r}: the task has it, write kwargs={{{name!r}: …}}")


def checked_args(args: Any, where: str, is_secret: bool) -> tuple[Any, ...]:
    """Return the positional arguments; one that stands alone would be taken apart, or fail further down."""
    if args is None:
        return ()
    if isinstance(args, str | bytes | bytearray | Mapping | Set) or not isinstance(args, Iterable):
        shown = repr(HIDDEN) if is_secret else f"{args!r:.80}"
        hint = f"kwargs={shown}" if isinstance(args, Mapping) else f"args=({shown},)"
        raise TypeError(f"{where} takes a tuple or list of arguments, not {shown}; did you mean {hint}?")
    return tuple(args)


def checked_items(items: Any, where: str, is_secret: bool) -> Iterable[Any]:
    """Return what `map` sends, one call each; a text is hardly meant."""
    if isinstance(items, str | bytes | bytearray) or not isinstance(items, Iterable):
        also = "; list(…) of it for one call a character" if isinstance(items, str) else ""
        shown = repr(HIDDEN) if is_secret else f"{items!r:.80}"
        raise TypeError(f"{where} takes the items, one call each, not {shown}; did you mean map([{shown}])?{also}")
    return items


def checked_kwargs(kwargs: Any, where: str, is_secret: bool) -> dict[str, Any]:
    """Return the keyword arguments."""
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping):
        shown = repr(HIDDEN) if is_secret else f"{kwargs!r:.80}"
        raise TypeError(f"{where} kwargs= takes a dict of the task's keyword arguments, not {shown}")
    return dict(kwargs)
