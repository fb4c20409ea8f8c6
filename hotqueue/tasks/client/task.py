"""Task[P, R]: what `@queue.task` makes of a function. Calling it runs it here; `delay` sends it to a worker."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Set
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, Self, TypeVar, overload

from hotqueue.errors import SerializationError
from hotqueue.hints import did_you_mean
from hotqueue.runtime import in_place
from hotqueue.sizes import PAYLOAD_MAX, in_words
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored import BULK
from hotqueue.tasks.client.arguments import HIDDEN, are_short, args_text, check_sensitive, readable
from hotqueue.tasks.client.batch import TRIP_BYTES
from hotqueue.tasks.client.client import Client, client_of
from hotqueue.tasks.client.method import AsyncTaskMethod, TaskMethod, is_in_class, is_method_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.context import Request, current_task
from hotqueue.tasks.rules.callables import is_async, refuse_generator
from hotqueue.tasks.rules.options import OF_THE_CALL, PER_CALL, TaskOptions, instant_ms, override, seconds
from hotqueue.tasks.wire import envelope, functions, main_module, payload

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that workers can run.

    Attributes:
        name: ``module.qualname`` unless the author said otherwise; what a worker looks it up by.
        options: the decorator's.
        client: what sends it.
        is_async: True for an `async def` function; also as a partial, a method, or as `__call__`.
    """

    __module__ = "hotqueue.tasks"
    __name__: str
    __qualname__: str
    _bound_to = "instance"  # in pickles of older versions it is not said

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
        self.signature = signature_of(function, options.bind)
        self._counts = _positional_counts(self.signature)
        check_sensitive(options.sensitive, self.signature, "@queue.task")
        self._forms: dict[tuple[str, int], envelope.Form] = {}  # of calls without options of their own, by queue and flags
        self._by_value = by_value  # None until it is first sent
        self._is_mains = getattr(function, "__module__", None) in main_module.MAINS

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
        self._forms = {}
        self.signature = signature_of(self.__wrapped__, self.options.bind)
        self._counts = _positional_counts(self.signature)

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
            As `delay`; TypeError for `args` that are no sequence of arguments, or an unknown option; ValueError for a naive
            datetime or a value out of range.
        """
        where = f"{self.name}.apply_async()"
        is_secret = bool(self.options.sensitive or options.get("sensitive"))
        args, kwargs = _checked_args(args, where, is_secret), _checked_kwargs(kwargs, where, is_secret)
        if priority is not None:
            options["priority"] = priority
        if queue is not None:
            options["queue"] = queue
        self._refuse_arguments_as_options(options, where)
        merged = override(self.options, options, where) if options else self.options
        if merged.sensitive is not self.options.sensitive:
            check_sensitive(merged.sensitive, self.signature, where)
        name = queue or merged.queue or self.client.name
        more: dict[str, Any] = {"headers": _checked_headers(headers, where)} if headers is not None else {}
        due, eta_ms = _due(countdown, eta, where)
        if eta_ms is not None:
            more["eta"] = eta_ms
        expiry = _expiry(expires if expires is not None else merged.expires, where)
        task_id = _checked_id(task_id) if task_id is not None else os.urandom(16).hex()
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
        for item in _checked_items(arguments, f"{self.name}.map()", bool(self.options.sensitive)):
            task_id = os.urandom(16).hex()
            try:
                data = self._encode(task_id, (*before, item), {}, self.options, client.name)
            except (TypeError, SerializationError) as error:
                sent = len(results) - len(batch)
                told = f"{sent} calls before it were sent" if sent else "nothing was sent"
                raise type(error)(f"item {len(results)} of map(): {error}; {told}") from error
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
        return "", "" if options.expires is None else _expiry(options.expires, self.name)

    def _encode(
        self,
        task_id: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        queue: str,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        if kwargs or not self._counts[0] <= len(args) <= self._counts[1]:
            self._check(args, kwargs)
        by_value_ = self._by_value if self._by_value is not None else self._decide()
        if by_value_ and in_place.stage is not None:
            in_place.stage.originals[task_id] = self
        if by_value_ or kwargs or options.sensitive or not are_short(args):
            portable = self._portable(options) if by_value_ else None
            visible = readable(args, kwargs, self.signature, options.sensitive)
            copies = by_value_ or not self._is_mains  # only the workers of a script's own tasks import the script
            data = payload.dumps_call(self.name, args, kwargs, portable, self._has_self, visible, copies)
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

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            why = self._unknown_argument(kwargs) or self._lost_class(args) or error
            raise TypeError(f"{self.name}{self.signature} cannot be called like this: {why}") from None

    def _unknown_argument(self, kwargs: dict[str, Any]) -> str:
        """Say which keyword is none of the function's, before what is missing for want of it."""
        known = [p.name for p in self.signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if any(p.kind is p.VAR_KEYWORD for p in self.signature.parameters.values()):
            return ""
        for name in kwargs:
            if name in known or not isinstance(name, str):
                continue
            if name in PER_CALL | OF_THE_CALL:
                return f"it has no argument {name!r}; an option of the call goes into apply_async(args, kwargs, {name}=…)"
            return f"it has no argument {name!r}{did_you_mean(name, known)}"
        return ""

    def _lost_class(self, args: tuple[Any, ...]) -> str:
        """Say what is wrong with a class method that got no class: from Python 3.13 on, `classmethod` does not bind tasks."""
        first = next(iter(self.signature.parameters), "")
        if first != "cls" or not is_in_class(self.__wrapped__) or (args and isinstance(args[0], type)):
            return ""
        return "it got no class; write @queue.task above @classmethod"

    def _refuse_arguments_as_options(self, options: Mapping[str, Any], where: str) -> None:
        for name in options:
            if name in self.signature.parameters and name not in PER_CALL | OF_THE_CALL:
                raise TypeError(f"{where} got an unknown option {name!r}: the task has it, write kwargs={{{name!r}: …}}")

    def _has_self(self) -> bool:
        """Tell whether the first argument is the instance whose method this is."""
        return (
            self._bound_to == "instance" and is_in_class(self.__wrapped__) and next(iter(self.signature.parameters), "") == "self"
        )

    def _decide(self) -> bool:
        self._by_value = functions.needs_value(self.__wrapped__)
        return self._by_value

    def _portable(self, options: TaskOptions) -> payload.Portable:
        return payload.Portable(self.__wrapped__, options.bind, options.autoretry_for, options.dont_autoretry_for)

    def _header(self, options: TaskOptions, queue: str) -> bytes:
        travelling = options.travelling()
        if not self._by_value:  # a worker that imports the task knows the decorator's options: only this call's travel
            own = self.options.travelling()
            travelling = {k: v for k, v in travelling.items() if own.get(k) != v}
            travelling |= {k: getattr(options, k) for k in own if k not in options.travelling()}
        return envelope.task_header(self.name, queue, travelling, payload.PYTHON if self._by_value else "")

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


def signature_of(function: Callable[..., Any], bind: bool) -> inspect.Signature:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-ins have none: accept anything
        return inspect.Signature(
            [
                inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
                inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
            ]
        )
    if not bind:
        return signature
    parameters = list(signature.parameters.values())
    if not parameters:
        raise TypeError("a task with bind=True gets itself as its first argument, but the function takes none")
    return signature.replace(parameters=parameters[1:])


def _positional_counts(signature: inspect.Signature) -> tuple[int, float]:
    """Return the least and the most positional arguments of a call without keywords, so that most calls need no bind()."""
    least, most = 0, 0.0
    for parameter in signature.parameters.values():
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            most = float("inf")
        elif parameter.kind is parameter.KEYWORD_ONLY and required:
            return 1, 0  # never enough: always look closely
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += required
    return least, most


def _due(countdown: float | timedelta | None, eta: datetime | None, where: str) -> tuple[str, int | None]:
    if countdown is not None and eta is not None:
        raise TypeError(f"{where} got both countdown= and eta=; give one of them")
    if countdown is not None:
        ms = int(seconds(countdown, f"{where} countdown=") * 1000)
        return f"+{ms}", int(time.time() * 1000) + ms
    if eta is not None:
        ms = instant_ms(eta, f"{where} eta=")
        return str(ms), ms
    return "", None


def _expiry(expires: float | timedelta | datetime | None, where: str) -> str:
    if expires is None:
        return ""
    if isinstance(expires, datetime):
        return str(instant_ms(expires, f"{where} expires="))
    return f"+{int(seconds(expires, f'{where} expires=') * 1000)}"


def _checked_args(args: Any, where: str, is_secret: bool) -> tuple[Any, ...]:
    """Return the positional arguments; one that stands alone would be taken apart, or fail further down."""
    if args is None:
        return ()
    if isinstance(args, str | bytes | bytearray | Mapping | Set) or not isinstance(args, Iterable):
        shown = repr(HIDDEN) if is_secret else f"{args!r:.80}"
        hint = f"kwargs={shown}" if isinstance(args, Mapping) else f"apply_async(({shown},))"
        raise TypeError(f"{where} takes a tuple or list of arguments, not {shown}; did you mean {hint}?")
    return tuple(args)


def _checked_items(items: Any, where: str, is_secret: bool) -> Iterable[Any]:
    if isinstance(items, str | bytes | bytearray) or not isinstance(items, Iterable):
        also = "; list(…) of it for one call a character" if isinstance(items, str) else ""
        shown = repr(HIDDEN) if is_secret else f"{items!r:.80}"
        raise TypeError(f"{where} takes the items, one call each, not {shown}; did you mean map([{shown}])?{also}")
    return items


def _checked_kwargs(kwargs: Any, where: str, is_secret: bool) -> dict[str, Any]:
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping):
        shown = repr(HIDDEN) if is_secret else f"{kwargs!r:.80}"
        raise TypeError(f"{where} kwargs= takes a dict of the task's keyword arguments, not {shown}")
    return dict(kwargs)


def _checked_id(task_id: Any) -> str:
    if isinstance(task_id, str) and task_id and not {"\0", "\n"} & set(task_id):
        try:
            if len(task_id.encode()) <= 200:
                return task_id
        except UnicodeEncodeError:
            pass
    raise ValueError(f"task_id= takes a str of 1 to 200 bytes (as UTF-8) without NUL or newline, not {task_id!r:.80}")


def _checked_headers(headers: Any, where: str) -> dict[str, Any]:
    import json

    what = f"{where} headers= takes a dict of JSON values with str keys"
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        raise SerializationError(f"{what}, not {headers!r:.80}")
    try:
        data = json.dumps(dict(headers), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"{what}: {error}") from None
    if len(data) > PAYLOAD_MAX:
        limit = in_words(PAYLOAD_MAX)
        raise SerializationError(
            f"{where} headers= take {in_words(len(data))}, but may have {limit}; send where they are instead"
        )
    return dict(json.loads(data))
