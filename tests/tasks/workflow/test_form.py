"""Forms: what is nothing, what is bare, what is wide; copies that are changed apart."""

from __future__ import annotations

from hotqueue.tasks import Signature, chain, chord, group
from hotqueue.tasks.workflow.form import listed
from hotqueue.tasks.workflow.signature import form_of
from tests.tasks.workflow.tasks import caught, square, total


def test_what_is_to_be_skipped_and_what_has_an_id_of_its_own() -> None:
    kinds: list[Signature[object]] = [square.s(1), chain(), chain(square.s(1)), group(), chain(group()), chord([], total.s())]
    assert [form_of(kind).is_nothing for kind in kinds] == [False, True, False, False, False, False]
    assert [form_of(kind).is_wide for kind in kinds] == [False, False, False, True, True, False]


def test_what_says_something_of_its_own_stays_in_one_piece() -> None:
    inner = chain(square.s(1), square.s()).on_error(caught.s())
    assert not form_of(inner).is_bare
    assert len(form_of(chain(inner, total.s())).steps) == 2  # type: ignore[attr-defined]
    assert len(form_of(chain(chain(square.s(1), square.s()), total.s())).steps) == 3  # type: ignore[attr-defined]


def test_a_copy_has_options_of_its_own() -> None:
    form = form_of(square.s(1).set(priority=1))
    copy = form.copy()
    copy.options["priority"] = 2
    assert (form.options, copy == form) == ({"priority": 1}, False)


def test_a_wide_one_is_not_listed_to_its_end() -> None:
    assert listed([form_of(square.s(n)) for n in range(5)], 5) == "square.s(0), square.s(1), square.s(2), … 2 more"
