"""Calls: what one call with options of its own comes to, checked and encoded, for `apply_async` and `queue.send`. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.arguments import checked_args, checked_kwargs, refuse_as_options
from hotqueue.tasks.client.client import Handles
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.per_call import checked_headers, checked_id, due_of, expiry_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.rules.options import override


class ReadyToSend(NamedTuple):
    """A call that was checked.

    Attributes:
        result: the handle to it.
        queue: the name of the queue that it goes to.
        handles: of a unique task, what `Client.send` is to be given.
    """

    result: AsyncResult[Any]
    queue: str
    task: Encoded
    handles: Handles = None


def ready_to_send(
    definition: Definition,
    where: str,
    args: Iterable[Any] | None,
    kwargs: Mapping[str, Any] | None,
    more: Mapping[str, Any] | None = None,
    ahead: tuple[Any, ...] = (),
    at: int = 0,
    /,
    *,
    countdown: float | timedelta | None = None,
    eta: datetime | None = None,
    expires: float | timedelta | datetime | None = None,
    priority: int | None = None,
    queue: str | None = None,
    task_id: str | None = None,
    headers: Mapping[str, Any] | None = None,
    **options: Any,
) -> ReadyToSend:
    """Return a call of a task, ready to be sent; see `Task.apply_async` for the arguments.

    Args:
        where: how to name the caller in an error, such as "square.apply_async()".
        more: of the call header, beside headers and eta.
        ahead: what stands for values that come in front of the arguments when it starts, behind the first `at` of them.
    """
    own = definition.options
    is_secret = bool(own.sensitive or options.get("sensitive"))
    args, kwargs = checked_args(args, where, is_secret), checked_kwargs(kwargs, where, is_secret)
    options |= {name: given for name, given in (("priority", priority), ("queue", queue)) if given is not None}
    refuse_as_options(definition.signature, options, where)
    merged = override(own, options, where) if options else own
    if merged is not own:
        definition.check(merged, where)
    name = queue or merged.queue or definition.client.name
    more = dict(more or {}) if headers is None else {**(more or {}), "headers": checked_headers(headers, where)}
    due, eta_ms = due_of(countdown, eta, where)
    if eta_ms is not None:
        more["eta"] = eta_ms
    expiry = expiry_of(expires if expires is not None else merged.expires, where)
    task_id = checked_id(task_id) if task_id is not None else os.urandom(16).hex()
    data = definition.encode(task_id, args, kwargs, merged, name, more, (ahead, at) if ahead else None)
    handle: Handle[Any] = Handle(task_id, definition.client, name)
    return ReadyToSend(AsyncResult(handle), name, Encoded(task_id, due, expiry, data), [handle] if merged.unique else None)
