"""What a call with options of its own comes to before anything is sent.

Of this kind: arguments that are none, options that are none, and names of options that are those of what checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.calls import ready_to_send
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.wire import envelope
from tests.tasks import sample

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]


def test_it_says_where_it_goes_when_and_as_what(make_queue: MakeQueue) -> None:
    task = definition_of(make_queue().task(sample.square))
    call = ready_to_send(
        task, "here", [4], None, countdown=timedelta(seconds=2), expires=60, queue="other", task_id="x", priority=3
    )
    assert (call.queue, call.task[:3], call.result.id) == ("other", ("x", "+2000", "+60000"), "x")
    found = envelope.decode(call.task.envelope)
    assert (found.id, found.priority, found.header["queue"], found.more["eta"] > 0) == ("x", 3, "other", True)


@pytest.mark.parametrize(
    ("args", "options", "says"),
    [
        (4, {}, r"here takes a tuple or list of arguments, not 4; did you mean args=\(4,\)\?"),
        ({"n": 4}, {}, r"did you mean kwargs=\{'n': 4\}\?"),
        ((4,), {"kwargs": 4}, "here kwargs= takes a dict"),
        ((4,), {"countdwn": 4}, "here got an unknown option 'countdwn'; did you mean 'countdown'"),
        ((4,), {"where": "there"}, "here got an unknown option 'where'"),
        ((4,), {"definition": 1}, "here got an unknown option 'definition'"),
        ((4,), {"n": 1}, "the task has it, write kwargs="),
    ],
)
def test_what_is_no_call_is_refused(make_queue: MakeQueue, args: Any, options: dict[str, Any], says: str) -> None:
    task = definition_of(make_queue().task(sample.square))
    kwargs = options.pop("kwargs", None)
    with pytest.raises(TypeError, match=says):
        ready_to_send(task, "here", args, kwargs, **options)
