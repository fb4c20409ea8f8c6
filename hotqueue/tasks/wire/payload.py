"""Arguments, functions, results and exceptions → bytes and back. The only file of tasks/ that pickles.

Plain pickle where it means the same (values of built-in types: several times faster), cloudpickle for the rest.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import sys
import sysconfig
import threading
from collections.abc import Callable
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, NewType

from hotqueue import moved
from hotqueue.errors import Interruption, RemoteError, RemoteTraceback, SerializationError
from hotqueue.sizes import LARGE, PAYLOAD_MAX, Bounded, TooLarge, in_words
from hotqueue.tasks.wire import chain, exceptions, main_module

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"  # byte code only loads in the version that made it
PROTOCOL = 5  # every Python that hotqueue supports reads it
_SCALARS = frozenset({int, float, bool, type(None)})
_SIZED = frozenset({str, bytes})
_NESTED = frozenset({tuple, list, dict})
_NAMED = (type, FunctionType, NewType)
_by_value_lock = threading.Lock()


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether plain pickle is enough: small built-in values, looked into three levels and 100 items deep."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind not in _NESTED:
        return kind in _SIZED and len(value) < LARGE
    if depth > 3 or len(value) > 100:
        return False
    if kind is dict:
        for key in value:
            if type(key) not in _SCALARS and not (type(key) in _SIZED and len(key) < LARGE):
                return False
        value = value.values()
    for item in value:  # loops, not all(), and no call where a look does: every task passes here twice
        kind = type(item)
        if kind in _SCALARS or (kind in _SIZED and len(item) < LARGE):
            continue
        if not _is_plain(item, depth + 1):
            return False
    return True


def dumps(value: Any, by_value: bool = False) -> bytes:
    """Return `value` pickled.

    Args:
        by_value: for a reader that does not import the running script.

    Raises:
        TooLarge: it takes more than PAYLOAD_MAX bytes.
        Exception: whatever pickling raises; see `dumps_call` and `unstorable` for errors that say more.
    """
    if _is_plain(value):
        data = pickle.dumps(value, PROTOCOL)
        if len(data) > PAYLOAD_MAX:
            raise TooLarge(len(data))
        return data
    file = Bounded()
    pickler = _pickler_class()(file, PROTOCOL)
    pickler.is_by_value = by_value
    pickler.dump(value)
    return file.content()


@cache
def _pickler_class() -> Any:
    """Return cloudpickle's pickler with two rules on top; made late, as most programs never need it."""
    import cloudpickle

    for name in main_module.MAINS & {*sys.modules} - {"__main__"}:  # that of a spawned process it takes for a module
        cloudpickle.register_pickle_by_value(sys.modules[name])

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        is_by_value = False

        def reducer_override(self, value: Any) -> Any:
            kind = type(value)
            if issubclass(kind, _NAMED):
                found = NotImplemented
                if getattr(value, "__module__", None) in main_module.MAINS and not self.is_by_value:
                    found = _by_name(main_module.named(value))
                elif issubclass(kind, type) and issubclass(value, RemoteError):
                    found = exceptions.reduced_class(value)
                return super().reducer_override(value) if found is NotImplemented else found
            if issubclass(kind, BaseException):
                return exceptions.reduced(value)
            if kind.__module__ in main_module.MAINS and not self.is_by_value:
                return _singleton(value, kind)
            return NotImplemented

    return Pickler


def _by_name(found: tuple[str, str] | None) -> Any:
    return NotImplemented if found is None else (main_module.find, found)


def _singleton(value: Any, kind: type) -> Any:
    """Return how to pickle a value of the running script whose class may say that it goes by a name."""
    silent: Any = object
    is_silent = kind.__reduce__ is silent.__reduce__ and kind.__reduce_ex__ is silent.__reduce_ex__
    if is_silent or kind in copyreg.dispatch_table:
        return NotImplemented
    reduced = value.__reduce_ex__(PROTOCOL)
    return _by_name(main_module.named_as(value, reduced)) if isinstance(reduced, str) else reduced


def unstorable(name: str, value: Any, error: Exception) -> SerializationError:
    """Return what to say of a result that `dumps` raised an error for."""
    if isinstance(error, TooLarge):
        return SerializationError(
            f"{name} ran to its end, but its result cannot be stored: it takes {in_words(error.size)} pickled, and a result may "
            f"have {in_words(PAYLOAD_MAX)}; store it elsewhere (a file, a bucket, a database) and return where, or set "
            "ignore_result=True; the task is not run again, since that would make the same"
        )
    found = SerializationError(
        f"{name} ran to its end, but its result cannot be stored: {type(value).__name__} cannot be pickled ({error}); "
        "return something that can, or set ignore_result=True"
    )
    found.__cause__ = error
    return found


def dumps_plain(value: Any) -> bytes:
    """Return pickled what the caller knows to be of built-in types only."""
    return pickle.dumps(value, PROTOCOL)


def loads(data: bytes) -> Any:
    """Return the value in `data`. Runs whatever the data says: only ever on verified bytes where a key is set."""
    mark = main_module.mark()
    if mark is None or mark not in data:
        return pickle.loads(data)
    return _Unpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    """Finds in the running script what others know by the name of its module."""

    def find_class(self, module: str, name: str) -> Any:
        return main_module.find(module, name) if main_module.is_script(module) else super().find_class(module, name)


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
        return pickle.dumps((function, call), PROTOCOL)
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
    import cloudpickle

    with _by_value_lock:  # the registry of modules is cloudpickle's, one for the process
        cloudpickle.register_pickle_by_value(module)
        try:
            return dumps(tuple(portable), by_value=True)
        finally:
            cloudpickle.unregister_pickle_by_value(module)


def _is_users_own(module: ModuleType) -> bool:
    """Tell whether a module is part of the user's program, rather than of Python or of an installed package."""
    file = getattr(module, "__file__", None)
    if module.__name__ in main_module.MAINS or not file:
        return False  # the first travels by value anyway
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not any(os.path.abspath(file).startswith(folder + os.sep) for folder in installed if folder)


def split_by_value(data: bytes) -> tuple[bytes, bytes]:
    """Return the pickled function and the pickled arguments of a payload that travels by value."""
    function, call = pickle.loads(data)
    return function, call


def loads_portable(data: bytes) -> Portable:
    """Return the function in `data`; the same bytes give the same function, so that it is unpickled once."""
    found = _functions.get(data)
    if found is None:
        if len(_functions) > 100:
            _functions.clear()
        found = _functions[data] = Portable(*loads(data))
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


def dumps_error(error: BaseException, skip: int = 0) -> bytes:
    """Return an exception as bytes that load anywhere: class path, message, traceback text, and itself as far as it can travel.

    Args:
        skip: frames of ours to leave out at the outer end of the traceback.
    """
    try:
        sent = pickle.dumps((PYTHON, chain.taken_apart(error, dumps, loads)), PROTOCOL)
    except BaseException:  # a class that answers no question without raising; the rest says what there is to say
        sent = None
    path, message, trace = exceptions.class_path(error), exceptions.message_of(error), exceptions.format_traceback(error, skip)
    return pickle.dumps((path, message, trace, sent), PROTOCOL)


def loads_error(data: bytes) -> Exception:
    """Return the exception in `data`, fit to be raised here; RemoteError when it cannot be made here, or must not be.

    Its cause is the remote traceback, and the cause of that the cause that it had.
    """
    path, message, trace, sent = pickle.loads(data)
    error: Exception = RemoteError(moved.today(path), message, trace)
    if sent is not None:
        try:
            error = _put_together(loads(sent), trace) or error
        except Interruption:
            raise
        except Exception:  # a class that keeps its instances from being made, or told apart
            pass
    if trace:
        told = RemoteTraceback(trace)
        told.__cause__ = error.__cause__
        object.__setattr__(error, "__cause__", told)
    return error


def _put_together(sent: Any, trace: str) -> Exception | None:
    """Return the exception that was sent; None for one that must not be raised here."""
    if isinstance(sent, BaseException):  # by an older version, which did not take it apart
        return None if not isinstance(sent, Exception) or exceptions.is_command(type(sent)) else sent
    python, parts = sent
    return chain.put_together(parts, trace, loads if python == PYTHON else _loads_names)


def _loads_names(data: bytes) -> Any:
    """Return what travelled by name; byte code of another Python would crash this one."""
    if b"cloudpickle" in data:
        raise SerializationError("made by another version of Python")
    return loads(data)


def describe_error(data: bytes) -> tuple[str, str, str]:
    """Return class path, message and traceback text without making the exception."""
    path, message, trace, _ = pickle.loads(data)
    return path, message, trace
