"""TaskForm: one call of a task: the arguments that are known, and whether a value of the step before goes in front of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from hotqueue.tasks.client.arguments import HIDDEN, readable
from hotqueue.tasks.client.definition import Definition, HasDefinition, definition_of
from hotqueue.tasks.wire import main_module, payload
from hotqueue.tasks.workflow import in_place
from hotqueue.tasks.workflow.form import Form
from hotqueue.tasks.workflow.plan import Given, Planning, Shape

if TYPE_CHECKING:
    from hotqueue.tasks.client.result import AsyncResult


class Callable(HasDefinition, Protocol):
    """A task, as a signature knows it."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...


class TaskForm(Form):
    """One call of a task.

    Attributes:
        before: what stands in front of all arguments: the instance whose method it is.
        is_immutable: whether it takes nothing of the steps before it.
        is_star: whether the task is called once for each item of its one argument: `task.starmap`.
    """

    kind = "task"

    def __init__(
        self,
        task: Callable,
        before: tuple[Any, ...],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        is_immutable: bool = False,
        is_star: bool = False,
    ) -> None:
        super().__init__()
        self.task = task
        self.before = before
        self.args = args
        self.kwargs = dict(kwargs)
        self.is_immutable = is_immutable
        self.is_star = is_star
        self.after = self.definition.after
        if not is_star:
            self._check()

    def _check(self) -> None:
        """Raise TypeError for arguments that fit in no case, whatever comes in front of them."""
        definition, args = self.definition, (*self.before, *self.args)
        try:
            if self.is_immutable:
                definition.signature.bind(*args, **self.kwargs)
            else:
                _bind_some(definition.signature, args, self.kwargs)
        except TypeError as error:
            how = "si" if self.is_immutable else "s"
            raise TypeError(
                f"{definition.name}{definition.signature} cannot be called like this, by .{how}(…): {error}"
            ) from None

    @property
    def definition(self) -> Definition:
        """The task's."""
        return definition_of(self.task)

    @property
    def is_alone(self) -> bool:
        """True for a call that nothing goes before, and nothing follows."""
        return not (self.links or self.errbacks or self.after)

    def wait_for(self, results: tuple[AsyncResult[Any], ...]) -> None:
        """Have it start when these have succeeded; the first ones that a call names are instead of those of the task's author."""
        self.after = results if self.after == self.definition.after else self.after + results

    def called_with(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return all arguments, given those that come in front of its own."""
        if self.is_immutable:
            return (*self.before, *self.args), self.kwargs
        return (*self.before, *args, *self.args), {**self.kwargs, **kwargs}

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run it here; see `Form.run`."""
        whole, named = self.called_with(args, kwargs)
        if self.is_star:
            return [in_place.value_of(self.task(*self.before, *each)) for each in whole[-1]]
        return self.task(*whole, **named)

    def plan(self, planning: Planning, given: Given) -> Shape:
        """Add its step; see `Form.plan`."""
        return planning.add(self, given)

    def text(self) -> str:
        """Return it as it is written."""
        definition = self.definition
        how = "starmap" if self.is_star else "si" if self.is_immutable else "s"
        sensitive = definition.options.sensitive
        if self.is_star:
            args, kwargs = (HIDDEN,) if sensitive else self.args, dict[str, Any]()
        else:
            args, kwargs = readable(self.args, self.kwargs, definition.signature, sensitive)
        shown = [f"{each!r:.40}" for each in args] + [f"{name}={value!r:.40}" for name, value in kwargs.items()]
        called = f"{definition.name.rpartition('.')[2]}.{how}({', '.join(shown)})"
        return "".join(f"{each!r:.40}." for each in self.before) + called + self.options_text()

    def state(self) -> dict[str, Any]:
        """Return what travels of it; see `Form.state`."""
        return {**super().state(), "task": _portable(self.task)}

    def take(self, state: dict[str, Any]) -> None:
        """Become what `state` was of."""
        self.before, self.args, self.kwargs, self.is_immutable, self.is_star = (), (), {}, False, False
        super().take({**state, "task": _found(state["task"])})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskForm):
            return False
        mine, its = ({name: value for name, value in vars(each).items() if name != "task"} for each in (self, other))
        return mine == its and self.definition.name == other.definition.name

    __hash__ = None


def checked_calls(task: HasDefinition, calls: Any) -> list[tuple[Any, ...]]:
    """Return the arguments of many calls of a task.

    Raises:
        TypeError: those of one do not fit, or are no tuple.
    """
    name = definition_of(task).name
    if isinstance(calls, str | bytes) or not isinstance(calls, Iterable):
        raise TypeError(f"{name}.starmap() takes the arguments of each call, such as [(1, 2), (3, 4)], not {calls!r:.80}")
    found = []
    for number, args in enumerate(calls):
        if isinstance(args, str | bytes) or not isinstance(args, Iterable):
            raise TypeError(f"item {number} of {name}.starmap() has to be a tuple of arguments, not {args!r:.80}")
        found.append(tuple(args))
    return found


def _bind_some(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Bind arguments of which some are missing, in front; a name may be that of one that would be moved by these."""
    signature.bind_partial(*args)
    signature.bind_partial(**kwargs)


def _portable(task: Any) -> tuple[str, ...] | bytes:
    """Return a task as a pickle of whatever kind can hold it: where it is imported from, or itself."""
    function = task.__wrapped__
    where = str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))
    if where[0] not in main_module.MAINS and _imported(where) is task:
        return where
    return payload.dumps(task)


def _found(kept: tuple[str, ...] | bytes) -> Any:
    if isinstance(kept, bytes):
        return payload.loads(kept)
    __import__(kept[0])
    task = _imported(kept)
    if task is None:
        raise AttributeError(f"no task {kept[0]}.{kept[1]} any more: was it renamed since its signature was pickled?")
    return task


def _imported(where: tuple[str, ...]) -> Any:
    found = sys.modules.get(where[0])
    for name in where[1].split("."):
        found = vars(found).get(name) if hasattr(found, "__dict__") else None
    return found
