"""TaskMethod: a task defined in a class, as an instance has it; the instance is sent as the first argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from hotqueue.tasks.client.arguments import checked_items
from hotqueue.tasks.client.definition import HasDefinition, definition_of
from hotqueue.tasks.rules.options import whole
from hotqueue.tasks.wire.functions import is_in_class

if TYPE_CHECKING:
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.client.resultset import ResultSet
    from hotqueue.tasks.workflow.group import group
    from hotqueue.tasks.workflow.signature import Signature

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)


class Sendable(HasDefinition, Protocol[R]):
    """A task, as a method knows it; see task.py."""

    @property
    def name(self) -> str: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> R: ...
    def delay(self, /, *args: Any, **kwargs: Any) -> AsyncResult[R]: ...
    async def adelay(self, /, *args: Any, **kwargs: Any) -> AsyncResult[R]: ...
    def apply_async(self, args: Iterable[Any], kwargs: Mapping[str, Any] | None, **options: Any) -> AsyncResult[R]: ...
    async def aapply_async(self, args: Any, kwargs: Mapping[str, Any] | None, **options: Any) -> AsyncResult[R]: ...


class TaskMethod(Generic[P, R]):
    """What ``order.ship`` is when `ship` is a task of the class: ``order.ship.delay(…)`` sends the order and the arguments.

    The instance is pickled, as any argument; the worker runs the method on the copy. What is not here is the task's own.
    """

    __module__ = "hotqueue.tasks"
    __slots__ = ("__self__", "_task")

    def __init__(self, task: Sendable[R], instance: Any) -> None:
        self._task = task
        self.__self__ = instance

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the method here and now."""
        return self._task(self.__self__, *args, **kwargs)

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Send a call; see `Task.delay`."""
        return self._task.delay(self.__self__, *args, **kwargs)

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Asyncio twin of `delay`."""
        return await self._task.adelay(self.__self__, *args, **kwargs)

    def apply_async(
        self, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[R]:
        """Send a call with options of its own; see `Task.apply_async`."""
        return self._task.apply_async(self._behind(args), kwargs, **options)

    async def aapply_async(self, args: Any = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> AsyncResult[R]:
        """Asyncio twin of `apply_async`."""
        return await self._task.aapply_async(self._behind(args), kwargs, **options)

    def _behind(self, args: Iterable[Any] | None) -> Any:
        """Return the arguments behind the instance."""
        if args is None:
            args = ()
        if isinstance(args, Iterable) and not isinstance(args, str | bytes | bytearray | Mapping | Set):  # else refused there
            args = (self.__self__, *args)
        return args

    def map(self, arguments: Iterable[Any]) -> ResultSet[R]:
        """Send one call an item, all on this instance; see `Task.map`."""
        definition = definition_of(self._task)
        if definition.after:
            return itemised(self._task, (self.__self__,), arguments).delay()
        return definition.send_each(arguments, (self.__self__,))

    async def amap(self, arguments: Iterable[Any]) -> ResultSet[R]:
        """Asyncio twin of `map`."""
        definition = definition_of(self._task)
        if definition.after:
            return await itemised(self._task, (self.__self__,), arguments).adelay()
        return await definition.asend_each(arguments, (self.__self__,))

    @overload
    def s(self, /) -> Signature[R]: ...
    @overload
    def s(self, /, *args: P.args, **kwargs: P.kwargs) -> Signature[R]: ...
    @overload
    def s(self: TaskMethod[Concatenate[Any, Q], R], /, *args: Q.args, **kwargs: Q.kwargs) -> Signature[R]: ...
    @overload
    def s(self: TaskMethod[Concatenate[Any, Any, Q], R], /, *args: Q.args, **kwargs: Q.kwargs) -> Signature[R]: ...
    def s(self, /, *args: Any, **kwargs: Any) -> Signature[R]:
        """Return a signature: what comes in front of these arguments stands behind the instance; see `Task.s`."""
        return signed(self._task, (self.__self__,), args, kwargs)

    def si(self, /, *args: P.args, **kwargs: P.kwargs) -> Signature[R]:
        """Return an immutable signature; see `Task.si`."""
        return signed(self._task, (self.__self__,), args, kwargs, is_immutable=True)

    def starmap(self, arguments: Iterable[Iterable[Any]]) -> Signature[list[R]]:
        """Return a signature of one task that makes one call an item, all on this instance; see `Task.starmap`."""
        return starred(self._task, (self.__self__,), arguments)

    def chunks(self, arguments: Iterable[Iterable[Any]], n: int) -> group[list[R]]:
        """Return a group of `starmap` signatures; see `Task.chunks`."""
        return chunked(self._task, (self.__self__,), arguments, n)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    @property
    def __signature__(self) -> inspect.Signature:
        signature = definition_of(self._task).signature
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __repr__(self) -> str:
        return f"<TaskMethod {self._task.name} of {self.__self__!r:.80}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskMethod) and self._task is other._task and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self._task), id(self.__self__)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (TaskMethod, (self._task, self.__self__))


class AsyncTaskMethod(TaskMethod[P, R]):
    """A `TaskMethod` made of an `async def` method, for type checkers."""

    __module__ = "hotqueue.tasks"

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
            """Make the coroutine here; the caller awaits it."""


def signed(
    task: Sendable[R], before: tuple[Any, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any], is_immutable: bool = False
) -> Signature[R]:
    """Return the signature of a call; what it is given later stands between `before` and `args`."""
    from hotqueue.tasks.workflow.signature import Signature
    from hotqueue.tasks.workflow.task_form import TaskForm

    return Signature(TaskForm(task, before, args, kwargs, is_immutable))


def itemised(task: Sendable[R], before: tuple[Any, ...], arguments: Iterable[Any]) -> group[R]:
    """Return the group that `map` sends of a task whose calls wait for results: one call an item."""
    from hotqueue.tasks.workflow.group import group

    options = definition_of(task).options
    items = checked_items(arguments, f"{task.name}.map()", bool(options.sensitive))
    return group(signed(task, before, (item,), {}, is_immutable=True) for item in items)


def starred(task: Sendable[R], before: tuple[Any, ...], arguments: Iterable[Iterable[Any]]) -> Signature[list[R]]:
    """Return the signature of one task that makes a call an item; it has all of their arguments, so it takes no others."""
    from hotqueue.tasks.workflow.signature import Signature
    from hotqueue.tasks.workflow.task_form import TaskForm, checked_calls

    return Signature(TaskForm(task, before, (checked_calls(task, arguments),), {}, is_immutable=True, is_star=True))


def chunked(task: Sendable[R], before: tuple[Any, ...], arguments: Iterable[Iterable[Any]], n: int) -> group[list[R]]:
    """Return the group of such signatures with `n` items each."""
    from hotqueue.tasks.workflow.group import group
    from hotqueue.tasks.workflow.task_form import checked_calls

    size = whole(n, "n", f"{task.name}.chunks()", 1, None)
    calls = checked_calls(task, arguments)
    return group(starred(task, before, calls[start : start + size]) for start in range(0, len(calls), size))


def unbound(function: Any) -> tuple[Any, str]:
    """Return the function beneath a `staticmethod` or `classmethod`, and what it is bound to: nothing, class or instance."""
    if isinstance(function, staticmethod):
        return function.__func__, "nothing"
    if isinstance(function, classmethod):
        return function.__func__, "class"
    return function, "instance"


def is_method_of(function: Callable[..., Any], instance: Any) -> bool:
    """Tell whether a function was defined in the class of `instance`, or one above; or in `instance`, when that is a class.

    A task that was made elsewhere and put into a class, such as ``job = other.task``, is none: it has no `self`.
    """
    if not is_in_class(function):
        return False
    holder = (function.__module__, function.__qualname__.rpartition(".")[0])
    classes = (*type(instance).__mro__, *(instance.__mro__ if isinstance(instance, type) else ()))
    return any((each.__module__, each.__qualname__) == holder for each in classes)
