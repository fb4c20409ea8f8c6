"""Which processes are started, put to work and let go while some are replaced: the plan alone, without processes."""

from __future__ import annotations

import itertools

import pytest

from hotqueue.tasks.supervisor import replacement
from hotqueue.tasks.supervisor.children import Child

_pids = itertools.count(1000)


def child(*, loaded: bool = True, works: bool = True, **more: object) -> Child:
    made = Child(next(_pids), -1, -1, [], [])
    made.is_ready, made.has_begun = loaded, works
    for name, value in more.items():
        setattr(made, name, value)
    return made


def spare(loaded: bool = True) -> Child:
    return child(loaded=loaded, works=False)


def test_what_is_missing_is_started_all_at_once_and_begins_when_loaded() -> None:
    working = [child()]
    assert replacement.plan(working, 4).spawn == 3
    spares = [spare(), spare(loaded=False), spare()]
    found = replacement.plan(working + spares, 4)
    assert found == replacement.Plan(begin=[(spares[0], None), (spares[2], None)])


def test_what_is_replaced_works_on_until_its_successor_is_loaded() -> None:
    old = [child() for _ in range(8)]
    assert replacement.outdate(old) == []
    assert replacement.plan(old, 8).spawn == replacement.at_a_time(8) == 2
    successors = [spare(loaded=False), spare()]
    assert replacement.plan(old + successors, 8) == replacement.Plan(begin=[(successors[1], old[0])])


def test_an_successor_that_has_begun_counts_for_the_one_it_follows() -> None:
    old, successor = child(is_outdated=True, is_followed=True), child()
    assert replacement.plan([old, successor], 1) == replacement.Plan()
    old.is_stopping = True
    assert replacement.plan([old, successor], 1) == replacement.Plan()


def test_the_successor_of_one_that_ends_by_itself_is_loaded_ahead_and_begins_when_that_one_has_room() -> None:
    old, successor = child(ends_soon=True), spare()
    assert replacement.plan([old], 1).spawn == 1
    assert replacement.plan([old, successor], 1) == replacement.Plan()
    old.is_stopping = True
    assert replacement.plan([old, successor], 1) == replacement.Plan(begin=[(successor, None)])


@pytest.mark.parametrize("wanted", [1, 2, 3, 8, 64])
def test_there_are_never_more_than_so_many(wanted: int) -> None:
    finishing = [child(is_stopping=True) for _ in range(wanted)]
    working = [child(is_outdated=True) for _ in range(wanted)]
    everybody = finishing + working
    for _ in range(10):
        everybody += [spare(loaded=False) for _ in range(replacement.plan(everybody, wanted).spawn)]
    assert len(everybody) == replacement.most(wanted) == 2 * wanted + 1
    assert all(each.is_at_work for each in working), "who cannot be followed works on"


def test_what_is_not_needed_is_dismissed() -> None:
    spares = [spare(), spare()]
    assert replacement.plan([child(), *spares], 1) == replacement.Plan(dismiss=spares)
    assert replacement.plan([child(), *spares], 2) == replacement.Plan(begin=[(spares[0], None)], dismiss=[spares[1]])


def test_those_that_have_not_begun_are_outdated_too() -> None:
    working, loading = child(), spare(loaded=False)
    assert replacement.outdate([working, loading]) == [loading]
    loading.ended_for = ("", "shutdown")
    assert replacement.plan([working, loading], 1).spawn == 1


def test_a_restart_that_is_called_off_leaves_those_that_work() -> None:
    old, finishing, successor = child(), child(is_stopping=True), child()
    replacement.outdate([old, finishing])
    assert replacement.call_off([old, finishing, successor]) == 1
    assert replacement.plan([old, finishing, successor], 2) == replacement.Plan()
    assert replacement.call_off([old, finishing, successor]) == 0


def test_who_is_to_go_anyway_goes_first() -> None:
    first, last, outdated = child(born=1.0), child(born=3.0), child(born=2.0, is_outdated=True)
    assert replacement.surplus([first, last, outdated], 3) == []
    assert replacement.surplus([first, last, outdated], 2) == [outdated]
    assert replacement.surplus([first, last, outdated], 1) == [outdated, last]


class TestBurst:
    def test_only_as_many_begin_as_are_to(self) -> None:
        ended = child(leaves_by=1.0)
        assert replacement.plan([ended], 2, to_begin=0) == replacement.Plan()
        assert replacement.plan([ended], 2, to_begin=2).spawn == 2
        loaded = spare()
        assert replacement.plan([ended, loaded], 2, to_begin=1) == replacement.Plan(begin=[(loaded, None)])

    def test_a_spare_one_goes_when_the_burst_is_over(self) -> None:
        ended, loaded = child(ends_soon=True, leaves_by=1.0), spare()
        assert replacement.plan([ended, loaded], 1, to_begin=0) == replacement.Plan(dismiss=[loaded])
