"""group: steps that run side by side; its value is the list of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from hotqueue.tasks.workflow import in_place
from hotqueue.tasks.workflow.form import Form, listed
from hotqueue.tasks.workflow.plan import Given, Planning, Shape
from hotqueue.tasks.workflow.signature import Signature, parts

if TYPE_CHECKING:
    from hotqueue.tasks.client.resultset import ResultSet

R = TypeVar("R")


class group(Signature[list[R]], Generic[R]):  # as Celery spells it
    """Steps that run side by side, in any order; its value is the list of theirs, in the order of the members.

    >>> group(square.s(n) for n in range(3)).delay().get(timeout=10)
    [0, 1, 4]

    What it is given in front of its arguments, each of its members is. A group of groups has lists of lists; an empty one has
    ``[]``. In a chain, whatever follows it waits for all of its members.

    Args:
        members: signatures, or one iterable of them.
    """

    __module__ = "hotqueue.tasks"

    @overload
    def __init__(self, *members: Signature[R]) -> None: ...
    @overload
    def __init__(self, members: Iterable[Signature[R]], /) -> None: ...
    def __init__(self, *members: Any) -> None:
        super().__init__(GroupForm(parts(members, "group()")))

    if TYPE_CHECKING:

        def delay(self, *args: Any, **kwargs: Any) -> ResultSet[R]:  # type: ignore[override]
            """Send it."""

        async def adelay(self, *args: Any, **kwargs: Any) -> ResultSet[R]:  # type: ignore[override]
            """Asyncio twin of `delay`."""

        def apply_async(  # type: ignore[override]
            self, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
        ) -> ResultSet[R]:
            """Send it."""

        async def aapply_async(  # type: ignore[override]
            self, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
        ) -> ResultSet[R]:
            """Asyncio twin of `apply_async`."""


class GroupForm(Form):
    """Members side by side."""

    kind = "group"
    is_wide = True

    def __init__(self, members: Iterable[Form]) -> None:
        super().__init__()
        self.members = tuple(members)

    def some(self) -> list[Form]:
        """Return its members, but for those that are nothing."""
        return [member for member in self.members if not member.is_nothing]

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run it here; see `Form.run`."""
        return [in_place.value_of(member.run(args, kwargs)) for member in self.some()]

    def plan(self, planning: Planning, given: Given) -> Shape:
        """Add its steps; see `Form.plan`. Its members have its errbacks."""
        found: list[Shape] = []
        for member in self.some():
            if self.errbacks:
                member = member.copy()
                member.errbacks += self.errbacks
            found.append(planning.part(member, given, is_last=False))
        return found

    def failing(self, own: tuple[int, ...]) -> tuple[int, ...]:
        """Return none: its members have its errbacks."""
        return ()

    def text(self) -> str:
        """Return it as it is written."""
        return f"group({listed(self.members, len(self.members))}){self.options_text()}"

    def take(self, state: dict[str, Any]) -> None:
        """Become what `state` was of."""
        self.members = ()
        super().take(state)
