"""Plans: whoever a task's end is counted off of is sent before that task, in lots that are not too large."""

from __future__ import annotations

import random

import pytest

from hotqueue.tasks.wire.plan import Behind, Lot, Step, lots, quoted, said, unquoted


def step(name: str, *needs: str, when: str = "S", takes: bool = True, queue: str = "q") -> Step:
    return Step(name, queue, b"x" * 10, needs=needs, when=when, takes=takes)


def test_the_last_steps_are_sent_first_with_who_waits_for_them() -> None:
    [lot] = lots([step("a"), step("b", "a"), step("c", "a", "b", takes=False), step("d", "c", when="F")], 10, 1000)
    assert [each.id for each in lot.steps] == ["d", "c", "b", "a"]
    assert lot.behind == [
        Behind("d", "F", None, ["c"]),
        Behind("c", "S", None, ["b", "a"]),
        Behind("b", "S", 0, ["a"]),
    ]
    assert (lot.is_later, lot.has_more) == (False, False)


def test_parts_of_what_a_step_owns_are_numbered_through_all_lots() -> None:
    members = [step(f"m{n}") for n in range(5)]
    found = lots([*members, step("body", *[each.id for each in members])], 2, 1000)
    assert [[each.id for each in lot.steps] for lot in found] == [["body", "m4"], ["m3", "m2"], ["m1", "m0"]]
    assert [each.part for lot in found for each in lot.behind] == [1, 2, 3]  # the first is what there is to say of the plan
    assert [(lot.is_later, lot.has_more) for lot in found] == [(False, True), (True, True), (True, False)]
    assert [each.part for lot in lots([*members, step("b", "m0")], 10, 1000, False) for each in lot.behind] == [0]


def test_a_lot_has_so_many_bytes_at_most_but_one_step() -> None:
    assert [len(lot.steps) for lot in lots([step(f"{n}") for n in range(5)], 10, 25)] == [2, 2, 1]
    assert [len(lot.steps) for lot in lots([step(f"{n}") for n in range(3)], 10, 5)] == [1, 1, 1]


def test_who_needs_tasks_that_were_sent_earlier_waits_for_these_as_well() -> None:
    [lot] = lots([step("a", "old"), step("b", "a", "old", "older")], 10, 1000, False)
    assert lot.behind == [Behind("b", "S", 0, ["old", "older", "a"]), Behind("a", "S", 0, ["old"])]


@pytest.mark.parametrize("seed", range(5))
def test_at_random_every_need_is_said_once_and_never_before_who_has_it(seed: int) -> None:
    dice = random.Random(seed)
    steps = [step(f"{n}", *[f"{m}" for m in range(n) if dice.random() < 0.2]) for n in range(60)]
    sent: set[str] = set()
    edges = []
    for lot in lots(steps, 7, 1000):
        sent.update(each.id for each in lot.steps)
        assert {each.step for each in lot.behind} <= sent
        edges += [(each.step, need) for each in lot.behind for need in each.ids]
    assert sorted(edges) == sorted((each.id, need) for each in steps for need in each.needs)


def test_what_the_script_is_told() -> None:
    lot = Lot([step("b", "a"), step("a")], [Behind("b", "S", 1, ["a"]), Behind("c", "F", None, ["a"])], False, True)
    assert said(lot, "q", "w", 60, b"words", 5, "b") == [
        *(b"w", 60, 0, b"words", 5, b"b", "1\n0\n", b"", b"b", "s", 1, b"a\n", b"c", "f", "", b"a\n"),
    ]


def test_what_it_is_told_of_other_queues() -> None:
    elsewhere = step("b", "t", "u", queue="an other")._replace(elsewhere=[("t", "third"), ("u", "q")])
    told = said(Lot([elsewhere, step("a")], [], False, False), "q", "w", 60, b"", 5, "b")
    assert told[6:] == ["2>an%20other\n0\n", b"t\nthird\n"]


@pytest.mark.parametrize("name", ["mail", "a b\n", "é~=>", "50%", "a/b:c"])
def test_names_of_queues_are_quoted(name: str) -> None:
    assert unquoted(quoted(name).encode()) == name
    assert not set(quoted(name)) & set(" \n~=>?")
