"""Options that cannot be meant are refused, with what was probably meant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.messages.options import patience, seconds


@pytest.mark.parametrize(("given", "wanted"), [(None, None), (2, 2.0), (0, 0.0), (timedelta(minutes=1), 60.0)])
def test_a_duration_is_a_number_of_seconds_or_a_timedelta(given: Any, wanted: float | None) -> None:
    assert seconds(given, "get(timeout=)") == wanted
    assert patience(True, given, "get") == wanted


@pytest.mark.parametrize(
    ("given", "error"),
    [("1", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError), (timedelta(seconds=-1), ValueError)],
)
def test_anything_else_is_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^get\(timeout=\) takes seconds"):
        seconds(given, "get(timeout=)")


def test_a_number_in_the_place_of_block_is_probably_a_timeout() -> None:
    with pytest.raises(TypeError, match=r"get\(block=\) takes True or False, not 5; did you mean timeout=5\?"):
        patience(5, None, "get")  # type: ignore[arg-type]


def test_an_unknown_option_of_a_worker_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="unknown option 'timout'; did you mean 'timeout'"):
        HotQueue("q", url="redis://h").worker(timout=1)  # type: ignore[call-overload]
