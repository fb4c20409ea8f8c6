"""What `@queue.periodic` and `queue.schedule()` refuse: where it is made, with the value, and what was probably meant."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from hotqueue import HotQueue, TaskNotRegistered
from hotqueue.tasks.client.registry import registry_of


def nowhere() -> HotQueue:
    return HotQueue("scheduled", host="127.0.0.1", port=1)


def job(n: int = 1) -> int:
    return n


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ("* * *", {}, "@queue.periodic"),
    (0, {}, "@queue.periodic: a schedule takes at least 0.1 s between slots, not 0"),
    (None, {}, "a schedule takes a cron string.*not None"),
    (30, {"misfier": "all"}, "got an unknown option 'misfier'; did you mean 'misfire'"),
    (30, {"retires": 2}, "got an unknown option 'retires'; did you mean 'retries'"),
    (30, {"misfire": "al"}, "misfire= takes 'once', 'skip', 'all', not 'al'; did you mean 'all'"),
    (30, {"overlap": True}, "overlap= takes 'allow', 'skip', not True"),
    (30, {"jitter": -1}, "jitter= takes seconds from 0"),
    (30, {"jitter": "x"}, "jitter= takes seconds"),
    (30, {"until": datetime.fromisoformat("2030-01-01")}, "naive datetime.*say which zone it is in"),
    (30, {"name": "a\nb"}, "can be printed, unlike 'a.nb'"),
    (30, {"name": "x" * 121}, "1 to 120 bytes"),
    (30, {"name": 5}, "takes a str as a schedule's name, not 5"),
    (30, {"args": (1, 2)}, "cannot be called like this"),
    (30, {"args": "ab"}, "takes a tuple or list of arguments"),
    ("0 3 * * *", {"tz": "Europe/Pariss"}, "Europe/Pariss"),
]


@pytest.mark.parametrize(("when", "options", "says"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_refused_where_it_is_declared(when: Any, options: dict[str, Any], says: str) -> None:
    queue = nowhere()
    with pytest.raises((TypeError, ValueError), match=says):
        queue.periodic(when, **options)(job)
    assert registry_of(queue).schedules == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "y"}, r"got its name twice: 's' and name='y'|multiple values"),
        ({"countdown": 3}, "got an unknown option 'countdown'"),
        ({"priority": 500}, "priority= takes a whole number from -100 to 100"),
        ({"unknown": 1}, "unknown option 'unknown'"),
    ],
)
def test_and_where_it_is_made(options: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        nowhere().schedule("s", 30, job, **options)


def test_what_is_no_task() -> None:
    with pytest.raises(TypeError, match="takes a task, its name, or a function, not 5"):
        nowhere().schedule("s", 30, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"takes a task, its name, such as 'shop.tasks.price', or a function, not 'j b'"):
        nowhere().schedule("s", 30, "j b")
    queue = nowhere()
    with queue.testing(), pytest.raises(TaskNotRegistered, match="no task 'jib'"):
        queue.schedule("s", 30, "jib")
