"""Encoding: one step's call → its envelope, with what the worker must know of the steps before it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hotqueue.errors import ConfigError
from hotqueue.runtime import testing_mode
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.calls import ready_to_send
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.wire.plan import Step

NAMED = 100  # steps whose tasks an errback is told the names of


@dataclass
class Flow:
    """What a step has to do with those before it.

    Attributes:
        takes: of which steps its value is made, see `plan.Shape`; None: it takes none.
        needs: the numbers of the steps that it waits for.
        when: see `wire.plan.Step`.
        at: behind how many of its arguments the value goes.
        is_star: whether its function is called for each item of its argument.
        root, parent: ids, as `request` has them.
        queues: those of the steps that it waits for.
        replaced: how often tasks were replaced, one by the other, until it came.
        number: which step of its workflow it is; None where its id says so, see `Request.step`.
    """

    takes: Any = None
    needs: tuple[int, ...] = ()
    when: str = "S"
    at: int = 0
    is_star: bool = False
    root: str | None = None
    parent: str | None = None
    queues: tuple[str, ...] = ()
    replaced: int = 0
    number: int | None = None

    @property
    def is_fed(self) -> bool:
        """True where something comes in front of its arguments when it starts."""
        return self.takes is not None

    def ahead(self) -> tuple[Any, ...]:
        """Return what stands for what comes in front of the arguments."""
        if not self.is_fed:
            return ()
        return (LATER, LATER, LATER) if self.when == "F" else (LATER,)

    def header(self, ids: Sequence[str], names: Sequence[str], queue: str) -> dict[str, Any]:
        """Return it as it travels in the call header to a queue; empty for a call that has nothing to do with others."""
        found: dict[str, Any] = {}
        if self.is_fed:
            places = {need: place for place, need in enumerate(self.needs)}
            is_flat = isinstance(self.takes, list) and tuple(self.takes) == self.needs
            found["needs"] = list(ids)
            if self.when != "F":
                found["takes"] = "*" if is_flat else _placed(self.takes, places)
            else:
                found["of"] = dict(zip(ids[:NAMED], names, strict=False))
            if self.at:
                found["at"] = self.at
            if others := sorted(set(self.queues) - {queue}):
                found["from"] = others
        if self.is_star:
            found["star"] = 1
        if self.replaced:
            found["replaced"] = self.replaced
        more = {"root": self.root, "parent": self.parent, "step": self.number}
        return {**{name: value for name, value in more.items() if value is not None}, **found}


def _placed(shape: Any, places: dict[int, int]) -> Any:
    return [_placed(each, places) for each in shape] if isinstance(shape, list) else places[shape]


class _Later:
    """Stands for a value that is not known before its step has ended."""

    def __repr__(self) -> str:
        return "…"

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError(
            "a key is made of this argument, which is the value of the step before, and not known when the workflow is sent: "
            "name another argument in the key"
        )

    __str__ = __format__ = __reduce__ = __reduce_ex__ = __getattr__ = _refuse


LATER = _Later()


def encoded(
    definition: Definition,
    task_id: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
    flow: Flow,
    needed: Sequence[tuple[str, str]],
    after: Sequence[Handle[Any]],
) -> Step:
    """Return one step, encoded.

    Args:
        needed: ids of the steps that it waits for, and names of their tasks.
        after: tasks that were sent earlier, and have to succeed before it.

    Raises:
        TypeError: the call does not fit, or a key is made of what comes later.
        SerializationError: an argument cannot travel.
    """
    queue = options.get("queue") or definition.options.queue or definition.client.name
    header = flow.header([task_id for task_id, _ in needed], [name for _, name in needed], queue)
    more = {"flow": header} if header else None
    needs = (*(task_id for task_id, _ in needed), *(handle.id for handle in after))
    if options or after or definition.options.unique:
        queue, sent = _checked(definition, task_id, args, kwargs, options, flow, more, after)
    else:  # as the members of wide ones mostly are
        ahead = flow.ahead()
        behind = (ahead, flow.at) if ahead else None
        data = definition.encode(task_id, args, kwargs, definition.options, queue, more, behind)
        sent = Encoded(task_id, *definition.when(), data)
    if testing_mode.sandbox is not None:
        testing_mode.sandbox.originals[sent.id] = definition
    elsewhere = [(handle.id, handle.queue) for handle in after]
    needs = tuple(dict.fromkeys(needs))
    return Step(sent.id, queue, sent.envelope, sent.due, sent.expires, needs, flow.when, flow.is_fed, elsewhere)


def _checked(
    definition: Definition,
    task_id: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
    flow: Flow,
    more: dict[str, Any] | None,
    after: Sequence[Handle[Any]],
) -> tuple[str, Encoded]:
    """Return the queue and the envelope of a step of which more is said than its arguments."""
    where = f"{definition.name} as a step of a workflow"
    call = ready_to_send(definition, where, args, kwargs, more, flow.ahead(), flow.at, **options, task_id=task_id)
    for handle in after:
        if str(handle.client.store) != str(definition.client.store):
            raise ConfigError(
                f"{where} is to run at {definition.client.store} after task {handle.id}, which is at {handle.client.store}: "
                "depends_on= takes results of the same store"
            )
    return call.queue, call.task
