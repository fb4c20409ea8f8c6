"""What processes declare: new code counts, old code that lives changes nothing, and what nobody declares goes.

Of the kind: restarts, deployments that stop halfway, roll-backs, an empty server, names that were made at run time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import HotQueueError
from hotqueue.signing import Signer
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.client.schedules import Schedules
from hotqueue.tasks.rules.firing import State
from hotqueue.tasks.supervisor.declaring import Declared
from hotqueue.tasks.supervisor.queue_schedules import QueueSchedules
from hotqueue.tasks.wire import schedule_row
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.schedules import fired, looking, put, rare, run, state_of

only_server = pytest.mark.servers("server")
A, B, C = 1_000_000_000, 1_500_000_000, 1_200_000_000  # seconds between two slots: none is near
A_WORDS, B_WORDS, C_WORDS = (f"every {seconds} s" for seconds in (A, B, C))


class TestDeclaring:
    @pytest.fixture
    def version(self, make_queue: Callable[..., HotQueue]) -> Iterator[Callable[..., Declared]]:
        def declared(**schedules: Any) -> Declared:
            queue = make_queue()
            for name, when in schedules.items():
                queue.periodic(when, name=name, args=(2,))(sample.square)
            return Declared(*Schedules(registry_of(queue)).declared())

        return declared

    def declares(self, room: Room, declared: Declared) -> QueueSchedules:
        made = looking(room)
        made.declare(declared)
        run(made)
        return made

    def again(self, looked: QueueSchedules) -> None:
        looked.declaring.renew_at = 0.0
        run(looked)

    def words(self, room: Room) -> dict[str, str]:
        return {each.name: each._stored.plan.timetable.words for each in room.queue.schedules()}

    def test_what_is_declared_is_there_and_says_by_whom(self, room: Room, version: Callable[..., Declared]) -> None:
        looked = self.declares(room, version(a=A))
        [found] = room.queue.schedules()
        assert (found.name, len(found.declared_by), found.next_run is not None) == ("a", 1, True)
        with pytest.raises(HotQueueError, match=r"is declared in code by .*: remove it there, or pause"):
            found.remove()
        with pytest.raises(HotQueueError, match=r"is declared in code by .*: change it there"):
            found.update(when=3)
        with pytest.raises(HotQueueError, match=r"is declared in code by .*; choose another name"):
            room.queue.schedule("a", rare(), room.queue.task(sample.square), (1,))
        looked.leave()
        [found] = room.queue.schedules()
        assert (found.declared_by, found.next_run) == ([], None)
        found.remove()
        assert room.queue.schedules() == []

    def test_it_fires_while_somebody_declares_it_and_what_was_missed_is_made_up_for(
        self, room: Room, version: Callable[..., Declared]
    ) -> None:
        declared = version(a=A)
        first = self.declares(room, declared)
        first.leave()
        put(room, "a")
        run(looking(room))  # somebody who serves the queue, and does not declare it
        assert (fired(room), room["schedules:next"]) == ([], None)
        self.declares(room, declared)
        assert len(room["schedules:next"]) == 1
        run(looking(room))  # anybody, now
        assert len(fired(room)) == 1

    @only_server
    def test_new_code_counts_whatever_the_old_does_and_old_code_started_anew(
        self, room: Room, version: Callable[..., Declared]
    ) -> None:
        old, new = self.declares(room, version(a=A, gone=C)), None
        new = self.declares(room, version(a=B))
        assert self.words(room) == {"a": B_WORDS, "gone": C_WORDS}
        self.again(old)  # as it does all the while
        old.declare(old.declaring._declared)  # a child of it was replaced
        self.again(old)
        assert self.words(room)["a"] == B_WORDS
        rolled_back = self.declares(room, version(a=A, gone=C))
        assert self.words(room)["a"] == A_WORDS
        self.again(new)
        assert self.words(room)["a"] == A_WORDS
        for each in (rolled_back, old):
            each.leave()
        self.again(new)
        assert self.words(room)["a"] == B_WORDS

    @only_server
    def test_one_whose_times_stay_goes_on_and_is_fired_by_the_old_while_the_new_lives(
        self, room: Room, version: Callable[..., Declared]
    ) -> None:
        old = self.declares(room, version(a=A))
        self.declares(room, version(a=A, b=C))
        put(room, "a")
        run(old)
        assert len(fired(room)) == 1

    @only_server
    def test_what_nobody_declares_any_more_is_gone_after_a_day(self, room: Room, version: Callable[..., Declared]) -> None:
        self.declares(room, version(a=A)).leave()
        other = self.declares(room, version(b=A))
        assert list(self.words(room)) == ["a", "b"]
        key = room.prefix + "schedules:declarers"
        [(who, at)] = [each for each in room.client.zrange(key, 0, -1, withscores=True) if each[1] < time.time() * 1000 + 5000]
        room.client.zadd(key, {who: at - 86_400_000})
        self.again(other)
        assert list(self.words(room)) == ["b"]
        assert len(room["schedules:declarers"]) == 1

    @only_server
    def test_who_comes_back_takes_no_room_twice(self, room: Room, version: Callable[..., Declared]) -> None:
        declared = version(a=A)
        for _ in range(5):
            self.declares(room, declared).leave()
        self.declares(room, declared)
        assert len(room["schedules:declarers"]) == 1

    @only_server
    def test_one_made_at_run_time_stays(self, room: Room, version: Callable[..., Declared], caplog: Any) -> None:
        room.queue.schedule("a", B, room.queue.task(sample.square), (1,))
        self.declares(room, version(a=A))
        assert self.words(room) == {"a": B_WORDS}
        assert "one that queue.schedule() made has this name, and stays" in caplog.text

    @only_server
    def test_another_key_signs_it_anew(self, room: Room) -> None:
        def declared(secret_key: str) -> Declared:
            queue = HotQueue(room.queue.name, url="redis://127.0.0.1:1", secret_key=secret_key)
            queue.periodic(A, name="a", args=(2,))(sample.square)
            return Declared(*Schedules(registry_of(queue)).declared())

        self.declares(room, declared("old,new"))
        put(room, "a", slot=state_of(room, "a").slot, last=5)
        self.declares(room, declared("new,old"))
        [(_, data, text)] = room.broker.schedules()
        schedule_row.decode(data, "a", Signer([b"new"]).for_schedules(room.queue.name))
        assert State.read(text) == state_of(room, "a")
        assert state_of(room, "a").last == 5

    @only_server
    def test_a_pause_outlives_a_deployment(self, room: Room, version: Callable[..., Declared]) -> None:
        self.declares(room, version(a=A))
        room.queue.schedules()[0].pause()
        self.declares(room, version(a=B))
        [found] = room.queue.schedules()
        assert (found.is_paused, found.when, found.next_run) == (True, B, None)

    @only_server
    def test_an_empty_server_is_told_again(self, room: Room, version: Callable[..., Declared]) -> None:
        looked = self.declares(room, version(a=A))
        room.wipe()
        self.again(looked)
        assert self.words(room) == {"a": A_WORDS}
