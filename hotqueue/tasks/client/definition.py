"""Definition: what a task is made of, and the envelopes of its calls; what these have in common is made once.

Users do not see one: a Task has one in it, shows what docs/reference.md names, and `definition_of` hands it out to whoever sends
its calls or runs them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, Protocol

from hotqueue.errors import DuplicateTask, QueueFull, SerializationError
from hotqueue.plurals import plural
from hotqueue.runtime import testing_mode
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.arguments import (
    are_short,
    args_text,
    check_fit,
    check_sensitive,
    checked_items,
    positional_counts,
    readable,
    signature_of,
)
from hotqueue.tasks.client.batch import TRIP_BYTES
from hotqueue.tasks.client.client import Client, client_of
from hotqueue.tasks.client.handle import Handle, handle_of
from hotqueue.tasks.client.overlap import Overlap
from hotqueue.tasks.client.per_call import expiry_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.rules import gates, unique
from hotqueue.tasks.rules.call_keys import check_fields
from hotqueue.tasks.rules.callables import is_async, makes_generator
from hotqueue.tasks.rules.options import KEYS, TaskOptions
from hotqueue.tasks.wire import envelope, functions, main_module, payload
from hotqueue.tasks.wire.call import Portable, dumps_call
from hotqueue.tasks.wire.task_names import line_of


class Definition:
    """A function as the author of a task defined it.

    Attributes:
        function: what is run.
        client: what sends it.
        name: ``module.qualname`` unless the author said otherwise; what a worker looks it up by.
        line: the same, as scripts that count are given it.
        options: the decorator's.
        signature: of the function, without what `bind` gives it.
        after: results of tasks that have to succeed before a call starts that names none. They are no part of `state`.
        is_simple: whether its calls, without options of their own, are sent as they are: to the queue that it is defined on, wait
            for no others, never expire, may be many.
        is_async: True for an `async def` function; also as a partial, a method, or as `__call__`.
        streams: True for a function that yields.
        by_value: whether the function travels with each call; None until it is first sent.
        before: what the function is given before the caller's arguments: the task, with `bind`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        client: Client,
        name: str | None,
        options: TaskOptions,
        bound_to: str = "instance",
        by_value: bool | None = None,
        after: tuple[AsyncResult[Any], ...] = (),
    ) -> None:
        if not callable(function):
            raise TypeError(f"@queue.task decorates a function, not {function!r}")
        self.function = function
        self.client = client
        self.name = name or functions.name_of(function)
        self.line = line_of(self.name)
        self.options = options
        self.signature = signature_of(function, options.bind)
        self.check(options, "@queue.task")
        self.after = after
        self.is_simple = options.expires is None and not options.unique and options.queue in (None, client.name) and not after
        self.is_async = is_async(function)
        self.streams = makes_generator(function)
        self.bound_to = bound_to
        self.by_value = by_value
        self.before: tuple[Any, ...] = ()
        self._is_mains = getattr(function, "__module__", None) in main_module.MAINS
        self._counts = positional_counts(self.signature)
        self._forms: dict[tuple[str, int], envelope.Form] = {}  # of calls without options of their own, by queue and flags

    @property
    def queue(self) -> str:
        """The name of the queue that its calls go to."""
        return self.options.queue or self.client.name

    def check(self, options: TaskOptions, where: str) -> None:
        """Raise TypeError for options that name what is no argument of the function."""
        check_sensitive(options.sensitive, self.signature, where)
        for key in KEYS:
            check_fields(getattr(options, key), self.signature, options.sensitive, f"{where} {key}=")
        if not isinstance(options.unique, bool):
            check_fields(options.unique, self.signature, options.sensitive, f"{where} unique=")

    def state(self) -> dict[str, Any]:
        """Return what travels of it in a pickle, but for the function."""
        same = {"name": self.name, "is_async": self.is_async, "bound_to": self.bound_to, "by_value": self.by_value}
        return {**same, "is_mains": self._is_mains, "options": self.options.differing(), "queue": self.client.owner}

    @classmethod
    def of_state(cls, function: Callable[..., Any], state: dict[str, Any]) -> Definition:
        """Return what `state` was of; older versions did not say what a task is bound to, nor whether it is the script's."""
        options, bound_to = TaskOptions.of(state["options"]), state.get("bound_to", "instance")
        made = cls(function, client_of(state["queue"]), state["name"], options, bound_to, state["by_value"])
        made.is_async, made._is_mains = state["is_async"], state.get("is_mains", made._is_mains)
        return made

    # --- sending -------------------------------------------------------------------------------------------------

    def send_each(self, arguments: Iterable[Any], before: tuple[Any, ...]) -> ResultSet[Any]:
        """Send one call an item, with the arguments in `before` in front of each; see `Task.map`."""
        client = self.client
        results: list[AsyncResult[Any]] = []
        if self.options.unique:
            for lot in self._lots(arguments, before, results):
                with self._counted(lot, results):
                    client.send(self.queue, lot, [handle_of(result) for result in results[-len(lot) :]])
            return ResultSet(results)
        with Overlap(client, self.queue, isinstance(arguments, Sized)) as overlap:
            for lot in self._lots(arguments, before, results):
                overlap.send(lot)
        return ResultSet(results)

    async def asend_each(self, arguments: Iterable[Any], before: tuple[Any, ...]) -> ResultSet[Any]:
        """Asyncio twin of `send_each`."""
        client, is_unique = self.client, bool(self.options.unique)
        results: list[AsyncResult[Any]] = []
        for lot in self._lots(arguments, before, results):
            with self._counted(lot, results):
                handles = [handle_of(result) for result in results[-len(lot) :]] if is_unique else None
                await client.asend(self.queue, lot, handles)
        return ResultSet(results)

    @contextmanager
    def _counted(self, lot: list[Encoded], results: list[AsyncResult[Any]]) -> Iterator[None]:
        """Have errors of sending the last ones of `results` say which it is, and how many came before."""
        first = len(results) - len(lot)
        try:
            yield
        except DuplicateTask as error:
            number = first + [task.id for task in lot].index(next(iter(error.ids)))
            before_it = f"; {plural(first, 'call before these was', 'calls before these were')} sent" if first else ""
            raise DuplicateTask(f"item {number} of map(): {error}{before_it}", error.task_id, error.ids) from None
        except QueueFull as error:
            if not first:
                raise
            raise QueueFull(f"{error}; {plural(first, 'call of map() was', 'calls of map() were')} sent before") from error

    def _lots(
        self, arguments: Iterable[Any], before: tuple[Any, ...], results: list[AsyncResult[Any]]
    ) -> Iterator[list[Encoded]]:
        """Make the calls of `send_each`, as many at a time as one trip carries, and their results."""
        client, name, when = self.client, self.queue, self.when()
        lot: list[Encoded] = []
        size = 0
        for item in checked_items(arguments, f"{self.name}.map()", bool(self.options.sensitive)):
            task_id = os.urandom(16).hex()
            try:
                data = self.encode(task_id, (*before, item), {}, self.options, name)
            except (TypeError, SerializationError) as error:
                sent = len(results) - len(lot)
                before_it = f"{plural(sent, 'call before it was', 'calls before it were')} sent" if sent else "nothing was sent"
                raise type(error)(f"item {len(results)} of map(): {error}; {before_it}") from error
            lot.append(Encoded(task_id, *when, data))
            results.append(AsyncResult(Handle(task_id, client, name)))
            size += len(data)
            if len(lot) == BULK or size > TRIP_BYTES:
                yield lot
                lot, size = [], 0
        if lot:
            yield lot

    def when(self) -> tuple[str, str]:
        """Return when a call without options of its own is due, and when it expires."""
        return "", "" if self.options.expires is None else expiry_of(self.options.expires, self.name)

    # --- envelopes -----------------------------------------------------------------------------------------------

    def encode(
        self,
        task_id: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        queue: str,
        more: dict[str, Any] | None = None,
        ahead: tuple[tuple[Any, ...], int] | None = None,
    ) -> bytes:
        """Return the envelope of a call.

        Args:
            more: of the call header: ``headers``, ``eta``, ``flow``.
            ahead: what stands for values that come in front of the arguments when it starts; behind how many of them.

        Raises:
            TypeError: the arguments do not fit the function's signature.
            SerializationError: one of them cannot travel.
        """
        whole = args if ahead is None else (*args[: ahead[1]], *ahead[0], *args[ahead[1] :])
        misfits = kwargs or not self._counts[0] <= len(whole) <= self._counts[1]
        if misfits and (more is None or "star" not in more.get("flow", ())):  # that is called with the items of its argument
            check_fit(self.name, self.function, self.signature, whole, kwargs)
        by_value = self.by_value if self.by_value is not None else self._decide()
        if by_value and testing_mode.sandbox is not None:
            testing_mode.sandbox.originals[task_id] = self
        if by_value or kwargs or options.sensitive or not are_short(args):
            portable = self._portable(options) if by_value else None
            visible = readable(args, kwargs, self.signature, options.sensitive)
            copies = by_value or not self._is_mains  # only the workers of a script's own tasks import the script
            data = dumps_call(self.name, args, kwargs, portable, self._has_self, visible, copies)
            shown = args_text(*visible)
        else:
            data, shown = payload.dumps_plain((args, kwargs)), repr(args)[1:-1].rstrip(",")
        gate = gates.of_call(options, self.name, self.signature, whole, kwargs) if options.has_gates else b""
        only = b""
        if options.unique:
            how = options.on_conflict, options.unique_until, options.unique_for
            only = unique.of_call(options.unique, *how, self.name, self.signature, whole, kwargs)
        call, flags = envelope.call_header(shown, more, gate, only)
        form = self._forms.get((queue, flags)) if options is self.options else None
        if form is None:
            form = self._form(options, queue, flags)
        return form.encode(task_id.encode(), int(time.time() * 1000), call, data)

    def _form(self, options: TaskOptions, queue: str, flags: int) -> envelope.Form:
        kind = envelope.ASYNC if self.is_async else envelope.SYNC
        if self.by_value:
            flags |= envelope.BY_VALUE
        form = envelope.Form(self._header(options, queue), kind, options.priority, flags, self.client.signer)
        if options is self.options:
            self._forms[queue, flags & ~envelope.BY_VALUE] = form
        return form

    def _has_self(self) -> bool:
        """Tell whether the first argument is the instance whose method this is."""
        is_method = self.bound_to == "instance" and functions.is_in_class(self.function)
        return is_method and next(iter(self.signature.parameters), "") == "self"

    def _decide(self) -> bool:
        self.by_value = functions.needs_value(self.function)
        return self.by_value

    def _portable(self, options: TaskOptions) -> Portable:
        return Portable(self.function, options.bind, options.autoretry_for, options.dont_autoretry_for)

    def _header(self, options: TaskOptions, queue: str) -> bytes:
        travelling = options.travelling()
        if not self.by_value:  # a worker that imports the task knows the decorator's options: only this call's travel
            own = self.options.travelling()
            travelling = {k: v for k, v in travelling.items() if own.get(k) != v}
            travelling |= {k: getattr(options, k) for k in own if k not in options.travelling()}
        return envelope.task_header(self.name, queue, travelling, payload.PYTHON if self.by_value else "")


class HasDefinition(Protocol):
    """What has a definition in it: a Task."""

    _definition: Definition


def definition_of(task: HasDefinition) -> Definition:
    """Return the definition of a task."""
    return task._definition
