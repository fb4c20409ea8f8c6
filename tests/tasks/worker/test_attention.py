"""Which queues are looked at: those to which something happened, until nothing is to be done about them any more."""

from __future__ import annotations

from hotqueue.tasks.worker.attention import Attended, Attention


class Queue(Attended):
    """One in which there is something to do while it says so."""

    is_busy = False

    @property
    def is_quiet(self) -> bool:
        return not (self.is_busy or self.may_have_tasks or self.must_recover)


def queues(count: int) -> tuple[Attention, list[Queue]]:
    attention = Attention()
    return attention, [Queue(n, attention) for n in range(count)]


def test_a_queue_that_may_have_tasks_or_is_in_doubt_is_looked_at() -> None:
    attention, [_, rang, doubted, _] = queues(4)
    assert attention.numbers() == []
    rang.may_have_tasks = True
    doubted.must_recover = True
    assert sorted(attention.numbers()) == [1, 2]


def test_it_is_looked_at_until_nothing_is_to_be_done_about_it() -> None:
    attention, every = queues(3)
    every[0].may_have_tasks = every[1].may_have_tasks = True
    every[0].may_have_tasks = False
    every[1].may_have_tasks, every[1].is_busy = False, True
    assert sorted(attention.numbers()) == [0, 1]  # it is for who looks around to turn them away
    attention.turn_away(every)
    assert attention.numbers() == [1]
    every[1].is_busy = False
    attention.turn_away(every)
    assert attention.numbers() == []


def test_one_that_was_left_is_not_looked_at() -> None:
    attention, every = queues(2)
    for each in every:
        each.may_have_tasks = True
    attention.discard(0)
    assert attention.numbers() == [1]


def test_what_happens_while_one_is_turned_away_is_not_lost() -> None:
    attention, every = queues(1)

    class RingsMeanwhile(Queue):
        @property
        def is_quiet(self) -> bool:
            quiet = super().is_quiet
            self.may_have_tasks = True  # as another thread would, just after it was looked at
            return quiet

    every[0] = RingsMeanwhile(0, attention)
    attention.add(0)
    attention.turn_away(every)
    assert attention.numbers() == [0]
