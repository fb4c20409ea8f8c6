"""Together: what it calls, and what it passes for."""

from __future__ import annotations

import functools

from hotqueue.tasks.futures.together import Together
from hotqueue.tasks.wire.functions import name_of
from tests.tasks import sample


def test_calls_are_made_one_after_the_other() -> None:
    assert Together(divmod)([(7, 2), (9, 3)]) == [(3, 1), (3, 0)]
    assert Together(sample.square)([]) == []


def test_it_has_the_names_of_its_function() -> None:
    assert name_of(Together(sample.square)) == name_of(sample.square)
    nameless = Together(functools.partial(pow, 2))
    assert nameless([(3,), (4,)]) == [8, 16]
    assert Together.__name__ in name_of(nameless)
