"""Task[P, R]: what `@queue.task` makes of a function. Calling it runs it here; `delay` sends it to a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, Self, TypeVar, overload

from hotqueue.errors import SerializationError
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.arguments import check_sensitive, checked_args, checked_items, checked_kwargs, refuse_as_options
from hotqueue.tasks.client.batch import TRIP_BYTES
from hotqueue.tasks.client.client import Client, client_of
from hotqueue.tasks.client.encoding import Encoding
from hotqueue.tasks.client.method import AsyncTaskMethod, TaskMethod, is_method_of
from hotqueue.tasks.client.per_call import checked_headers, checked_id, due_of, expiry_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.context import Request, current_task
from hotqueue.tasks.rules.callables import is_async, refuse_generator
from hotqueue.tasks.rules.options import TaskOptions, override
from hotqueue.tasks.wire import functions, main_module

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")


class Task(Encoding, Generic[P, R]):
    """A function that workers can run.

    1. `@queue.task` makes it of a function, looks at the function's signature, and refuses options that are none (registry.py).
    2. `delay` draws an id, and checks that the arguments fit the signature (arguments.py).
    3. The call is encoded: the arguments pickled, what all calls of the task have in common made once (encoding.py).
    4. The client sends the envelope in one round trip, or an open batch keeps it (client.py).
    5. The caller has an `AsyncResult`.
    6. In a worker it is found by its name, and its function is called; a task without a name there brings its function along.

    Attributes:
        name: ``module.qualname`` unless the author said otherwise; what a worker looks it up by.
        options: the decorator's.
        client: what sends it.
        is_async: True for an `async def` function; also as a partial, a method, or as `__call__`.
    """

    __module__ = "hotqueue.tasks"
    __name__: str
    __qualname__: str
    if TYPE_CHECKING:  # else `typing.get_type_hints` would look for Callable in the module named above
        __wrapped__: Callable[P, R]

    def __init__(
        self,
        function: Callable[P, R],
        client: Client,
        name: str | None,
        options: TaskOptions,
        bound_to: str = "instance",
        by_value: bool | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"@queue.task decorates a function, not {function!r}")
        update_wrapper(self, function)
        self.__wrapped__ = function
        self.name = name or functions.name_of(function)
        self.options = options
        refuse_generator(function, "@queue.task")
        self.is_async = is_async(function)
        self.client = client
        self._bound_to = bound_to
        self._by_value = by_value
        self._is_mains = getattr(function, "__module__", None) in main_module.MAINS
        self._begin()
        check_sensitive(options.sensitive, self.signature, "@queue.task")

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now."""
        if self.options.bind:
            return self.__wrapped__(self, *args, **kwargs)  # type: ignore[arg-type]
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name} on queue {self.client.name!r}>"

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self: Task[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /) -> TaskMethod[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        if self._bound_to == "class":
            return TaskMethod(self, type(instance) if owner is None else owner)
        if instance is None or self._bound_to == "nothing" or not is_method_of(self.__wrapped__, instance):
            return self
        return TaskMethod(self, instance)

    def __getstate__(self) -> dict[str, Any]:
        kept = {k: v for k, v in self.__dict__.items() if k not in ("client", "_forms", "signature", "_counts")}
        return {**kept, "options": self.options.differing(), "queue": self.client.owner}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.client = client_of(state.pop("queue"))
        self.__dict__.update(state)
        self.options = TaskOptions.of(state["options"])
        self._begin()

    # --- sending -------------------------------------------------------------------------------------------------

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Send a call to a worker; return the handle to its result.

        Raises:
            TypeError: the arguments do not fit the function's signature.
            SerializationError: an argument cannot travel; names it.
            ConnectionFailed: no answer for 5 s; whether it was enqueued is then unknown.
            QueueFull: the server is out of memory.
        """
        client = self.client
        task_id = os.urandom(16).hex()
        data = self._encode(task_id, args, kwargs, self.options, client.name)
        result: AsyncResult[R] = AsyncResult(task_id, client)
        if self.options.expires is None:
            client.send_one(client.name, task_id, data)
        else:
            client.send(client.name, [Encoded(task_id, *self._when(self.options), data)])
        return result

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Asyncio twin of `delay`."""
        client = self.client
        task_id = os.urandom(16).hex()
        data = self._encode(task_id, args, kwargs, self.options, client.name)
        result: AsyncResult[R] = AsyncResult(task_id, client)
        await client.asend(client.name, [Encoded(task_id, *self._when(self.options), data)])
        return result

    def apply_async(
        self,
        args: Iterable[Any] | None = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        expires: float | timedelta | datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        task_id: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[R]:
        """Send a call with options of its own.

        Args:
            countdown: seconds from now (server time) before it may run.
            eta: an aware datetime before which it must not run.
            expires: seconds from now, or an aware datetime, after which it must not start.
            priority: −100…100; higher runs first.
            queue: name of another queue on the same store.
            task_id: the same id sent again is the same task: one copy, the handle returned.
            headers: JSON values for `request.headers`.
            **options: any option of the decorator that makes sense for one call.

        Raises:
            As `delay`; TypeError for `args` that are no sequence, or an unknown option; ValueError for what is out of range.
        """
        where = f"{self.name}.apply_async()"
        is_secret = bool(self.options.sensitive or options.get("sensitive"))
        args, kwargs = checked_args(args, where, is_secret), checked_kwargs(kwargs, where, is_secret)
        options |= {name: given for name, given in (("priority", priority), ("queue", queue)) if given is not None}
        refuse_as_options(self.signature, options, where)
        merged = override(self.options, options, where) if options else self.options
        if merged.sensitive is not self.options.sensitive:
            check_sensitive(merged.sensitive, self.signature, where)
        name = queue or merged.queue or self.client.name
        more: dict[str, Any] = {} if headers is None else {"headers": checked_headers(headers, where)}
        due, eta_ms = due_of(countdown, eta, where)
        if eta_ms is not None:
            more["eta"] = eta_ms
        expiry = expiry_of(expires if expires is not None else merged.expires, where)
        task_id = checked_id(task_id) if task_id is not None else os.urandom(16).hex()
        data = self._encode(task_id, args, kwargs, merged, name, more)
        result: AsyncResult[R] = AsyncResult(task_id, self.client, name)
        self.client.send(name, [Encoded(task_id, due, expiry, data)])
        return result

    def map(self, arguments: Iterable[Any]) -> ResultSet[R]:
        """Send one call an item, in one round trip per 1,000 calls.

        Args:
            arguments: the single argument of each call.

        Returns:
            The results, in order.
        """
        return self.map_behind(arguments, ())

    def map_behind(self, arguments: Iterable[Any], before: tuple[Any, ...]) -> ResultSet[R]:
        """Send one call an item, with the arguments in `before` in front of each; see `map`."""
        client = self.client
        results: list[AsyncResult[R]] = []
        batch: list[Encoded] = []
        size = 0
        when = self._when(self.options)
        for item in checked_items(arguments, f"{self.name}.map()", bool(self.options.sensitive)):
            task_id = os.urandom(16).hex()
            try:
                data = self._encode(task_id, (*before, item), {}, self.options, client.name)
            except (TypeError, SerializationError) as error:
                sent = len(results) - len(batch)
                before_it = f"{sent} calls before it were sent" if sent else "nothing was sent"
                raise type(error)(f"item {len(results)} of map(): {error}; {before_it}") from error
            batch.append(Encoded(task_id, *when, data))
            results.append(AsyncResult(task_id, client))
            size += len(data)
            if len(batch) == BULK or size > TRIP_BYTES:
                client.send(client.name, batch)
                batch, size = [], 0
        if batch:
            client.send(client.name, batch)
        return ResultSet(results)

    def _when(self, options: TaskOptions) -> tuple[str, str]:
        return "", "" if options.expires is None else expiry_of(options.expires, self.name)

    # --- inside a running task -----------------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        """The run that goes on in this thread or coroutine; RuntimeError outside of one."""
        return current_task.request

    def retry(
        self,
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        exc: BaseException | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """Run this task again later; see `current_task.retry`."""
        current_task.retry(countdown=countdown, eta=eta, exc=exc, max_retries=max_retries)

    def update_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Publish how far this run is."""
        current_task.update_progress(done, total, message)


class AsyncTask(Task[P, R]):
    """A task made of an `async def` function: calling it gives a coroutine; workers run it on their event loop."""

    __module__ = "hotqueue.tasks"

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
            """Make the coroutine here; the caller awaits it."""

        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(
            self: AsyncTask[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /
        ) -> AsyncTaskMethod[Q, R]: ...
        def __get__(self, instance: Any, owner: type | None = None, /) -> Any: ...
