"""Task[P, R]: what `@queue.task` makes of a function. Calling it runs it here; `delay` sends it to a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, Self, TypeVar, overload

from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.calls import ready_to_send
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.method import AsyncTaskMethod, TaskMethod, chunked, is_method_of, itemised, signed, starred
from hotqueue.tasks.client.per_call import said
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.context import Replace, Request, current_task

if TYPE_CHECKING:
    from hotqueue.tasks.workflow.group import group
    from hotqueue.tasks.workflow.signature import Signature

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

# What older versions kept of a definition among the attributes of the function.
OLD_STATE = frozenset({"name", "options", "is_async", "_bound_to", "_by_value", "_is_mains", "queue"})


# What `delay` goes through:
# 1. `@queue.task` made a definition of the function, and refused options that are none (registry.py, definition.py).
# 2. An id is drawn; the arguments are checked against the signature (arguments.py), and encoded, where what all calls of the task
#    have in common is made once (definition.py).
# 3. The client sends the envelope in one round trip, or an open batch keeps it (client.py). The caller has an AsyncResult.
# 4. In a worker the definition is found by the task's name, and its function called (worker/prepare.py); a task without a name
#    there brings its function along.


class Task(Generic[P, R]):
    """A function that workers can run: what ``@queue.task`` makes of it.

    >>> @queue.task
    ... def square(n):
    ...     return n * n
    >>> square(4)
    16
    >>> square.delay(4).get(timeout=10)
    16

    1. Called, it runs here and now, as the function did.
    2. `delay`, or `apply_async` with options of this one call, checks the arguments, sends them, and returns an `AsyncResult` at
       once; `map` sends many calls together.
    3. A worker finds the task by its name, and runs it; the `AsyncResult` then has what it returned or raised.
    4. While it runs, `request` tells about this run, and `retry` ends it for another one later.

    What else the function has, such as its docstring and attributes of yours, the task has, too.
    """

    __module__ = "hotqueue.tasks"
    __name__: str
    __qualname__: str
    if TYPE_CHECKING:  # else `typing.get_type_hints` would look for Callable in the module named above
        __wrapped__: Callable[P, R]

    def __init__(self, definition: Definition) -> None:
        update_wrapper(self, definition.function)
        self._take(definition)

    def _take(self, definition: Definition) -> None:
        for name in OURS & vars(self).keys():  # an attribute of the function that is called as a method of tasks
            del vars(self)[name]
        self._definition = definition
        if definition.options.bind:
            definition.before = (self,)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now."""
        try:
            return self._definition.function(*self._definition.before, *args, **kwargs)  # type: ignore[no-any-return]
        except Replace as asked:
            return asked.signature()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<Task {self.name} on queue {self._definition.client.name!r}>"

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self: Task[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /) -> TaskMethod[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        definition = self._definition
        if definition.bound_to == "class":
            return TaskMethod(self, type(instance) if owner is None else owner)
        if instance is None or definition.bound_to == "nothing" or not is_method_of(definition.function, instance):
            return self
        return TaskMethod(self, instance)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_definition": self._definition.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("_definition", None) or {name.lstrip("_"): state.pop(name) for name in OLD_STATE & state.keys()}
        vars(self).update(state)
        self._take(Definition.of_state(state["__wrapped__"], kept))

    @property
    def name(self) -> str:
        """What a worker looks it up by: ``module.qualname`` unless its author said otherwise."""
        return self._definition.name

    # --- sending -------------------------------------------------------------------------------------------------

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Send a call to a worker; return the handle to its result.

        Raises:
            TypeError: the arguments do not fit the function's signature.
            SerializationError: an argument cannot travel; names it.
            ConnectionFailed: no answer for 5 s; whether it was enqueued is then unknown.
            QueueFull: the server is out of memory.
            DuplicateTask: it is unique, and there already.
        """
        definition = self._definition
        if not definition.is_simple:
            return self.apply_async(args, kwargs)
        client = definition.client
        task_id = os.urandom(16).hex()
        data = definition.encode(task_id, args, kwargs, definition.options, client.name)
        result: AsyncResult[R] = AsyncResult(Handle(task_id, client))
        client.send_one(client.name, task_id, data, definition.line)
        return result

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Asyncio twin of `delay`."""
        definition = self._definition
        if not definition.is_simple:
            return await self.aapply_async(args, kwargs)
        client = definition.client
        task_id = os.urandom(16).hex()
        data = definition.encode(task_id, args, kwargs, definition.options, client.name)
        result: AsyncResult[R] = AsyncResult(Handle(task_id, client))
        await client.asend(client.name, [Encoded(task_id, "", "", data)])
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
        link: Signature[Any] | Iterable[Signature[Any]] | None = None,
        link_error: Signature[Any] | Iterable[Signature[Any]] | None = None,
        depends_on: Iterable[AsyncResult[Any]] | None = None,
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
            link: signatures that are called once it has succeeded, with its value in front of their arguments.
            link_error: signatures that are called should it fail, see `Signature.on_error`.
            depends_on: results of tasks that have to succeed before it starts, instead of the decorator's; `[]` is none.
            **options: any option of the decorator that makes sense for one call.

        Raises:
            As `delay`; TypeError for `args` that are no sequence, or an unknown option; ValueError for what is out of range.
        """
        when: dict[str, Any] = {"countdown": countdown, "eta": eta, "expires": expires}
        how: dict[str, Any] = {"priority": priority, "queue": queue, "task_id": task_id, "headers": headers}
        if link is not None or link_error is not None or depends_on is not None or self._definition.after:
            return self._linked(args, kwargs, {**when, **how, **options}, link, link_error, depends_on)
        call = ready_to_send(self._definition, f"{self.name}.apply_async()", args, kwargs, **when, **how, **options)
        self._definition.client.send(call.queue, [call.task], call.handles)
        return call.result

    async def aapply_async(self, args: Any = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> AsyncResult[R]:
        """Asyncio twin of `apply_async`."""
        return await signed(self, (), (), {}).aapply_async(args, kwargs, **said(options))

    def _linked(self, args: Any, kwargs: Any, options: dict[str, Any], *links: Any) -> AsyncResult[R]:
        """Send a call that others follow, or come before."""
        linked = dict(zip(("link", "link_error", "depends_on"), links, strict=True))
        return signed(self, (), (), {}).apply_async(args, kwargs, **said(options), **linked)

    def map(self, arguments: Iterable[Any]) -> ResultSet[R]:
        """Send one call an item, in one round trip per 1,000 calls.

        Args:
            arguments: the single argument of each call. Of a list, or anything else with a length, the next calls are made while
                the server stores those before; what a generator gave is stored before it is asked for more.

        Returns:
            The results, in order.
        """
        if self._definition.after:
            return itemised(self, (), arguments).delay()
        return self._definition.send_each(arguments, ())

    async def amap(self, arguments: Iterable[Any]) -> ResultSet[R]:
        """Asyncio twin of `map`; the event loop goes on while the server stores what was sent."""
        if self._definition.after:
            return await itemised(self, (), arguments).adelay()
        return await self._definition.asend_each(arguments, ())

    # --- in a workflow -------------------------------------------------------------------------------------------

    @overload
    def s(self, /) -> Signature[R]: ...
    @overload
    def s(self, /, *args: P.args, **kwargs: P.kwargs) -> Signature[R]: ...
    @overload
    def s(self: Task[Concatenate[Any, Q], R], /, *args: Q.args, **kwargs: Q.kwargs) -> Signature[R]: ...
    @overload
    def s(self: Task[Concatenate[Any, Any, Q], R], /, *args: Q.args, **kwargs: Q.kwargs) -> Signature[R]: ...
    def s(self, /, *args: Any, **kwargs: Any) -> Signature[R]:
        """Return a signature: a call to be sent later, of which some arguments may still be missing, in front of these.

        Raises:
            TypeError: these arguments do not fit, whatever comes in front of them.
        """
        return signed(self, (), args, kwargs)

    def si(self, /, *args: P.args, **kwargs: P.kwargs) -> Signature[R]:
        """Return an immutable signature: it has all arguments, and takes no value of the step before it."""
        return signed(self, (), args, kwargs, is_immutable=True)

    def starmap(self, arguments: Iterable[Iterable[Any]]) -> Signature[list[R]]:
        """Return a signature of one task that makes one call an item, each of which has the arguments of one call.

        >>> add.starmap([(1, 2), (3, 4)]).delay().get(timeout=10)
        [3, 7]
        """
        return starred(self, (), arguments)

    def chunks(self, arguments: Iterable[Iterable[Any]], n: int) -> group[list[R]]:
        """Return a group of `starmap` signatures with `n` items each; its value is a list of lists."""
        return chunked(self, (), arguments, n)

    # --- inside a running task -----------------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        """The run that goes on in this thread or coroutine; `NoTask` outside of one."""
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

    def replace(self, signature: Signature[Any]) -> NoReturn:
        """Have a workflow take the place of this task; see `current_task.replace`."""
        current_task.replace(signature)

    def update_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Publish how far this run is."""
        current_task.update_progress(done, total, message)


OURS = frozenset(name for name in vars(Task) if not name.startswith("_"))


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
