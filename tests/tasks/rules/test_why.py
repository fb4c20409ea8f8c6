"""Why: reads like a sentence, compares and travels like a value; each fact is an attribute, and what is none is refused."""

from __future__ import annotations

import pickle

import pytest

from hotqueue.tasks import Why


def test_a_why_is_its_sentence_with_reason_and_facts() -> None:
    why = Why("position", "it is number 2 of 3", position=2, of=3)
    assert (str(why), why.reason, why.position, why.facts) == ("it is number 2 of 3", "position", 2, {"position": 2, "of": 3})
    assert repr(why) == "Why('position', 'it is number 2 of 3', position=2, of=3)"
    assert pickle.loads(pickle.dumps(why)) == why != Why("position", "it is number 2 of 3", position=3, of=3)
    assert why != "it is number 2 of 3"


def test_what_is_no_fact_of_it_is_refused() -> None:
    with pytest.raises(AttributeError, match="Why has no 'limit' for 'position'"):
        _ = Why("position", "", of=1).limit
