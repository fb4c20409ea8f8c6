"""Payload: any value and any exception → bytes and back; the only file of tasks/ that pickles. Calls: call.py.

Plain pickle where it means the same (values of built-in types: several times faster), cloudpickle for the rest.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
import threading
from collections.abc import Sequence
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, NewType

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
_registered = threading.Lock()  # cloudpickle's registry of modules is one for the process


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


def dumps_with(module: ModuleType, value: Any) -> bytes:
    """Return `value` pickled by value, and with it whatever it uses of a module that the reader may not have."""
    import cloudpickle

    with _registered:
        cloudpickle.register_pickle_by_value(module)
        try:
            return dumps(value, by_value=True)
        finally:
            cloudpickle.unregister_pickle_by_value(module)


def loads_plain(data: bytes) -> Any:
    """Return what `dumps_plain` was given."""
    return pickle.loads(data)


def loads(data: bytes) -> Any:
    """Return the value in `data`. Runs whatever the data says: only ever on verified bytes where a key is set."""
    mark = main_module.mark()
    if mark is None or mark not in data:
        return pickle.loads(data)
    return _Unpickler(io.BytesIO(data)).load()


def loads_all(all_data: Sequence[bytes]) -> list[Any]:
    """Return the values in each of these; see `loads`."""
    if main_module.mark() is not None:
        return [loads(data) for data in all_data]
    return [pickle.loads(data) for data in all_data]


class _Unpickler(pickle.Unpickler):
    """Finds in the running script what others know by the name of its module."""

    def find_class(self, module: str, name: str) -> Any:
        return main_module.find(module, name) if main_module.is_script(module) else super().find_class(module, name)


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
            made = _put_together(loads(sent), trace)
            error = error if made is None else made  # not by its truth: an error may have a length, of nought
        except Interruption:
            raise
        except Exception:  # a class that keeps its instances from being made, or compared
            pass
    if trace:
        remote = RemoteTraceback(trace)
        remote.__cause__ = error.__cause__
        object.__setattr__(error, "__cause__", remote)
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
