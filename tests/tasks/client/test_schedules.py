"""What a program declares: one schedule a name, the same each time; refused where that is not so.

What each of them may say: test_scheduled_call.py. What becomes of them in the store: tests/tasks/supervisor/test_declaring.py.
"""

from __future__ import annotations

import pytest

from hotqueue import ConfigError, HotQueue
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.client.schedules import Schedules
from tests.tasks.client.test_scheduled_call import job, nowhere


class TestDeclaring:
    def test_the_function_stays_a_task(self) -> None:
        queue = nowhere()
        made = queue.periodic(30, retries=2)(job)
        assert (made(5), made.name, list(queue.tasks)) == (5, made.name, [made.name])
        assert list(registry_of(queue).schedules) == [made.name]

    def test_a_task_may_have_several(self) -> None:
        queue = nowhere()
        task = queue.task(priority=3)(job)
        queue.periodic("@daily", name="a", kwargs={"n": 1})(queue.periodic(60, name="b")(task))
        assert {name: call.options.priority for name, call in registry_of(queue).schedules.items()} == {"a": 3, "b": 3}
        with pytest.raises(TypeError, match="got retries for what is a task already"):
            queue.periodic(60, name="c", retries=3)(task)

    def test_two_of_one_name_are_refused(self) -> None:
        queue = nowhere()
        task = queue.periodic(60)(job)
        queue.periodic(60)(task)  # the same
        with pytest.raises(ConfigError, match=r"two schedules called .*every 60 s.*every 30 s.*another name="):
            queue.periodic(30)(task)
        with pytest.raises(ConfigError, match="two schedules"):
            queue.periodic(60, name=task.name)(queue.task(name="other")(lambda: None))

    def test_a_function_that_is_defined_anew_takes_the_old_ones_place(self) -> None:
        queue = nowhere()
        for every in (60, 30):

            def again() -> None:
                pass

            again.__qualname__ = "again"
            queue.periodic(every)(again)
        [call] = registry_of(queue).schedules.values()
        assert call.timetable.words == "every 30 s"

    def test_what_is_declared_is_the_same_each_time(self) -> None:
        versions = []
        for _ in range(2):
            queue = nowhere()
            queue.periodic(60, name="a")(job)
            queue.periodic("@daily", name="b", tz="Europe/Paris", jitter=3)(job)
            version, rows = Schedules(registry_of(queue)).declared()
            versions.append(version)
            assert list(rows) == ["a", "b"]
        assert versions[0] == versions[1]
        assert Schedules(registry_of(nowhere())).declared() == ("", {})

    def test_a_task_of_another_server_is_refused(self) -> None:
        other = HotQueue("other", host="127.0.0.1", port=2)
        with pytest.raises(ConfigError, match="belongs to a queue at"):
            nowhere().periodic(30)(other.task(job))
