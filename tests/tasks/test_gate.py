"""One task alone in a process whose workers otherwise run side by side."""

from __future__ import annotations

import threading

from hotqueue.tasks.gate import Gate
from tests.waiting import wait_until


def gate_of(members: int) -> tuple[Gate, threading.Event]:
    stop = threading.Event()
    gate = Gate(stop)
    for _ in range(members):
        gate.join()
    return gate, stop


def test_a_single_worker_is_always_alone() -> None:
    gate, _ = gate_of(1)
    assert gate.is_private
    with gate.shared("a") as is_open:
        assert is_open


def test_workers_go_in_side_by_side() -> None:
    gate, _ = gate_of(2)
    assert not gate.is_private
    with gate.shared("a") as one, gate.shared("b") as other:
        assert (one, other) == (True, True)


def test_who_wants_to_be_alone_waits_until_the_others_are_out_and_keeps_them_out() -> None:
    gate, _ = gate_of(2)
    seen: list[str] = []
    gate.enter("a")

    def alone() -> None:
        with gate.exclusive("b") as is_mine:
            seen.append(f"b alone: {is_mine}")
            released.wait(10)

    released = threading.Event()
    thread = threading.Thread(target=alone)
    thread.start()
    wait_until(lambda: gate.is_wanted_by_another("a"))
    assert seen == []
    assert not gate.enter("c")
    gate.leave("a")
    wait_until(lambda: seen)
    assert not gate.enter("a")
    released.set()
    thread.join()
    assert seen == ["b alone: True"]
    assert gate.enter("a")


def test_only_one_at_a_time_may_want_to_be_alone() -> None:
    gate, _ = gate_of(2)
    with gate.exclusive("a") as first, gate.exclusive("b") as second:
        assert (first, second) == (True, False)


def test_a_stop_ends_all_waiting() -> None:
    gate, stop = gate_of(3)
    gate.enter("a")
    said: list[bool] = []

    def alone() -> None:
        with gate.exclusive("b") as is_mine:
            said.append(is_mine)

    def shared() -> None:
        with gate.shared("c") as is_open:
            said.append(is_open)

    threads = [threading.Thread(target=alone)]
    threads[0].start()
    wait_until(lambda: gate.is_wanted_by_another("c"))
    threads.append(threading.Thread(target=shared))
    threads[1].start()
    stop.set()
    gate.leave_if("a", is_empty=True)
    for thread in threads:
        thread.join(10)
    assert said
    assert not said[0]


def test_leave_if_stays_while_something_runs() -> None:
    gate, _ = gate_of(2)
    gate.enter("a")
    gate.leave_if("a", is_empty=False)
    assert gate._inside == {"a"}
