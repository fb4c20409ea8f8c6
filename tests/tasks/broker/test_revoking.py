"""What ending tasks that wait makes of given contents: every key, before and after."""

from __future__ import annotations

import pytest

from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


class TestRevoke:
    @pytest.mark.parametrize("where", ["ready", "ready:async", "suspects", "scheduled", "parked:task:x"])
    @pytest.mark.parametrize("terminate", [False, True])
    def test_a_waiting_task_is_ended_wherever_it_waits(self, room: Room, where: str, terminate: bool) -> None:
        attempts = "0 0 task:x - -" if where.startswith("parked") else "1 0 - - -"
        room.fill(
            {"tasks": {"t": sync()}, "attempts": {"t": attempts}, where: {"t": 5}, "waiters": {"t": room.prefix + "reply:c"}}
        )
        assert room.broker.revoke("t", b"gone", 300_000, "task:x", terminate) == "revoked"
        assert room.contents() == {"result:t": "gone", "reply:c": ["Rt\0gone"], "stats": {"revoked": 1}}

    @pytest.mark.parametrize("terminate", [False, True])
    def test_a_running_task_goes_on_or_is_marked_to_be_stopped(self, room: Room, terminate: bool) -> None:
        before = room.fill({"tasks": {"t": sync()}, "held:w": {"t": "1 s 1"}}).contents()
        assert room.broker.revoke("t", b"gone", 1000, terminate=terminate) == "running"
        assert room.contents() == {**before, "revoked": {"t"}, **({"control": {"t": "gone"}} if terminate else {})}

    def test_an_ended_task_is_unknown_and_no_mark_stays(self, room: Room) -> None:
        room.fill({"control": {"t": "gone"}})
        assert room.broker.revoke("t", b"gone", 1000, terminate=True) == "unknown"
        assert room.contents() == {}
