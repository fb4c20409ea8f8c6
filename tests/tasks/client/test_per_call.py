"""What one call says beside its arguments: what is refused, and in what form the rest is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError
from hotqueue.tasks.client.per_call import checked_headers, checked_id, due_of, expiry_of
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


class Nowhere(tzinfo):
    """A zone that does not say what its offset is: its times are naive all the same."""

    def __repr__(self) -> str:
        return "Nowhere()"

    def utcoffset(self, _when: datetime | None, /) -> None:
        return None


@pytest.fixture
def queue(make_queue: MakeQueue) -> Iterator[HotQueue]:
    queue = make_queue()
    yield queue
    assert queue.pending() == 0, "nothing may be sent of a refused call"


@pytest.mark.parametrize("option", ["eta", "expires"])
def test_a_naive_time_is_refused_with_the_aware_expression(queue: HotQueue, option: str) -> None:
    naive = datetime(2030, 1, 2)  # noqa: DTZ001
    with pytest.raises(ValueError, match=rf"{option}= got the naive .*tzinfo=datetime.timezone.utc"):
        queue.task(sample.square).apply_async((1,), **{option: naive})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"countdown": -1},
        {"priority": 101},
        {"expires": -1},
        {"task_id": ""},
        {"task_id": "a\nb"},
        {"task_id": "x" * 201},
        {"time_limit": -1},
        {"countdown": float("nan")},
        {"countdown": float("inf")},
        {"task_id": 5},
        {"task_id": "\ud800"},
        {"queue": ""},
        {"queue": 5},
        {"eta": datetime(2030, 1, 2, tzinfo=Nowhere())},
    ],
    ids=ascii,
)
def test_a_value_out_of_range_is_refused(queue: HotQueue, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        queue.task(sample.square).apply_async((1,), **options)


def test_countdown_and_eta_are_one_too_many(queue: HotQueue) -> None:
    with pytest.raises(TypeError, match="both countdown= and eta="):
        queue.task(sample.square).apply_async((1,), countdown=1, eta=datetime.now(UTC))


def test_headers_are_json(queue: HotQueue) -> None:
    with pytest.raises(SerializationError, match="headers= takes a dict of JSON values"):
        queue.task(sample.note).apply_async(headers={"a": object()})
    for wrong in ("x", 5, [1], {1: 2}, {"a": float("nan")}):
        with pytest.raises(SerializationError, match="headers= takes a dict of JSON values with str keys"):
            queue.task(sample.note).apply_async(headers=wrong)  # type: ignore[arg-type]


def test_a_time_from_now_is_left_to_the_servers_clock_and_a_date_is_not() -> None:
    due, eta_ms = due_of(1.5, None, "here")
    assert due == "+1500"
    assert eta_ms is not None
    when = datetime(2030, 1, 2, tzinfo=UTC)
    ms = int(when.timestamp() * 1000)
    assert due_of(None, when, "here") == (str(ms), ms)
    assert due_of(None, None, "here") == ("", None)
    assert [expiry_of(given, "here") for given in (None, 2, when)] == ["", "+2000", str(ms)]


def test_headers_are_as_the_worker_will_see_them() -> None:
    assert checked_headers({"a": (1, 2)}, "here") == {"a": [1, 2]}
    with pytest.raises(SerializationError, match=r"here headers= take 67.* but may have 64 MB"):
        checked_headers({"a": "x" * (64 * 1024 * 1024)}, "here")
    assert checked_id("é" * 100) == "é" * 100
