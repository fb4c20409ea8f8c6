"""Which slots are fired: by when they passed and who lived then; what a change of a definition leaves as it was.

Of the kind: a process that began, stood still, or came back to its server between a slot and its firing; timetables that change.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hotqueue.tasks.rules.firing import (
    DURABLE,
    LATE,
    MOST,
    Plan,
    State,
    counts,
    defined,
    fired,
    has_missed,
    resumed,
    slots_to_fire,
)
from hotqueue.tasks.rules.periodic import Timetable

NOW = 1_000_000_000
EVERY = Plan("s", Timetable.of(1))


def state(slot: int | None, **changes: object) -> State:
    return replace(State(slot, None, False, "d", "t"), **changes)  # type: ignore[arg-type]


def at(plan: Plan, slot: int, now: int, lived: int) -> tuple[list[int], int | None]:
    return slots_to_fire(plan, state(slot), now, lived)


class TestWhatIsFired:
    def test_a_slot_that_came_while_somebody_lived(self) -> None:
        assert at(EVERY, NOW, NOW + 3, NOW - 500) == ([NOW], NOW + 1000)

    def test_all_that_passed_while_somebody_lived_though_the_server_was_away(self) -> None:
        assert at(EVERY, NOW, NOW + 3001, NOW - 500) == ([NOW + 1000 * n for n in range(4)], NOW + 4000)

    @pytest.mark.parametrize("misfire", ["once", "skip", "all"])
    def test_what_passed_while_none_lived(self, misfire: str) -> None:
        plan = EVERY._replace(misfire=misfire)
        slots, following = at(plan, NOW, NOW + 4001, NOW + 1500)
        missed = {"once": [NOW + 1000], "skip": [], "all": [NOW, NOW + 1000]}[misfire]
        assert (slots, following) == ([*missed, NOW + 2000, NOW + 3000, NOW + 4000], NOW + 5000)

    def test_what_passed_long_ago_is_missed_whoever_lived(self) -> None:
        slots, _ = at(EVERY, NOW - 2 * LATE, NOW, NOW - 10 * LATE)
        assert (len(slots), slots[0], slots[-1]) == (LATE // 1000 + 2, NOW - LATE - 1000, NOW)

    def test_all_is_bounded_and_the_newest_count(self) -> None:
        slots, following = at(EVERY._replace(misfire="all"), 0, NOW, NOW)
        assert (len(slots), slots[-1], following) == (MOST, NOW, NOW + 1000)

    def test_nothing_comes_after_until(self) -> None:
        plan = Plan("s", Timetable.of(1, until=datetime.fromtimestamp(NOW / 1000 + 1, UTC)))
        assert at(plan, NOW, NOW + 5000, NOW - 1) == ([NOW, NOW + 1000], None)

    def test_with_jitter_a_slot_waits_for_its_own_time(self) -> None:
        plan = EVERY._replace(jitter=0.9)
        due = plan.due(NOW)
        assert at(plan, NOW, due, NOW - 1)[0] == [NOW]
        assert NOW < due <= NOW + 900
        assert at(plan, NOW, due - 1, NOW - 1) == ([], NOW)


def test_an_hour_of_seconds_has_3600_slots_however_late_each_is_looked_for() -> None:
    draw, now, current, found = random.Random(14), NOW, state(NOW), []
    while now < NOW + 3_600_000:
        slots, following = slots_to_fire(EVERY, current, now, NOW - 1)
        found += slots
        current = fired(current, slots, following)
        assert current.slot is not None
        now = max(current.slot, now + draw.choice([1, 3, 20, 900, 5000]))  # now and then the server is away
    assert found == list(range(NOW, current.slot or 0, 1000))
    assert len(found) > 3590


def test_what_was_missed_is_left_for_a_while_to_those_who_may_have_lived() -> None:
    assert has_missed(state(NOW), NOW + 10, NOW + 5)
    assert not has_missed(state(NOW), NOW + 10, NOW)
    assert not has_missed(state(NOW), NOW + LATE, NOW + LATE - 1)


def test_a_state_is_read_as_it_was_written() -> None:
    one = state(NOW, last=NOW - 1000, is_paused=True, version="v", declared=7)
    assert State.read(one.text) == one
    assert State.read(state(None).text) == state(None)
    assert one.text == f"{NOW} {NOW - 1000} 1 d t v 7"
    assert State.read(f"{NOW} - 0 d t - 0 what comes later") == state(NOW)
    assert State.read("junk") is None
    assert State.read("") is None


def test_fired_and_resumed() -> None:
    assert fired(state(NOW), [NOW], NOW + 1) == state(NOW + 1, last=NOW)
    assert fired(state(NOW, last=5), [], NOW + 1) == state(NOW + 1, last=5)
    assert resumed(state(5, is_paused=True), EVERY, NOW + 1) == state(NOW + 1000)
    assert resumed(state(5), EVERY, NOW) == state(5)
    assert state(5, is_paused=True).due(EVERY) == ""
    assert state(5).due(EVERY) == "5"


class TestDefinedAnew:
    def test_where_its_slots_stay_it_goes_on_and_what_was_missed_stays_so(self) -> None:
        before = state(NOW - 5000, last=NOW - 6000)
        after = defined(EVERY, "d2", "t", before, NOW, "v", 9)
        assert (after.slot, after.last, after.digest, after.version, after.declared) == (NOW - 5000, NOW - 6000, "d2", "v", 9)

    def test_where_they_change_it_begins_with_the_next_and_none_again(self) -> None:
        assert defined(EVERY, "d", "t2", state(NOW - 5000), NOW).slot == NOW + 1000
        assert defined(EVERY, "d", "t2", state(NOW, last=NOW + 3000), NOW).slot == NOW + 4000  # the clock was put back

    def test_a_new_one(self) -> None:
        assert defined(EVERY, "d", "t", None, NOW) == State(NOW + 1000, None, False, "d", "t", DURABLE, 0)

    def test_it_stays_paused(self) -> None:
        assert defined(EVERY, "d2", "t2", state(1, is_paused=True), NOW).is_paused


class TestWhichDeclarationCounts:
    THERE = State(NOW, None, False, "d", "t", "new", 100)

    def test_the_newer_one(self) -> None:
        assert counts(self.THERE, "e", "newer", 101, {"new", "newer"})
        assert not counts(self.THERE, "e", "old", 99, {"new", "old"})

    def test_an_older_one_once_nobody_declares_the_newer_one_any_more(self) -> None:
        assert counts(self.THERE, "e", "old", 99, {"old"})

    def test_the_same_changes_nothing(self) -> None:
        assert not counts(self.THERE, "d", "new", 500, {"new"})
        assert counts(self.THERE, "e", "new", 500, {"new"})  # somebody put something else there

    def test_one_that_was_made_at_run_time_stays(self) -> None:
        assert not counts(replace(self.THERE, version=DURABLE), "e", "newer", 500, set())
        assert counts(None, "e", "v", 1, set())
