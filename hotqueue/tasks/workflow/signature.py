"""Signature: a call that is not sent yet, as users see it; the base of chains, groups and chords. What it is beneath: form.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from hotqueue.tasks.rules.callables import Replacement
from hotqueue.tasks.rules.options import OF_THE_CALL, PER_CALL, check_names
from hotqueue.tasks.workflow.form import Form

if TYPE_CHECKING:
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.workflow.chain import chain
    from hotqueue.tasks.workflow.group import group

R = TypeVar("R")
S = TypeVar("S")
G = TypeVar("G", bound="Signature[Any]")

SETTABLE = (PER_CALL | OF_THE_CALL | {"link", "link_error", "depends_on"}) - {"args", "kwargs"}


class Signature(Replacement, Generic[R]):
    """A call that is put together now and sent later: what ``task.s(…)`` returns, and the base of chains, groups and chords.

    >>> add.s(2, 2).delay().get(timeout=10)
    4
    >>> (add.s(2, 2) | square.s()).delay().get(timeout=10)
    16

    1. ``task.s(…)`` has some of the arguments, or all; what is given when it is sent, or the value of the step before it, comes
       in front of them. ``task.si(…)`` has all of them, and takes none.
    2. ``a | b`` is a chain; `group` and `chord` have several run side by side; each of them is a signature as well.
    3. `set` gives it options, as `apply_async` has them; `on_error` says what is called should it fail.
    4. `delay` sends all of it at once: each step starts in the store when those before it have ended. Called, it runs here.

    It can be printed, pickled and sent to tasks.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, form: Form) -> None:
        self._form = form

    # --- putting together ----------------------------------------------------------------------------------------

    def set(self, **options: Any) -> Self:
        """Give it options, as `apply_async` has them, and return it.

        Those of a chain, group or chord hold for each of its steps that has none of its own; `countdown` and `eta` for the first,
        and `task_id` is the id of the whole.

        Args:
            options: also link= and link_error= (signatures: what follows its end, its failure), depends_on= (results of tasks
                that have to succeed first).

        Raises:
            TypeError: an unknown option, naming the nearest known one; no signature where one is wanted.
        """
        form = self._form
        check_names(options, SETTABLE, f"{form.kind}.set()")
        form.links += forms(options.pop("link", None), "link=")
        form.errbacks += forms(options.pop("link_error", None), "link_error=")
        if (after := options.pop("depends_on", None)) is not None:
            form.wait_for(results(after))
        form.options.update(options)
        return self

    def on_error(self, errback: Signature[Any]) -> Self:
        """Have a task called should it fail, with (request, error, traceback) in front of its arguments; return it.

        Of a task, a chain or a chord it is called once, of a group once for each member that failed.
        """
        self._form.errbacks += forms(errback, "on_error()")
        return self

    def clone(self) -> Self:
        """Return another one like it, to be changed apart from it."""
        return of_form(type(self), self._form.copy())

    @overload
    def __or__(self, other: group[S]) -> group[S]: ...  # type: ignore[overload-overlap]  # its result is that of a group
    @overload
    def __or__(self, other: Signature[S]) -> chain[S]: ...
    def __or__(self, other: Signature[Any]) -> Any:
        """Return the chain of it and another."""
        if not isinstance(other, Signature):
            return NotImplemented
        from hotqueue.tasks.workflow.chain import chain

        return chain(self, other)

    # --- sending -------------------------------------------------------------------------------------------------

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[R]:
        """Send it, with these arguments in front of those of its first step.

        Returns:
            The result of its last step; of a group, the results of its members.

        Raises:
            As `Task.delay`.
        """
        from hotqueue.tasks.workflow.sending import send

        return send(self._form, args, kwargs)  # type: ignore[no-any-return]

    async def adelay(self, *args: Any, **kwargs: Any) -> AsyncResult[R]:
        """Asyncio twin of `delay`."""
        from hotqueue.tasks.workflow.sending import asend

        return await asend(self._form, args, kwargs)  # type: ignore[no-any-return]

    def apply_async(
        self, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[R]:
        """Send it, with more arguments in front of those of its first step, and options over its own; see `set`."""
        from hotqueue.tasks.workflow.sending import send

        return send(self._with(options), args, kwargs)  # type: ignore[no-any-return]

    async def aapply_async(
        self, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[R]:
        """Asyncio twin of `apply_async`."""
        from hotqueue.tasks.workflow.sending import asend

        return await asend(self._with(options), args, kwargs)  # type: ignore[no-any-return]

    def _with(self, options: dict[str, Any]) -> Form:
        return self.clone().set(**options)._form if options else self._form

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Run it here and now, step by step; return the value of its last step. Nobody is told of an error but the caller."""
        made = self._form.run(args, kwargs)
        while isinstance(made, Signature):
            made = made._form.run((), {})
        return made  # type: ignore[no-any-return]

    # --- being looked at -----------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return self._form.text()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and other._form == self._form

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __reduce__(self) -> tuple[Any, ...]:
        from hotqueue.tasks.workflow.stored import signature

        return signature, (self._form,)


def form_of(signature: Signature[Any]) -> Form:
    """Return what a signature is beneath."""
    return signature._form


def of_form(kind: type[G], form: Form) -> G:
    """Return a signature of a kind."""
    made = object.__new__(kind)
    made._form = form
    return made


def forms(given: Any, where: str) -> tuple[Form, ...]:
    """Return the forms of one signature, or several, as they were given.

    Raises:
        TypeError: it is none.
    """
    found = () if given is None else tuple(given) if isinstance(given, list | tuple) else (given,)
    for each in found:
        if not isinstance(each, Signature):
            hint = f"; {each.name}.s(…) is one" if hasattr(each, "delay") and hasattr(each, "name") else ""
            raise TypeError(f"{where} takes a signature, such as task.s(…), not {each!r:.80}{hint}")
    return tuple(form_of(each) for each in found)


def parts(given: tuple[Any, ...], where: str) -> tuple[Form, ...]:
    """Return the forms of what is put together: signatures, or one iterable of them; None is left out."""
    if len(given) == 1 and isinstance(given[0], Iterable) and not isinstance(given[0], str):
        given = tuple(given[0])
    return forms([each for each in given if each is not None], where)


def results(given: Any) -> tuple[AsyncResult[Any], ...]:
    """Return the results of tasks that have to end first; those in a set of results as well."""
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.client.resultset import ResultSet

    if given is None:
        return ()
    found: list[AsyncResult[Any]] = []
    for each in given if isinstance(given, list | tuple | ResultSet) else (given,):
        if isinstance(each, ResultSet):
            found += each
        elif isinstance(each, AsyncResult):
            found.append(each)
        else:
            raise TypeError(f"depends_on= takes results, such as [task.delay(…)], not {each!r:.80}")
    return tuple(found)
