"""Call: the arguments of a call, and the function where it travels by value, as an envelope's payload.

``(args, kwargs)`` pickled; or, by value, the pickled function and that. What cannot travel is named in the error.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from hotqueue.errors import Interruption, SerializationError
from hotqueue.sizes import PAYLOAD_MAX, TooLarge, in_words
from hotqueue.tasks.wire import main_module
from hotqueue.tasks.wire.payload import dumps, dumps_plain, dumps_with, loads, loads_plain


class Portable(NamedTuple):
    """A function that travels by value, with the options that JSON cannot hold."""

    function: Callable[..., Any]
    bind: bool = False
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()


_functions: dict[bytes, Portable] = {}  # functions that came by value, by their bytes; bounded in loads_portable


def dumps_call(
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    portable: Portable | None = None,
    has_self: Callable[[], bool] = bool,
    visible: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    by_value: bool = True,
) -> bytes:
    """Return a call's payload: ``(args, kwargs)`` pickled, or (function pickled, that) when it travels by value.

    Args:
        has_self: tells whether the first argument is the instance whose method is called.
        visible: the arguments as a message may show them.
        by_value: send classes of the running script along, for a worker that does not import it.

    Raises:
        SerializationError: names the argument that cannot travel, or says how large the call is.
    """
    try:
        call = dumps((args, kwargs), by_value)
        if portable is None:
            return call
        function = _dumps_portable(portable)
        if len(function) + len(call) > PAYLOAD_MAX:
            raise TooLarge(len(function) + len(call))
        return dumps_plain((function, call))
    except TooLarge as error:
        what = "arguments" if portable is None else "arguments, and the function with what it uses,"
        raise SerializationError(
            f"the {what} of {name} take {in_words(error.size)} pickled, but a task may have {in_words(PAYLOAD_MAX)}; "
            "store them elsewhere and send where"
        ) from None
    except RecursionError as error:
        raise SerializationError(f"an argument of {name} is nested too deeply to be pickled; send it flatter") from error
    except Interruption:
        raise
    except Exception as error:
        raise SerializationError(
            _culprit(name, (args, kwargs), visible or (args, kwargs), portable, error, has_self())
        ) from error


def _dumps_portable(portable: Portable) -> bytes:
    """Return a function pickled so that a worker without its module can run it."""
    module = sys.modules.get(getattr(portable.function, "__module__", None) or "")
    if module is None or not _is_users_own(module):
        return dumps(tuple(portable), by_value=True)
    return dumps_with(module, tuple(portable))


def _is_users_own(module: ModuleType) -> bool:
    """Tell whether a module is part of the user's program, rather than of Python or of an installed package."""
    file = getattr(module, "__file__", None)
    if module.__name__ in main_module.MAINS or not file:
        return False  # the first travels by value anyway
    if module.__name__.partition(".")[0] == "hotqueue":
        return False  # wherever it is imported from: every worker has it
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not any(os.path.abspath(file).startswith(folder + os.sep) for folder in installed if folder)


def split_by_value(data: bytes) -> tuple[bytes, bytes]:
    """Return the pickled function and the pickled arguments of a payload that travels by value."""
    function, call = loads_plain(data)
    return function, call


def loads_portable(data: bytes) -> Portable:
    """Return the function in `data`; the same bytes give the same function, so that it is unpickled once.

    Only what is written with `def` or `lambda`, whose calls share what it refers to as those of an imported one do. Anything else
    that can be called (a bound method, a partial, an object) has a state, which is that of one call.
    """
    found = _functions.get(data)
    if found is None:
        found = Portable(*loads(data))
        if isinstance(found.function, FunctionType):
            if len(_functions) > 100:
                _functions.clear()
            _functions[data] = found
    return found


def _culprit(name: str, call: Any, visible: Any, portable: Any, error: Exception, has_self: bool) -> str:
    args, kwargs = call
    places = [(f"argument {n + 1}", value, visible[0][n]) for n, value in enumerate(args)]
    places += [(f"argument {key}=", value, visible[1][key]) for key, value in kwargs.items()]
    places += [("the function itself", portable, portable)]
    for place, value, shown in places:
        try:
            dumps(value)
        except Interruption:
            raise
        except Exception as inner:
            if value is portable and portable is not None:
                return (
                    f"{name} cannot travel to a worker: something that it uses, or is bound to, cannot be pickled ({inner}); "
                    "have it make that itself, or define it in a module that the worker can import"
                )
            if has_self and args and value is args[0]:
                return (
                    f"the instance (self) of {name} cannot travel to a worker: {_short(shown)} ({type(value).__name__}) cannot "
                    f"be pickled ({inner}); make the task a function, and pass what names the instance, such as an id"
                )
            why = f" ({inner})" if shown is value else ""  # it may quote what is not to be shown
            return (
                f"{place} of {name} cannot travel to a worker: {_short(shown)} ({type(value).__name__}) "
                f"cannot be pickled{why}; send something that names it instead, such as a path or an id"
            )
    return f"a call of {name} cannot travel to a worker: {error}"


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Interruption:
        raise
    except Exception as error:
        text = f"<unprintable: {type(error).__name__}>"
    return text if len(text) <= 200 else text[:200] + "…"
