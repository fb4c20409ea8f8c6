"""What of a workflow goes to other queues when it is sent. What becomes of that: tests/tasks/test_workflows_across_queues.py."""

from __future__ import annotations

from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.workflow.crossing import begins_elsewhere


def step(name: str, queue: str = "home", *needs: str, elsewhere: tuple[tuple[str, str], ...] = ()) -> Step:
    return Step(name, queue, b"", needs=needs, elsewhere=elsewhere)


def test_something_goes_at_once_where_a_first_step_is_of_another_queue_or_waits_for_a_task_of_one() -> None:
    assert not begins_elsewhere("home", [step("a"), step("b", "other", "a")])
    assert begins_elsewhere("home", [step("a"), step("b", "other")])
    assert begins_elsewhere("home", [step("a", "home", "t", elsewhere=(("t", "other"),))])
    assert not begins_elsewhere("home", [step("a", "home", "t", elsewhere=(("t", "home"),))])
