"""Objects ↔ the bytes that travel: the rules for raw messages.

A serializer is anything with ``dumps`` and ``loads``; None means text. The only file of messages/ that pickles.
"""

from __future__ import annotations

import importlib
import pickle
from types import ModuleType
from typing import Any

from hotqueue.errors import Interruption, SerializationError

DEFAULT = pickle
SHOWN = 60  # characters of a value, or bytes of a message, that an error shows


class Codec:
    """What a queue does to its messages: one serializer and the rules around it.

    Args:
        serializer: an object, class or module with ``dumps(obj)`` and ``loads(data)``, or None for plain text.

    Raises:
        TypeError: it has no ``dumps`` or no ``loads``.
    """

    def __init__(self, serializer: Any) -> None:
        missing = [name for name in ("dumps", "loads") if not callable(getattr(serializer, name, None))]
        if serializer is not None and missing:
            raise TypeError(f"a serializer has dumps and loads (or is None for text); {serializer!r} has no {missing[0]}")
        self.serializer = serializer
        self.name = _name(serializer)
        # Does dumps make str? Then loads is given str, as json-likes of one's own expect. None: not known yet.
        self._makes_text: bool | None = None

    def dumps(self, message: Any, place: int = 1) -> bytes:
        """Return a message as bytes.

        Args:
            place: which argument of put() it is, for the error.

        Raises:
            SerializationError: it cannot be serialized; names the argument, its value and the cause.
        """
        try:
            made = _text(message) if self.serializer is None else self.serializer.dumps(message)
            if isinstance(made, bytes):
                return made
            if isinstance(made, str):
                self._makes_text = True
            return _as_bytes(made)
        except Interruption:
            raise
        except Exception as error:
            why = f"cannot be serialized by {self.name}: {type(error).__name__}: {error}"
            raise SerializationError(f"argument {place} of put(), {shown(message)}, {why}; nothing was sent") from error

    def loads(self, raw: bytes) -> Any:
        """Return the message that these bytes are.

        Raises:
            SerializationError: they cannot be loaded; shows the first bytes and the cause.
        """
        try:
            if self.serializer is None:
                return _decoded(raw)
            return self.serializer.loads(_decoded(raw) if self._takes_text() else raw)
        except Interruption:
            raise
        except (Exception, SystemExit) as error:  # SystemExit: a pickle can call anything; it must not end the reader
            why = f"cannot be loaded by {self.name}: {type(error).__name__}: {error}{_advice(error)}"
            raise SerializationError(f"a message {why}; it begins with {raw[:SHOWN]!r}") from error

    def _takes_text(self) -> bool:
        if self._makes_text is None:
            try:
                self._makes_text = isinstance(self.serializer.dumps(""), str)
            except Interruption:
                raise
            except Exception:  # a serializer of one kind of object only
                self._makes_text = False
        return self._makes_text


def _advice(error: BaseException) -> str:
    """Return what to do about a class of a script, which pickle looks for in the script that reads."""
    is_of_a_script = isinstance(error, AttributeError) and "'__main__'" in str(error)
    return "; define it in a module that both programs import, and not in the script that is run" if is_of_a_script else ""


def shown(value: Any) -> str:
    """Return a value's repr, shortened; of one whose repr fails, its type."""
    try:
        text = repr(value)
    except Interruption:
        raise
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def portable(serializer: Any) -> Any:
    """Return what stands for a serializer in a pickle: a module by its name, anything else as it is."""
    return ("module", serializer.__name__) if isinstance(serializer, ModuleType) else ("object", serializer)


def restored(stand_in: Any) -> Any:
    """Return the serializer that `portable` described."""
    kind, what = stand_in
    return importlib.import_module(what) if kind == "module" else what


def _name(serializer: Any) -> str:
    if serializer is None:
        return "serializer=None"
    return getattr(serializer, "__name__", None) or type(serializer).__name__


def _text(message: Any) -> Any:
    return message if isinstance(message, bytes | bytearray | memoryview) else str(message)


def _as_bytes(made: Any) -> bytes:
    if isinstance(made, str):
        return made.encode()
    if isinstance(made, bytearray | memoryview):
        return bytes(made)
    if isinstance(made, int | float) and not isinstance(made, bool):
        return repr(made).encode()  # as redis-py sends a number that a dumps passed through
    raise TypeError(f"dumps returned {type(made).__name__}, not bytes or str")


def _decoded(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
