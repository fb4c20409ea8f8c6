"""hotqueue retry, discard, revoke, purge, pause, resume: what is meant is counted and asked about; nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import chain
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]
Call = Callable[..., Any]
pytestmark = pytest.mark.servers("server")


UNDO = "; for five minutes 'hotqueue discard --undo' brings them back\n"


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


def with_dead(queue: HotQueue, count: int) -> list[str]:
    """Let tasks die; return their ids, in order."""
    task = queue.task(name="shop.fail")(fail)
    ids = [each.id for each in task.map(range(count))]
    queue.run_worker(burst=True)
    return ids


def test_no_more_is_promised_back_than_comes(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    ids = with_dead(queue, 1)
    step = queue.tasks["shop.fail"]
    lines = [chain(step.s(n), step.si(0)).delay().parent.id for n in range(2)]
    queue.run_worker(burst=True)
    where = ("-u", store_url, "-Q", queue.name)
    some = "; for five minutes 'hotqueue discard --undo' brings back 1 of them\n"
    assert call("discard", ids[0], lines[0], *where, "--yes").out == f"2 tasks thrown away{some}"
    assert call("discard", "--undo", ids[0], *where).out == "1 task is in the dead list again\n"
    none = "; for good: there was no room to keep any, or others waited for them\n"
    assert call("discard", lines[1], *where, "--yes").out == f"1 task thrown away{none}"
    queue.discard_dead(all=True)


def test_the_dead_are_retried_and_thrown_away(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    ids = with_dead(queue, 5)
    where = ("-u", store_url, "-Q", queue.name)
    done = call("retry", "--match", "no 3", *where)  # nobody to ask
    assert (done.code, done.err) == (2, "hotqueue: there is no terminal to ask on: say --yes\n")
    assert call("retry", "--match", "no 3", *where, "--yes").out == "1 task retried\n"
    assert call("retry", ids[0], ids[1], *where).out == "2 tasks retried\n"
    assert sorted(dead.id for dead in queue.dead()) == sorted([ids[2], ids[4]])
    done = call("retry", ids[0], *where)
    assert (done.code, done.out) == (2, "0 tasks retried\n")
    assert done.err == f"hotqueue: {ids[0]}: not in the dead list\n"
    assert call("discard", ids[2], *where, "--yes").out == f"1 task thrown away{UNDO}"
    assert call("discard", "--filter", "task:shop.* -shop error:no", *where, "--yes").err == "hotqueue: there is no such task\n"
    assert call("discard", "--filter", "task:shop.* error:no", *where, "--yes").out == f"1 task thrown away{UNDO}"
    done = call("discard", "--all", *where, "--yes")
    assert (done.code, done.out, done.err) == (0, "", "hotqueue: there is no such task\n")
    assert queue.pending() == 3
    queue.purge()
    done = call("discard", "--undo", ids[2], "nobody", *where)
    assert (done.code, done.out) == (2, "1 task is in the dead list again\n")
    assert done.err == "hotqueue: 1 task not (nobody): it was not thrown away within the last five minutes\n"
    assert call("discard", "--undo", *where).out == "1 task is in the dead list again\n"
    assert (
        call("discard", "--undo", *where).err
        == "hotqueue: nothing is left of what was thrown away within the last five minutes\n"
    )
    assert sorted(dead.id for dead in queue.dead()) == sorted([ids[2], ids[4]])
    assert "--undo takes ids" in call("discard", "--undo", "--task", "x", *where).err
    queue.discard_dead(all=True)


def test_what_waits_is_revoked(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    one, two = (task_by_name(queue, name) for name in ("shop.one", "shop.two"))
    results = [one.delay("ann"), one.delay("bob"), two.delay("ann"), two.apply_async(("ann",), countdown=900)]
    where = ("-u", store_url, "-Q", queue.name, "--yes")
    assert call("revoke", "--match", "ANN", "--task", "shop.two", *where).out == "2 tasks revoked\n"
    assert [result.state for result in results] == ["PENDING", "PENDING", "REVOKED", "REVOKED"]
    assert call("revoke", results[0].id, *where).out == "1 task revoked\n"
    assert call("revoke", "--task", "shop.one", *where).out == "1 task revoked\n"
    one.map(range(3))
    assert call("revoke", "--all", *where).out == "3 tasks revoked\n"
    two.delay("x")
    assert call("purge", queue.name, "--task", "shop.two", "-u", store_url, "--yes").out == "1 task revoked\n"
    assert call("purge", queue.name, "--state", "scheduled", "-u", store_url, "--yes").out == "0 tasks revoked\n"
    one.delay("z")
    assert call("purge", queue.name, "-u", store_url).code == 2
    assert call("purge", queue.name, "-u", store_url, "--yes").out == "1 task revoked\n"
    assert queue.pending() == 0


def test_the_queue_may_be_named_as_other_commands_have_it(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    where = ("-u", store_url)
    queue.put("a")
    assert call("pause", "-Q", queue.name, *where).out == f"queue {queue.name}: paused\n"
    assert call("resume", *where, "--queue", queue.name).out == f"queue {queue.name}: resumed\n"
    assert call("purge", *where, "--queue", queue.name, "--yes").out == "0 tasks revoked\n"
    for args, says in (((), "name the queue: QUEUE is missing"), ((queue.name, "-Q", "b"), "are the same: name one queue")):
        done = call("pause", *args, *where)
        assert (done.code, done.out) == (2, "")
        assert says in done.err
    queue.clear()


def test_queues_tasks_and_keys_are_paused(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    where = ("-u", store_url)
    queue.put("a")
    assert call("pause", queue.name, *where).out == f"queue {queue.name}: paused\n"
    assert call("pause", queue.name, "--task", "shop.one", *where).out == f"task shop.one of queue {queue.name}: paused\n"
    assert call("pause", queue.name, "--key", "tenant-7", *where).out == f"key tenant-7 of queue {queue.name}: paused\n"
    stats = queue.stats()
    assert (stats["paused"], stats["paused_tasks"], stats["paused_keys"]) == (True, ["shop.one"], ["tenant-7"])
    assert "paused" in call("info", *where).out
    for more in ((), ("--task", "shop.one"), ("--key", "tenant-7")):
        assert call("resume", queue.name, *more, *where).out.endswith(": resumed\n")
    stats = queue.stats()
    assert (stats["paused"], stats["paused_tasks"], stats["paused_keys"]) == (False, [], [])
    queue.clear()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["retry"], "name tasks by their ids, or choose them with --filter, --task, --since, --older or --match, or say --all"),
        (["retry", "an-id", "--all"], "or say --all: one of these"),
        (["discard", "--all", "--task", "x"], "or say --all: one of these"),
        (["revoke", "nobody", "--yes"], "there is no task 'nobody' in"),
        (["pause", "{name}x"], "did you mean '{name}'?"),
        (["pause", "{name}", "--task", "a", "--key", "b"], "--task and --key are two things"),
        (["pause", "{name}", "--key", ""], "takes 1 to"),
        (["purge", "{name}*", "--yes"], "may be several queues: name one"),
        (["purge", "{name}", "--state", "dead", "--yes"], "'dead' is not one of"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    make_queue: MakeQueue, store_url: str, call: Call, args: list[str], says: str
) -> None:
    queue = make_queue()
    queue.put("a")
    done = call(*(arg.replace("{name}", queue.name) for arg in args), "-u", store_url)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says.replace("{name}", queue.name) in done.err
    queue.clear()
