"""What has to be done once in a worker process before it runs calls of joblib: initializers."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

KEPT = 1000  # initializers that a process remembers to have called


class Initializer:
    """What is called in each worker process before the first of the calls of one `Parallel` there.

    Args:
        function: called with `args`. What it raises, the call raises that it was called for; the next one calls it again.
    """

    def __init__(self, function: Callable[..., Any], args: Sequence[Any]) -> None:
        self._id = uuid.uuid4().hex
        self._function, self._args = function, tuple(args)

    def __call__(self) -> None:
        """Call it, unless that was done in this process; whoever else comes here meanwhile waits for its end."""
        with _done.of(self._id) as is_done:
            if not is_done:
                self._function(*self._args)


class _Done:
    """Which initializers were called in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[threading.Lock, list[bool]]] = OrderedDict()

    @contextmanager
    def of(self, key: str) -> Iterator[bool]:
        """Tell whether one was called; it counts as called once the block has ended well."""
        with self._lock:
            lock, done = self._found.setdefault(key, (threading.Lock(), []))
            self._found.move_to_end(key)
            if len(self._found) > KEPT:
                self._found.popitem(last=False)
        with lock:
            yield bool(done)
            done.append(True)


_done = _Done()
