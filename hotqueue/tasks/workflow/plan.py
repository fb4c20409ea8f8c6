"""Planning: a signature → the steps that the store is given: who waits for whom, and of which values its arguments are made.

Draws ids and encodes calls; sends nothing. What the store does with a plan is in wire/plan.py and broker/.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hotqueue.errors import ConfigError, DuplicateTask
from hotqueue.tasks.client import builtin
from hotqueue.tasks.client.client import Client
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.per_call import checked_id
from hotqueue.tasks.context import current_request
from hotqueue.tasks.rules.options import seconds
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.workflow.encoding import Flow, encoded

if TYPE_CHECKING:
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.workflow.form import Form
    from hotqueue.tasks.workflow.task_form import TaskForm

Shape = Any  # of which steps a value is made: the number of one, a list of shapes, or None where nothing came before
FIRST = frozenset({"countdown", "eta"})  # options of a whole that hold for what of it starts first
LAST = frozenset({"task_id"})  # for what ends last
MANY = 8  # values of steps that several others are given are collected into one, from so many on
LEAST_MS = 60_000  # for which a graph is kept once its last step is over: who revokes that one reads it then, for those before it


@dataclass
class Given:
    """What a step is given by those before it.

    Attributes:
        shape: of which steps the value is made that goes in front of its arguments.
        when: for what of these: "S" that all succeed, "A" end, "F" that one fails.
        args, kwargs: what the caller gave, where nothing comes before.
        also: steps that have to succeed, and whose values are in no shape: those in front of an empty group.
        uses: how many steps were given the value already.
    """

    shape: Shape = None
    when: str = "S"
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[int, ...] = ()
    uses: int = 0

    def then(self, shape: Shape, when: str = "S") -> Given:
        """Return what comes after a step that was given this, and whose value is made like that; `when` is for steps in that."""
        if _leaves(shape):
            return Given(shape, when)
        return Given(shape, self.when, also=(*_leaves(self.shape), *self.also))


class Context(NamedTuple):
    """The options that the steps of what is planned just now have of the whole that they are of."""

    every: dict[str, Any]
    first: dict[str, Any]
    last: dict[str, Any]
    after: tuple[AsyncResult[Any], ...]

    def within(self, is_first: bool, is_last: bool) -> Context:
        """Return what a part has of them that says nothing itself."""
        return (
            self
            if is_first and is_last
            else Context(self.every, self.first if is_first else {}, self.last if is_last else {}, self.after if is_first else ())
        )


class Known(NamedTuple):
    """What is known of a step here: which task, for handles and graphs."""

    id: str
    queue: str
    task: str
    needs: tuple[int, ...]
    when: str
    headers: dict[str, Any]


class Planning:
    """The steps of one workflow, as they are added.

    Attributes:
        id: of the workflow.
        steps: for the store; those that others wait for come first.
        known: the same, for handles and graphs.
        root, parent: ids, as `request` of the first step has them.
        headers: of those of its steps that come first, under their own.
        replaced: how often tasks were replaced, one by the other, until these steps came.
        client: what sends all of it: that of the first step's queue.
        stays_ms: how long the results of its steps are kept, at the longest; the graph is kept as long, a minute at least.
    """

    def __init__(self) -> None:
        self.id = self._prefix = os.urandom(10).hex()
        self.steps: list[Step] = []
        self.known: list[Known] = []
        request = current_request()
        self.root = None if request is None else request.root_id
        self.parent = None if request is None else request.id
        self.headers: dict[str, Any] = {}
        self.replaced = 0
        self.client: Client | None = None
        self.stays_ms = LEAST_MS
        self._context = Context({}, {}, {}, ())
        self._aside: set[int] = set()  # steps that follow the end of others, and are not of what these are parts of

    def name(self, task_id: Any, is_anew: bool) -> None:
        """Have it be called what its sender says: sent again under this id it is the same, so its steps have the same ids."""
        self.id = checked_id(task_id)
        if not is_anew:
            self._prefix = hashlib.blake2b(task_id.encode(), digest_size=10).hexdigest()

    def is_forgotten(self, error: DuplicateTask) -> bool:
        """Tell whether the step that has the id of the whole was forgotten, which has it sent anew, and only others are known."""
        is_of_ids = error.task_id in error.ids  # else it is of a unique key
        return is_of_ids and self.id not in error.ids and any(step.id == self.id for step in self.steps)

    # --- options of the whole ------------------------------------------------------------------------------------

    def _under(self, part: Form, is_first: bool, is_last: bool) -> Context:
        """Return the options that a part of a whole is planned with: its own, over those of the whole."""
        outer, own = self._context, part.options
        every = _merged(outer.every, {name: value for name, value in own.items() if name not in FIRST | LAST})
        first = {**(outer.first if is_first else {}), **{name: own[name] for name in FIRST & own.keys()}}
        last = {**(outer.last if is_last else {}), **{name: own[name] for name in LAST & own.keys()}}
        return Context(every, first, last, (*(outer.after if is_first else ()), *part.after))

    # --- steps ---------------------------------------------------------------------------------------------------

    def part(self, part: Form, given: Given, is_first: bool = True, is_last: bool = True) -> Shape:
        """Add the steps of a part, and what it says is to follow it; return of which steps its value is made."""
        first, outer = len(self.steps), self._context
        self._context = outer.within(is_first, is_last) if part.is_bare else self._under(part, is_first, is_last)
        try:
            shape = part.plan(self, given)
        finally:
            self._context = outer
        if part.links or part.errbacks:
            self._plan_what_follows(part, shape, first)
        return shape

    def _plan_what_follows(self, part: Form, shape: Shape, first: int) -> None:
        own = tuple(number for number in range(first, len(self.steps)) if number not in self._aside)
        with self._apart():
            for link in part.links:
                self.part(link, Given(shape))
            needs = part.failing(own)
            for errback in part.errbacks if needs else ():
                self.part(errback, Given(list(needs), "F"))

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Plan what has nothing of the options of the whole, and is none of its parts."""
        outer, first = self._context, len(self.steps)
        self._context = Context({}, {}, {}, ())
        try:
            yield
        finally:
            self._context = outer
            self._aside.update(range(first, len(self.steps)))

    def add(self, call: TaskForm, given: Given) -> int:
        """Add the step of one call; return its number."""
        context, shape = self._context, self._shape_for(given)
        leaves = _leaves(shape)
        args, kwargs, needs, takes = call.args, call.kwargs, (*leaves, *given.also), None
        if not call.is_immutable and leaves:
            takes = shape
        elif not call.is_immutable:  # what comes in front of the arguments is known: it was given, or is an empty list
            args, kwargs = (*(given.args if shape is None else (shape,)), *args), {**kwargs, **given.kwargs}
        flow = Flow(takes, needs, given.when, len(call.before), call.is_star)
        options = {**context.every, **context.first, **context.last}
        return self._put(call.definition, (*call.before, *args), kwargs, options, flow, context.after)

    def collected(self, given: Given, **options: Any) -> int:
        """Add a step whose value is that which others are given; return its number."""
        assert self.client is not None
        definition = builtin.collect(self.client)
        flow = Flow(given.shape, (*_leaves(given.shape), *given.also), given.when)
        return self._put(definition, (), {}, options, flow, ())

    def _shape_for(self, given: Given) -> Shape:
        """Return the shape of what one more step is given; a wide one that several are given is collected once."""
        if isinstance(given.shape, list) and given.when != "F" and given.uses and len(_leaves(given.shape)) >= MANY:
            with self._apart():
                given.shape = self.collected(given)
            self._aside.discard(given.shape)
            given.when = "S"
        given.uses += 1
        return given.shape

    def _put(
        self,
        definition: Definition,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
        flow: Flow,
        after: tuple[AsyncResult[Any], ...],
    ) -> int:
        number = len(self.steps)
        self.client = _same_store(self.client, definition)
        own_id = options.pop("task_id", None)
        task_id = checked_id(own_id) if own_id else f"{self._prefix}-{number:x}"
        before = [self.known[need].headers for need in flow.needs] or [self.headers]
        inherited = [{"headers": found} for found in before if found]
        whole = _merged(*inherited, options) if inherited else options
        flow.replaced, flow.number = self.replaced, number if number or own_id else None
        flow.root, flow.parent = self.root, self.known[flow.needs[-1]].id if flow.needs else self.parent
        needed = [(self.known[need].id, self.known[need].task) for need in flow.needs]
        flow.queues = tuple({self.known[need].queue for need in flow.needs})
        step = encoded(definition, task_id, args, kwargs, whole, flow, needed, [handle_of(r) for r in after])
        self.root = self.root or task_id
        stays = whole.get("result_expires") or definition.options.result_expires
        self.stays_ms = max(self.stays_ms, round(seconds(stays, "result_expires=") * 1000))
        self.steps.append(step)
        self.known.append(Known(task_id, step.queue, definition.name, flow.needs, flow.when, whole.get("headers") or {}))
        return number


def compiled(form: Form, args: tuple[Any, ...], kwargs: Mapping[str, Any], is_anew: bool = False) -> tuple[Planning, Shape]:
    """Return the steps of a signature that is given these arguments, and of which of them its value is made.

    Args:
        is_anew: it has nothing to do with what was sent under its id before.
    """
    planning = Planning()
    task_id = form.options.get("task_id")
    if task_id:
        planning.name(task_id, is_anew)
    if form.begins_wide:
        planning.root = planning.root or planning.id
    if form.is_wide:
        form = form.copy()
        form.options.pop("task_id", None)
    return planning, planning.part(form, Given(None, args=args, kwargs=kwargs))


def _leaves(shape: Shape) -> tuple[int, ...]:
    """Return the numbers of the steps in a shape, each once."""
    return tuple(dict.fromkeys(_each(shape))) if isinstance(shape, list) else () if shape is None else (shape,)


def _each(shape: Shape) -> Iterator[int]:
    if isinstance(shape, list):
        for part in shape:
            yield from _each(part)
    elif shape is not None:
        yield shape


def _merged(*options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options over others; headers are put together, the later ones over the earlier."""
    found: dict[str, Any] = {}
    for each in options:
        headers = {**(found.get("headers") or {}), **(each.get("headers") or {})}
        found |= each
        if headers:
            found["headers"] = headers
    return {name: value for name, value in found.items() if name != "headers" or value}


def _same_store(client: Client | None, definition: Definition) -> Client:
    """Return what sends a workflow: the client of its first step.

    Raises:
        ConfigError: another step is of a queue that lives elsewhere, or signs with other keys.
    """
    if client is None or client is definition.client:
        return definition.client
    if str(client.store) != str(definition.client.store):
        raise ConfigError(
            f"{definition.name} is a task of queue {definition.client.name!r} at {definition.client.store}, but the workflow "
            f"begins in queue {client.name!r} at {client.store}: the queues of a workflow live in one store"
        )
    own, other = client.signer, definition.client.signer
    if other is not None if own is None else not own.agrees_with(other):
        raise ConfigError(
            f"{definition.name} is a task of queue {definition.client.name!r}, which has another secret key than queue "
            f"{client.name!r}, in which the workflow begins: the queues of a workflow have the same"
        )
    return client
