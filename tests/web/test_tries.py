"""Who gives wrong passwords waits for longer each time; others do not, nor does a browser in which its user was logged in."""

from __future__ import annotations

from hotqueue.web.tries import FORGET, LONGEST, OF_ADDRESS, REMEMBERED, TRIES, Tries


def test_each_wrong_one_beyond_the_free_ones_is_waited_for_twice_as_long() -> None:
    now = [0.0]
    tries, waits = Tries(lambda: now[0]), []
    for _ in range(TRIES + 8):
        waits.append(tries.wait("10.0.0.1", "ann"))
        now[0] += waits[-1]
        tries.note("10.0.0.1", "ann")
    assert waits == [0.0] * TRIES + [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]
    assert tries.wait("10.0.0.2", "ann") == 0
    now[0] += FORGET
    assert tries.wait("10.0.0.1", "ann") == 0


def test_who_guesses_one_user_keeps_no_other_out_but_has_an_end() -> None:
    tries = Tries(lambda: 0.0)
    for _ in range(TRIES + 3):
        tries.note("10.0.0.1", "ann")
    assert tries.wait("10.0.0.1", "ann") > 0
    assert tries.wait("10.0.0.1", "bob") == 0
    for n in range(OF_ADDRESS):
        tries.note("10.0.0.1", f"user-{n}")
    assert tries.wait("10.0.0.1", "bob") > 0


def test_a_browser_that_was_let_in_before_is_counted_by_itself() -> None:
    tries = Tries(lambda: 0.0)
    for _ in range(TRIES):
        tries.note("10.0.0.1", "ann")
    assert tries.wait("10.0.0.1", "ann", "d1") == 0
    for _ in range(TRIES):
        tries.note("10.0.0.1", "ann", "d1")
    assert tries.wait("10.0.0.1", "ann", "d1") == 1
    tries.forget("10.0.0.1", "ann", "d1")
    assert tries.wait("10.0.0.1", "ann", "d1") == 0
    assert tries.wait("10.0.0.1", "ann") == 1
    tries.forget("10.0.0.1", "ann")
    assert tries.wait("10.0.0.1", "ann") == 0


def test_addresses_of_one_machine_have_their_tries_together() -> None:
    tries = Tries(lambda: 0.0)
    for n in range(TRIES):
        tries.note(f"2001:db8::{n}")
    assert tries.wait("2001:db8::ffff") > 0
    assert tries.wait("2001:db8:0:1::1") == 0


def test_they_are_remembered_of_so_many_only() -> None:
    tries = Tries(lambda: 0.0)
    for n in range(REMEMBERED):
        tries.note(f"10.{n // 62500}.{n // 250 % 250}.{n % 250}")
    assert len(tries._wrong) == REMEMBERED
