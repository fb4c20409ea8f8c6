"""Encoding: the envelopes of a task's calls; what they have in common is made once. Sends nothing."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

from hotqueue.runtime import in_place
from hotqueue.tasks.client.arguments import (
    are_short,
    args_text,
    check_fit,
    positional_counts,
    readable,
    signature_of,
)
from hotqueue.tasks.client.client import Client
from hotqueue.tasks.client.method import is_in_class
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import envelope, functions, payload
from hotqueue.tasks.wire.call import Portable, dumps_call


class Encoding:
    """The half of a task that turns calls into envelopes.

    Its methods have underscores: a task has all attributes of what it was made of, which may be a class.

    Attributes:
        name: of the task.
        options: the decorator's.
        is_async: True for an `async def` function.
        client: what sends it.
        signature: of the function, without what `bind` gives it.
    """

    __wrapped__: Callable[..., Any]
    name: str
    options: TaskOptions
    is_async: bool
    client: Client
    signature: inspect.Signature
    _bound_to = "instance"  # in pickles of older versions it is not said
    _by_value: bool | None  # None until it is first sent
    _is_mains: bool

    def _begin(self) -> None:
        """Make what does not travel in a pickle."""
        self.signature = signature_of(self.__wrapped__, self.options.bind)
        self._counts = positional_counts(self.signature)
        self._forms: dict[tuple[str, int], envelope.Form] = {}  # of calls without options of their own, by queue and flags

    def _encode(
        self,
        task_id: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        queue: str,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        """Return the envelope of a call.

        Args:
            more: of the call header: ``headers``, ``eta``.

        Raises:
            TypeError: the arguments do not fit the function's signature.
            SerializationError: one of them cannot travel.
        """
        if kwargs or not self._counts[0] <= len(args) <= self._counts[1]:
            check_fit(self.name, self.__wrapped__, self.signature, args, kwargs)
        by_value_ = self._by_value if self._by_value is not None else self._decide()
        if by_value_ and in_place.stage is not None:
            in_place.stage.originals[task_id] = self
        if by_value_ or kwargs or options.sensitive or not are_short(args):
            portable = self._portable(options) if by_value_ else None
            visible = readable(args, kwargs, self.signature, options.sensitive)
            copies = by_value_ or not self._is_mains  # only the workers of a script's own tasks import the script
            data = dumps_call(self.name, args, kwargs, portable, self._has_self, visible, copies)
            shown = args_text(*visible)
        else:
            data, shown = payload.dumps_plain((args, kwargs)), repr(args)[1:-1].rstrip(",")
        call, flags = envelope.call_header(shown, more)
        form = self._forms.get((queue, flags)) if options is self.options else None
        if form is None:
            form = self._form(options, queue, flags)
        return form.encode(task_id.encode(), int(time.time() * 1000), call, data)

    def _form(self, options: TaskOptions, queue: str, flags: int) -> envelope.Form:
        kind = envelope.ASYNC if self.is_async else envelope.SYNC
        if self._by_value:
            flags |= envelope.BY_VALUE
        form = envelope.Form(self._header(options, queue), kind, options.priority, flags, self.client.signer)
        if options is self.options:
            self._forms[queue, flags & envelope.HAS_MORE] = form
        return form

    def _has_self(self) -> bool:
        """Tell whether the first argument is the instance whose method this is."""
        return (
            self._bound_to == "instance" and is_in_class(self.__wrapped__) and next(iter(self.signature.parameters), "") == "self"
        )

    def _decide(self) -> bool:
        self._by_value = functions.needs_value(self.__wrapped__)
        return self._by_value

    def _portable(self, options: TaskOptions) -> Portable:
        return Portable(self.__wrapped__, options.bind, options.autoretry_for, options.dont_autoretry_for)

    def _header(self, options: TaskOptions, queue: str) -> bytes:
        travelling = options.travelling()
        if not self._by_value:  # a worker that imports the task knows the decorator's options: only this call's travel
            own = self.options.travelling()
            travelling = {k: v for k, v in travelling.items() if own.get(k) != v}
            travelling |= {k: getattr(options, k) for k in own if k not in options.travelling()}
        return envelope.task_header(self.name, queue, travelling, payload.PYTHON if self._by_value else "")
