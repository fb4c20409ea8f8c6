"""Schedules at run time: made, listed, changed, paused, triggered, removed; on every kind of server, and inside of testing()."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue, keys
from hotqueue.tasks import State
from hotqueue.tasks.client.definition import definition_of
from tests.tasks import sample
from tests.tasks.contents import Room

MakeQueue = Callable[..., HotQueue]
SOON = timedelta(hours=2)


def test_one_is_made_listed_and_removed(room: Room) -> None:
    queue = room.queue
    square = queue.task(sample.square)
    made = queue.schedule("nightly", "0 3 * * *", square, (3,), tz="Europe/Paris", misfire="all", priority=5)
    [found] = queue.schedules()
    for each in (made, found):
        assert (each.name, each.when, each.tz, each.task) == ("nightly", "0 3 * * *", "Europe/Paris", square.name)
        assert (each.last_run, each.last_result, each.is_paused, each.declared_by) == (None, None, False, [])
        assert each.next_run is not None
        assert datetime.now(UTC) < each.next_run < datetime.now(UTC) + timedelta(days=1, hours=2)
        assert each.next_run.tzinfo is not None
        assert "nightly" in repr(each)
    found.remove()
    assert queue.schedules() == []
    assert not any(key.startswith("schedules") for key in room.contents())
    for each in (made, found):
        for method in (each.pause, each.resume, each.trigger, each.update, each.remove):
            with pytest.raises(ConfigError, match=r"there is no schedule 'nightly' in queue .*: it was removed"):
                method()


@pytest.mark.parametrize(("when", "shown"), [(30, 30), (0.5, 0.5), (timedelta(minutes=1), 60), ("@daily", "0 0 * * *")])
def test_when_is_shown_as_it_was_given(room: Room, when: Any, shown: Any) -> None:
    assert room.queue.schedule("s", when, room.queue.task(sample.square), (1,)).when == shown


def test_it_is_paused_and_resumed_for_all_to_see(room: Room) -> None:
    made = room.queue.schedule("s", 1, room.queue.task(sample.square), (1,))
    made.pause()
    [found] = room.queue.schedules()
    assert (made.is_paused, found.is_paused, found.next_run) == (True, True, None)
    assert room["schedules:next"] is None
    found.resume()
    assert (found.is_paused, room.queue.schedules()[0].is_paused) == (False, False)
    assert found.next_run is not None


def test_made_again_it_is_changed_and_goes_on(room: Room) -> None:
    queue, square = room.queue, room.queue.task(sample.square)
    first = queue.schedule("s", "0 0 1 1 *", square, (1,))
    first.pause()
    again = queue.schedule("s", "0 0 1 1 *", square, (2,), priority=9)
    assert again.is_paused
    assert len(queue.schedules()) == 1
    queue.schedule("s", 3600, square, (2,))
    assert queue.schedules()[0].when == 3600


def test_what_is_updated(room: Room) -> None:
    queue, square = room.queue, room.queue.task(sample.square)
    made = queue.schedule("s", "0 3 * * *", square, (3,), tz="Europe/Paris", priority=5)
    made.update(when="0 4 * * *")
    assert (made.when, made.tz) == ("0 4 * * *", "Europe/Paris")
    made.update(tz="America/New_York")
    assert (made.when, made.tz) == ("0 4 * * *", "America/New_York")
    [found] = queue.schedules()
    found.update(args=(5,))
    assert queue.schedules()[0].tz == "America/New_York"
    made = queue.schedules()[0]
    made.update(when=60, misfire="skip", until=datetime.now(UTC) + SOON)
    assert (made.when, made.tz) == (60, "UTC")
    assert made._stored.plan.timetable.until is not None
    made.update(until=None, jitter=3)
    assert (made._stored.plan.timetable.until, made._stored.plan.jitter, made._stored.plan.misfire) == (None, 3, "skip")
    result = queue.schedules()[0].trigger()
    queue.run_worker(burst=True)
    assert result.get(timeout=30) == 25
    for options, says in (
        ({"wen": 3}, "did you mean 'when'"),
        ({"name": "x"}, "cannot change its name"),
        ({"jitter": "x"}, "jitter="),
    ):
        with pytest.raises((TypeError, ValueError), match=says):
            made.update(**options)


def test_triggered_it_runs_at_once_under_an_id_of_its_own(room: Room) -> None:
    queue = room.queue
    made = queue.schedule("s", "0 0 1 1 *", queue.task(sample.square), (4,))
    made.pause()
    results = [made.trigger(), queue.schedules()[0].trigger()]
    queue.run_worker(burst=True)
    assert [result.get(timeout=30) for result in results] == [16, 16]
    assert all(result.id.startswith("periodic:s:now:") for result in results)
    assert queue.schedules()[0].last_run is None


def test_what_others_changed_is_what_is_triggered(room: Room) -> None:
    made = room.queue.schedule("s", "@yearly", room.queue.task(sample.square), (4,))
    room.queue.schedules()[0].update(args=(5,))
    result = made.trigger()
    room.queue.run_worker(burst=True)
    assert result.get(timeout=30) == 25


def test_what_others_changed_stays_and_is_what_is_resumed(room: Room) -> None:
    """Whoever holds a handle for long has not seen it."""
    square = room.queue.task(sample.square)
    made = room.queue.schedule("s", "@yearly", square, (4,))
    made.pause()
    room.queue.schedules()[0].update(when=60, priority=9)
    made.resume()
    assert made.when == 60
    assert made.next_run is not None
    assert made.next_run < datetime.now(UTC) + SOON
    other = room.queue.schedules()[0]
    made.update(args=(5,))
    other.update(when="@daily")
    [found] = room.queue.schedules()
    assert (found.when, found._stored.row.options["priority"]) == ("0 0 * * *", 9)
    result = found.trigger()
    room.queue.run_worker(burst=True)
    assert result.get(timeout=30) == 25


@pytest.mark.servers("server")
def test_who_changes_it_at_the_same_moment_is_not_overwritten(room: Room) -> None:
    made = room.queue.schedule("s", "@yearly", room.queue.task(sample.square), (4,))
    other = room.queue.schedules()[0]
    call_of = made._stored.call_of

    def late(*args: Any) -> Any:
        if other.when != 60:
            other.update(when=60)
        return call_of(*args)

    made._stored.call_of = late
    made.update(args=(5,))
    [found] = room.queue.schedules()
    assert (made.when, found.when, found.next_run) == (60, 60, made.next_run)


def test_a_function_travels_by_value(room: Room) -> None:
    queue = room.queue
    made = queue.schedule("s", "@yearly", lambda n: n + 1, (4,))
    result = queue.schedules()[0].trigger()
    queue.schedules()[0].update(args=(7,))
    other = queue.schedules()[0].trigger()
    queue.run_worker(burst=True)
    assert (result.get(timeout=30), other.get(timeout=30), made.name) == (5, 8, "s")


@pytest.mark.servers("server")
def test_a_task_of_which_this_program_has_the_name_alone(room: Room, make_queue: MakeQueue) -> None:
    made = make_queue().schedule("s", "@yearly", "squared", args=(4,), priority=3)
    made.update(kwargs={}, args=(5,))
    result = made.trigger()
    definition_of(room.queue.task(name="squared")(sample.square)).by_value = False
    room.queue.run_worker(burst=True)
    assert (result.get(timeout=30), made.task) == (25, "squared")


@pytest.mark.servers("server")
def test_where_tasks_are_signed_schedules_are(make_queue: MakeQueue, queue_name: str) -> None:
    queue = make_queue(secret_key="one")
    queue.schedule("s", "@yearly", queue.task(sample.square), (4,))
    stranger = make_queue(secret_key="two")
    stranger.schedule("t", "@yearly", stranger.task(sample.square), (4,))
    assert [each.name for each in queue.schedules()] == ["s"]
    result = queue.schedules()[0].trigger()
    queue.run_worker(burst=True)
    assert result.get(timeout=30) == 16
    client = queue._store.client()
    for key in client.scan_iter(match=f"*{queue_name}*schedules*"):
        client.delete(key)


@pytest.mark.servers("server")
def test_an_update_signs_with_the_new_key(make_queue: MakeQueue, queue_name: str) -> None:
    old = make_queue(secret_key="old")
    old.schedule("s", "@yearly", old.task(sample.square), (4,))
    assert make_queue(secret_key="new").schedules() == []
    for each in make_queue(secret_key="new,old").schedules():
        each.update()
    [found] = make_queue(secret_key="new").schedules()
    found.remove()


@pytest.mark.servers("server")
def test_a_key_of_the_wrong_type_is_named(room: Room) -> None:
    room.client.set(keys.schedule_states(room.queue.name), "x")
    with pytest.raises(ConfigError, match="schedules:states"):
        room.queue.schedule("s", 5, room.queue.task(sample.square), (1,))


class TestInsideTesting:
    def test_none_fires_by_itself_and_all_can_be_triggered(self) -> None:
        queue = HotQueue("eager", host="127.0.0.1", port=1)
        queue.periodic(0.1, name="declared", args=(2,))(sample.square)
        with queue.testing():
            made = queue.schedule("made", 0.1, lambda: "made")
            assert [each.name for each in queue.schedules()] == ["declared", "made"]
            declared = queue.schedules()[0]
            assert (declared.trigger().get(), made.trigger().get()) == (4, "made")
            assert queue.schedules()[1].trigger().state is State.SUCCESS
            made.pause()
            assert queue.schedules()[1].is_paused
            made.resume()
            made.update(when=60)
            made.remove()
            assert [each.name for each in queue.schedules()] == ["declared"]
            with pytest.raises(ConfigError, match="no worker has declared it yet"):
                declared.pause()


def test_what_is_declared_here_is_listed_before_a_worker_comes(room: Room) -> None:
    room.queue.periodic("@daily", name="d", args=(1,))(sample.square)
    [found] = room.queue.schedules()
    assert (found.name, found.next_run, found.declared_by) == ("d", None, [])
