"""chord: a header of steps that run side by side, and a body that is given the list of their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from hotqueue.errors import Interruption
from hotqueue.hints import check_flag
from hotqueue.tasks.workflow import in_place
from hotqueue.tasks.workflow.form import Form, listed
from hotqueue.tasks.workflow.group import GroupForm
from hotqueue.tasks.workflow.plan import Given, Planning, Shape
from hotqueue.tasks.workflow.signature import Signature, form_of, forms, of_form, parts

if TYPE_CHECKING:
    from hotqueue.tasks.client.result import AsyncResult

R = TypeVar("R")
S = TypeVar("S")
Header = Signature[Any] | Iterable[Signature[Any]]


class chord(Signature[R], Generic[R]):  # as Celery spells it
    """A header of steps that run side by side, and a body that is given the list of their values once all have succeeded.

    >>> chord([square.s(n) for n in range(3)], total.s()).delay().get(timeout=10)
    5
    >>> chord(square.s(n) for n in range(3))(total.s()).get(timeout=10)
    5

    The second form sends it, as Celery's does. The body of an empty header is given ``[]``.

    Args:
        header: a group, or signatures to make one of.
        body: a signature.
        allow_failures: call the body once all have ended, with the values of those that succeeded.
    """

    __module__ = "hotqueue.tasks"

    @overload
    def __init__(self, header: Header, body: Signature[R], *, allow_failures: bool = False) -> None: ...
    @overload
    def __init__(self: chord[Any], header: Header, body: None = None, *, allow_failures: bool = False) -> None: ...
    def __init__(self, header: Header, body: Signature[R] | None = None, *, allow_failures: bool = False) -> None:
        check_flag(allow_failures, "chord(allow_failures=)")
        found = parts((header,), "chord(header, …)")
        whole = found[0] if len(found) == 1 and isinstance(header, Signature) and found[0].is_wide else GroupForm(found)
        super().__init__(ChordForm(whole, next(iter(forms(body, "chord(…, body)")), None), allow_failures))

    if TYPE_CHECKING:

        @overload
        def __call__(self, body: Signature[S], /) -> AsyncResult[S]: ...
        @overload
        def __call__(self, *args: Any, **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """With a body, where it has none yet: send it, as Celery does. Else run it here and now."""
        form = form_of(self)
        assert isinstance(form, ChordForm)
        if form.body is not None or len(args) != 1 or not isinstance(args[0], Signature):
            return super().__call__(*args, **kwargs)
        whole = form.copy()
        whole.body = form_of(args[0])
        return of_form(chord, whole).delay()


class ChordForm(Form):
    """A header and a body.

    Attributes:
        header: a group, or a chain of one.
        body: None before there is one.
        allow_failures: whether the body is called with the values of those that succeeded.
    """

    kind = "chord"

    def __init__(self, header: Form, body: Form | None, allow_failures: bool) -> None:
        super().__init__()
        self.header = header
        self.body = body
        self.allow_failures = allow_failures

    @property
    def begins_wide(self) -> bool:
        """True with its header."""
        return True

    def _with_body(self) -> Form:
        if self.body is None:
            raise TypeError(f"{self.text()} has no body: write chord(header, body), or chord(header)(body) to send it")
        return self.body

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run it here; see `Form.run`."""
        body = self._with_body()
        if not self.allow_failures:
            return in_place.value_of(body.run((in_place.value_of(self.header.run(args, kwargs)),), {}))
        return in_place.value_of(body.run((_survivors(self._members(), args, kwargs),), {}))

    def plan(self, planning: Planning, given: Given) -> Shape:
        """Add its steps; see `Form.plan`."""
        body = self._with_body()
        shape = planning.part(self.header, given, is_last=False)
        return planning.part(body, given.then(shape, "A" if self.allow_failures else "S"), is_first=not shape)

    def text(self) -> str:
        """Return it as it is written."""
        members, more = self._members(), ", allow_failures=True" if self.allow_failures else ""
        body = "" if self.body is None else f", {self.body.text()}"
        return f"chord([{listed(members, len(members))}]{body}{more}){self.options_text()}"

    def _members(self) -> list[Form]:
        return self.header.some() if isinstance(self.header, GroupForm) else [self.header]

    def take(self, state: dict[str, Any]) -> None:
        """Become what `state` was of."""
        self.body, self.allow_failures = None, False
        super().take(state)


def _survivors(members: Iterable[Form], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """Run members here; return the values of those that succeeded, also within a group that is one of them."""
    values: list[Any] = []
    for member in members:
        if isinstance(member, GroupForm):
            values.append(_survivors(member.some(), args, kwargs))
            continue
        try:
            values.append(in_place.value_of(member.run(args, kwargs)))
        except Interruption:
            raise
        except Exception:  # those that fail are left out
            continue
    return values
