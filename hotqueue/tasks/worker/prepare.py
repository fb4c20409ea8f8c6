"""Prepare: a fetched delivery → the call to run, or how it ends without a run. Unpickles nothing; I/O: none.

Decides nothing of its own about a task that ran: that is for rules/lifecycle.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from hotqueue.errors import CorruptEnvelope, HotQueueError, NewerEnvelope, SerializationError, SignatureError
from hotqueue.tasks.client.builtin import builtin
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.context import Channel, Request, begun_resuming, load_checkpoint
from hotqueue.tasks.execution.executor import Call
from hotqueue.tasks.resuming import Backing
from hotqueue.tasks.rules import lifecycle
from hotqueue.tasks.rules.callables import makes_generator
from hotqueue.tasks.rules.history import DUPLICATE, JOINED, JUST_WANTED, REVOKED, TIME_LIMIT, WANTED, History, fate, is_over
from hotqueue.tasks.rules.history import decode as decode_history
from hotqueue.tasks.rules.lifecycle import Outcome
from hotqueue.tasks.rules.options import TaskOptions, received
from hotqueue.tasks.wire import envelope, flow, payload
from hotqueue.tasks.wire.call import loads_portable, split_by_value
from hotqueue.tasks.wire.envelope import Envelope
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker import joined
from hotqueue.tasks.worker.inputs import arguments
from hotqueue.tasks.workflow.replacing import replaced_by

NOTHING_HAPPENED = History()
DEFAULTS = TaskOptions()

Load = Callable[[], tuple[Any, tuple[Any, ...], dict[str, Any]]]


@dataclass(slots=True)
class Ready:
    """A delivery that was looked at.

    Attributes:
        call: what to run; None when `outcome` already says how it ends.
    """

    delivery: Delivery
    name: str
    history: History
    options: TaskOptions
    call: Call | None = None
    outcome: Outcome | None = None

    @property
    def past(self) -> History:
        """Its history, with what this run has added to it but its end."""
        resuming = None if self.call is None else begun_resuming(self.call.request)
        if resuming is None or not resuming.has_kept:
            return self.history
        history = self.history.with_checkpoint()
        return history.come_further() if resuming.is_further and history.deliveries else history

    @property
    def fate(self) -> int:
        """What becomes of it should its process die; see `history.fate`."""
        history, most = self.history, self.options.max_deliveries
        return 0 if history is NOTHING_HAPPENED and most > 1 else fate(history, most)


def prepare(
    registry: Registry,
    queue: str,
    delivery: Delivery,
    worker: str,
    channel: Channel | None,
    clock: Callable[[], int],
    original: Definition | None = None,
    backing: Backing | None = None,
) -> Ready:
    """Return what is to be done with a delivery; unpickles nothing.

    Args:
        channel: publishes progress and items; None for a look at it alone.
        clock: server time in ms.
        original: of the task that was sent, where it was sent by value and is at hand.
        backing: what keeps what the task keeps for its next run.
    """
    history = decode_history(delivery.history) if delivery.history else NOTHING_HAPPENED
    try:
        found = _found(registry, queue, delivery)
    except (SerializationError, SignatureError) as error:
        return Ready(delivery, "?", history, DEFAULTS, outcome=_unwanted(delivery.id, history, clock) or _unreadable(error))
    name, own, delivery.head_bytes = found.task, found.header.get("options"), found.head_bytes
    task = original if found.by_value else registry.definitions.get(name) or builtin(registry, name)
    options = task.options if task is not None else DEFAULTS
    try:
        if own:
            options = received(options, own)
    except (TypeError, ValueError) as error:  # of a producer that is none of ours
        outcome = lifecycle.unloadable(CorruptEnvelope(f"options that this worker cannot take: {error}"))
        return Ready(delivery, name, history, DEFAULTS, outcome=outcome)
    ready = Ready(delivery, name, history, options)
    ready.outcome = None if delivery.history in (b"", JUST_WANTED) else _foregone(ready, registry, clock)
    if ready.outcome is None and (task is None or found.by_value):
        ready.outcome = _unrunnable(found, task)
    if ready.outcome is None:
        request = Request(found, history, queue, worker, channel, backing)
        ready.call = Call(
            name,
            _by_name(found, task, delivery, registry) if task is not None else _by_value(found, ready, registry, channel),
            request,
            found.kind == envelope.ASYNC,
            options.soft_time_limit,
            (not options.ignore_result and options.result_expires > 0) or history.verdict == WANTED,
            outlet=_outlet(channel, request, options) if task is not None and task.streams else None,
            replacing=(replaced_by, registry),
        )
        _arrange(ready, registry)
    return ready


def _arrange(ready: Ready, registry: Registry) -> None:
    """Have a call begin otherwise than by itself, of which the history says so."""
    assert ready.call is not None
    _have_wait_for_checkpoint(ready.call, ready.history)
    if ready.history.verdict == JOINED:
        _have_end_as(ready, ready.history.holder, registry)


def _kept_out(ready: Ready, registry: Registry) -> Outcome | None:
    """Return how a step ends, if it is so already, whose unique key another task had."""
    if ready.history.verdict not in (DUPLICATE, JOINED):
        return None
    return joined.outcome(ready.delivery, ready.name, ready.history, registry.result_signer(registry.name))


def _have_end_as(ready: Ready, holder: str, registry: Registry) -> None:
    """Have a step end as the task did that had its unique key, once, and have what comes of it stored."""
    assert ready.call is not None
    signer = registry.result_signer(registry.name)
    ready.call.load = joined.load(ready.delivery, holder, signer, ready.call.is_async)
    ready.call.keeps_result, ready.call.outlet = True, None
    ready.options = replace(ready.options, max_retries=0)


def _found(registry: Registry, queue: str, delivery: Delivery) -> Envelope:
    if registry.signer is None and delivery.read is not None:
        return delivery.read
    return envelope.decode(delivery.data, registry.signer, queue, delivery.id)


def _unreadable(error: HotQueueError) -> Outcome:
    if isinstance(error, NewerEnvelope):
        return lifecycle.unrunnable(f"wire:{error.version}")
    return lifecycle.unloadable(error)


def _have_wait_for_checkpoint(call: Call, history: History) -> None:
    """Have the call of an `async def` task begin by asking for its checkpoint, if there is one: its loop is not to wait."""
    if not (call.is_async and history.has_checkpoint):
        return
    load, request = call.load, call.request

    def load_call() -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        function, args, kwargs = load()

        async def go_on(made: Any) -> Any:
            try:
                await load_checkpoint(request)
            except BaseException:
                made.close()
                raise
            return await made

        @wraps(function)
        def begin(*args: Any, **kwargs: Any) -> Any:
            return go_on(function(*args, **kwargs))  # whose body has not begun

        return begin, args, kwargs

    call.load = load_call


def _foregone(ready: Ready, registry: Registry, clock: Callable[[], int]) -> Outcome | None:
    """Return how a task ends that is not run: out of time, out of deliveries, stopped, or kept out."""
    history, most = ready.history, ready.options.max_deliveries
    if history.verdict == TIME_LIMIT:
        return lifecycle.overran(history)
    if history.verdict != REVOKED and is_over(history, most):
        return lifecycle.exhausted(history, most)
    return _unwanted(ready.delivery.id, history, clock) or _kept_out(ready, registry)


def _unwanted(task_id: str, history: History, clock: Callable[[], int]) -> Outcome | None:
    """Return how a task ends that nobody wants any more, whatever it is."""
    if history.verdict == REVOKED:
        return lifecycle.revoked(task_id)
    if history.expires is not None and history.expires <= clock():
        return lifecycle.expired(history.expires, clock(), history.tries)
    return None


def _as_step(
    found: Envelope, delivery: Delivery, registry: Registry, args: tuple[Any, ...], function: Callable[..., Any]
) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    """Return what a step of a workflow is called with, its sender's `args` with what it takes of others, and what is called.

    Of `task.starmap` that is what calls the function for each item.
    """
    if not delivery.inputs and not envelope.may_say(delivery.data, b'"star":'):
        return args, function  # as for the members of a wide one
    said = found.flow
    signer = registry.result_signer(registry.name, *said.get("from", ()))
    args = arguments(said, delivery.inputs or {}, signer, args)
    return args, flow.for_each(function, found.kind == envelope.ASYNC) if "star" in said else function


def _outlet(channel: Channel | None, request: Request, options: TaskOptions) -> Callable[[], Any]:
    """Return what makes the way out of the items that a task yields."""

    def made() -> Any:
        assert channel is not None
        return channel.outlet(request, options)

    return made


def _by_value(found: Envelope, ready: Ready, registry: Registry, channel: Channel | None) -> Load:
    def load() -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        function, call = split_by_value(found.payload)
        portable = loads_portable(function)
        ready.options = replace(
            ready.options,
            bind=portable.bind,
            autoretry_for=portable.autoretry_for,
            dont_autoretry_for=portable.dont_autoretry_for,
        )
        if makes_generator(portable.function):
            assert ready.call is not None
            ready.call.outlet = _outlet(channel, ready.call.request, ready.options)
        args, kwargs = payload.loads(call)
        called = portable.function
        if ready.delivery.inputs is not None:
            args, called = _as_step(found, ready.delivery, registry, args, called)
        if portable.bind:
            task: Task[..., Any] = Task(Definition(portable.function, registry, found.task, ready.options))
            args = (task, *args)
        return called, args, kwargs

    return load


def _by_name(found: Envelope, task: Definition, delivery: Delivery, registry: Registry) -> Load:
    # Knows nothing of its `Ready`, which knows it: a circle would keep arguments and results until somebody collects garbage.
    def load() -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        args, kwargs = payload.loads(split_by_value(found.payload)[1] if found.by_value else found.payload)
        called = task.function
        if delivery.inputs is not None:
            args, called = _as_step(found, delivery, registry, args, called)
        return called, ((*task.before, *args) if task.before else args), kwargs

    return load


def _unrunnable(found: Envelope, task: Definition | None) -> Outcome | None:
    """Return the outcome of a task that must wait for another worker."""
    if found.by_value:
        python = found.header.get("python", payload.PYTHON)
        return lifecycle.unrunnable(f"python:{python}") if python != payload.PYTHON else None
    return lifecycle.unrunnable(f"task:{found.task}") if task is None else None
