"""What has happened to a task so far, as stored."""

from __future__ import annotations

import pytest

from hotqueue.tasks.rules.history import KEPT_ERRORS, LAST, LAST_ALONE, SUSPECT, History, decode, error_line, fate, is_over


def test_nothing_stored_is_nothing_happened() -> None:
    assert decode(b"") == History()


def test_what_is_encoded_is_decoded() -> None:
    full = History(2, 1, "task:a.b", 1_700_000_000_123, "T", [error_line("lost", "line\nbreak é", 5, exit=-9)])
    assert decode(full.encode().encode()) == full


def test_what_a_task_shared_is_counted_apart_and_read_back() -> None:
    suspect = History(1, 0, "-", None, "-", [], 2, 1, 4)
    assert suspect.encode() == "1 0 - - - 2 1 4"
    assert decode(suspect.encode().encode()) == suspect
    assert suspect.deaths == 3
    assert decode(b"0 1 - - - 1 1") == History()


def test_the_head_is_one_line_that_lua_can_read() -> None:
    assert History(2, 1, "task:a", 77, "-", [{"at": 1}]).encode() == '2 1 task:a 77 -\n{"at":1}'


def test_only_the_last_few_errors_are_kept() -> None:
    many = History(errors=[{"at": n} for n in range(9)])
    assert decode(many.encode().encode()).errors == [{"at": n} for n in range(9 - KEPT_ERRORS, 9)]


def test_a_line_that_is_no_error_is_passed_over() -> None:
    assert decode(b'0 1 - - -\n\nnonsense\n[1]\n{"at":3}').errors == [{"at": 3}]


def test_a_retry_clears_need_and_verdict_and_keeps_the_rest() -> None:
    before = History(1, 2, "python:3.9", 99, "T", [{"at": 1}])
    assert before.after_retry({"at": 2}) == History(2, 2, "-", 99, "-", [{"at": 1}, {"at": 2}])
    assert before.after_retry(None).errors == [{"at": 1}]
    assert History(0, 1, shared=2, lost=1, width=4).after_retry(None) == History(1, 1, shared=2, lost=1)


def test_an_error_text_is_cut() -> None:
    assert error_line("error", "x" * 1000, 1)["error"] == "x" * 500


@pytest.mark.parametrize(
    ("history", "most", "over", "expected"),
    [
        (History(), 5, False, 0),
        (History(deliveries=3), 5, False, 0),
        (History(deliveries=4), 5, False, LAST_ALONE),
        (History(deliveries=5), 5, True, LAST_ALONE),
        (History(shared=1), 5, False, SUSPECT),
        (History(shared=9, lost=9, width=2), 5, False, SUSPECT),
        (History(), 1, False, LAST_ALONE | LAST),
        (History(shared=1), 1, True, LAST_ALONE | LAST | SUSPECT),
        (History(lost=1), 1, True, LAST_ALONE | LAST),
        (History(deliveries=5).come_further(), 5, False, 0),
        (History(deliveries=9, unknown=" c f5"), 5, False, LAST_ALONE),
        (History(deliveries=10, unknown=" c f5"), 5, True, LAST_ALONE),
        (History(deliveries=20, unknown=" f20"), 2, True, LAST_ALONE),
        (History(deliveries=1, unknown=" f9 fx"), 1, True, LAST_ALONE | LAST),
    ],
)
def test_what_becomes_of_a_task_whose_process_dies(history: History, most: int, over: bool, expected: int) -> None:
    assert (is_over(history, most), fate(history, most)) == (over, expected)


def test_what_came_further_says_how_often_it_had_been_charged_and_keeps_what_others_said() -> None:
    history = decode(b"1 3 - - - 0 0 1 c f1 new")
    assert (history.forgiven, history.come_further().unknown) == (1, " c new f3")
    assert decode(history.come_further().encode().encode()) == history.come_further()
    assert history.after_retry(None).forgiven == 1
