"""One exception: as text, taken apart, and made again without its `__init__`; and what stands in for it. Pure.

A `RemoteError` stands in for what cannot be put together, and is of the original's class as well. What Python takes for a
command to stop (SystemExit, StopIteration …) is described, and never made again: it must not be raised in another process.
"""

from __future__ import annotations

import copyreg
import traceback
import types
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from hotqueue.errors import RemoteError
from hotqueue.tasks.wire import main_module

MESSAGE_MAX = 10_000
TRACEBACK_MAX = 100_000
_RULES = ("__reduce__", "__reduce_ex__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
_ARGS, _TRACE = BaseException.__dict__["args"], BaseException.__dict__["__traceback__"]
FAULTS = (Exception, SystemExit)  # what a user's code may answer with, where we call it: a pickle can call anything


# --- as text -----------------------------------------------------------------------------------------------------


def class_path(error: BaseException) -> str:
    """Return ``module.Class`` as a worker would call it, without the module for built-ins."""
    kind = type(error)
    if kind.__module__ in main_module.MAINS and (found := main_module.named(kind)):
        return ".".join(found)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """Return ``str(error)``, whatever it does."""
    try:
        text = str(error)
    except BaseException as inner:
        text = f"<its __str__ raised {type(inner).__name__}>"
    return shortened(text)


def shortened(text: str) -> str:
    """Return a text cut at MESSAGE_MAX."""
    return text if len(text) <= MESSAGE_MAX else text[:MESSAGE_MAX] + "…"


def format_traceback(error: BaseException, skip: int = 0) -> str:
    """Return the traceback as text, at most 100 KB: the beginning, and the end, where the error itself is."""
    trace = _TRACE.__get__(error)  # its class may say otherwise
    for _ in range(skip):
        trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
    try:
        text_of = traceback.TracebackException(type(error), error, trace, compact=True)
        _shorten(text_of)
        text = "".join(text_of.format())
    except BaseException as inner:  # an exception whose __str__ raises
        text = f"{class_path(error)}: <its traceback cannot be formatted: {type(inner).__name__}>\n"
    half = TRACEBACK_MAX // 2
    return text if len(text) <= TRACEBACK_MAX else f"{text[:half]}…\n{text[-half:]}"


def _shorten(outermost: traceback.TracebackException) -> None:
    """Cut what the errors of a chain say, before text is made of it: they may say half a gigabyte."""
    waiting: list[traceback.TracebackException | None] = [outermost]
    while waiting:
        one = waiting.pop()
        if one is not None:
            one._str = shortened(one._str)  # type: ignore[attr-defined]
            waiting += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]


# --- one exception: apart, and together --------------------------------------------------------------------------


def _fields(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what instances have outside of `__dict__`: slots, and what built-in exceptions keep in C (errno, code, name …)."""
    for base in kind.__mro__:
        if base in (BaseException, BaseExceptionGroup, object):  # read and set otherwise
            continue
        for name, field in vars(base).items():
            is_field = isinstance(field, types.MemberDescriptorType | types.GetSetDescriptorType)
            if is_field and name not in ("__dict__", "__weakref__") and (base, name) != (AttributeError, "obj"):
                yield name, field  # AttributeError.obj may be as large as the program: Python does not pickle it either


def apart(error: BaseException) -> tuple[tuple[Any, ...] | None, dict[str, Any], dict[str, Any]]:
    """Return the args, fields and attributes of an exception; None for args that are a group's message and members."""
    fields: dict[str, Any] = {}
    for name, field in _fields(type(error)):
        try:
            value = field.__get__(error)
        except AttributeError:
            continue
        if value is not None:  # unset, in C
            fields.setdefault(name, value)
    args = _ARGS.__get__(error)
    is_of_group = isinstance(error, BaseExceptionGroup) and len(args) == 2 and args[0] is error.message
    return None if is_of_group else args, fields, dict(error.__dict__)


def together(kind: type, args: tuple[Any, ...] | None, fields: dict[str, Any], group: tuple[Any, ...] = ()) -> BaseException:
    """Return an exception as its parts say; its `__init__` and `__new__` are not called.

    Args:
        args: its own; None for a group's message and members.
        group: the message and the members of an exception group.

    Raises:
        TypeError: its class cannot be made like this.
    """
    error = _bare(kind, *group)
    if args is not None:
        _ARGS.__set__(error, args)
    for name, field in _fields(kind):
        if name in fields:
            try:
                field.__set__(error, fields[name])
            except (AttributeError, TypeError):  # read-only
                pass
    return error


def _bare(kind: type, *given: Any) -> BaseException:
    for base in kind.__mro__:
        make = vars(base).get("__new__")
        if isinstance(make, types.BuiltinFunctionType):
            try:
                return make(kind, *given)  # type: ignore[no-any-return]
            except TypeError:  # that of another base has to be used
                continue
    raise TypeError(f"no {kind.__qualname__} can be made without its __init__")


def _group(error: BaseException) -> tuple[Any, ...]:
    return (error.message, error.exceptions) if isinstance(error, BaseExceptionGroup) else ()


def take(error: BaseException, attributes: dict[str, Any]) -> None:
    error.__dict__.update(attributes)


def has_own_rules(kind: type) -> bool:
    """Tell whether the author of a class said how it is pickled."""
    own = (base for base in kind.__mro__ if base.__module__ != "builtins")
    return kind in copyreg.dispatch_table or any(rule in vars(base) for base in own for rule in _RULES)


def reduced(error: BaseException) -> Any:
    """Return what pickle is to do with an exception among values: the same, where its class does not say otherwise."""
    if type(error).__module__ == "builtins" or has_own_rules(type(error)):
        return NotImplemented
    args, fields, attributes = apart(error)
    return together, (type(error), args, fields, _group(error)), attributes, None, None, take


# --- what stands in for one --------------------------------------------------------------------------------------


class _StandIn(RemoteError):
    """Base of those remote errors that are of the original's class as well."""

    stands_for: type

    def __init_subclass__(cls, **_options: Any) -> None:
        """Keep the original's class from taking note of another subclass."""

    __repr__ = BaseException.__repr__

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        _, fields, attributes = apart(self)
        return stand_in, (self.stands_for, *self.args, fields, attributes, _group(self))


@lru_cache(200)
def stand_in_class(kind: type) -> type[RemoteError]:
    """Return the RemoteError that ``except kind`` catches; the plain one, where there can be no such class."""

    def fill(namespace: dict[str, Any]) -> None:
        namespace.update(__module__=RemoteError.__module__, __qualname__=RemoteError.__qualname__, stands_for=kind)

    try:
        made = types.new_class(RemoteError.__name__, (_StandIn, kind), exec_body=fill)
    except Exception:  # a class that is final, or laid out otherwise, or has a metaclass that objects
        return RemoteError
    return made if issubclass(made, RemoteError) else RemoteError


def stand_in(
    kind: type,
    path: str,
    message: str,
    trace: str,
    fields: dict[str, Any] | None = None,
    attributes: dict[str, Any] | None = None,
    group: tuple[Any, ...] = (),
) -> RemoteError:
    """Return a RemoteError with what is left of the original."""
    made = stand_in_class(kind)
    if made is not RemoteError:
        try:
            error = together(made, (path, message, trace), fields or {}, group)
            take(error, attributes or {})
            assert isinstance(error, RemoteError)
            return error
        except Exception:  # whatever the original's class does to its instances
            pass
    return RemoteError(path, message, trace)


def reduced_class(kind: type) -> Any:
    """Return what pickle is to do with the class of a stand-in."""
    stands_for = kind.__dict__.get("stands_for")
    return NotImplemented if stands_for is None else (stand_in_class, (stands_for,))


def _call_by_public_names(**functions: Any) -> None:
    """Have pickles of exceptions among values call these by names of `hotqueue.tasks`, wherever this file goes."""
    for name, function in functions.items():
        function.__module__, function.__qualname__ = "hotqueue.tasks", name


_call_by_public_names(make_exception=together, set_attributes=take, make_stand_in=stand_in, make_class_of_stand_in=stand_in_class)


def is_command(kind: type) -> bool:
    """Tell whether Python takes it for a command, not for an error: raised from `get`, it would end the caller or a loop."""
    return not issubclass(kind, Exception) or issubclass(kind, StopIteration | StopAsyncIteration)
