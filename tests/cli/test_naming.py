"""What somebody mistyped of what is stored: the name that was probably meant is said, whatever option or argument it is of.

The kind: names of queues, tasks, workers, schedules and keys; those of tasks also when no worker is there any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.cli.admin import hotqueue
from hotqueue.tasks.broker.broker import Broker
from tests.support.elsewhere import task_by_name

pytestmark = pytest.mark.servers("server")
Call = Callable[..., Any]


@pytest.fixture
def shop(make_queue: Callable[..., HotQueue]) -> Iterator[HotQueue]:
    """A queue with one name in each place: shop.price ran, and no worker is there any more."""
    queue = make_queue()
    queue.task(name="shop.price")(lambda n: n).delay(4)
    queue.run_worker(burst=True)
    assert not Broker(queue._store, queue.name).workers()
    queue.schedule("nightly", 900, "shop.price", (1,))
    queue.pause(key="tenant-7")
    queue.pause(task="shop.mail")
    task_by_name(queue, "shop.mail").delay(1)
    yield queue
    for each in queue.schedules():
        each.remove()
    queue.resume(key="tenant-7")
    queue.resume(task="shop.mail")
    queue.purge()


@pytest.mark.parametrize(
    ("args", "code", "meant"),
    [
        (["tasks", "--task", "shop.pirce"], 0, "shop.price"),
        (["tasks", "dead", "--task", "shop.pirce"], 0, "shop.price"),
        (["tasks", "--filter", "task:shop.pirce"], 0, "shop.price"),
        (["tasks", "--filter", "-task:shop.mail queue:NAMEx"], 0, "NAME"),
        (["stats", "--task", "shop.pirce"], 0, "shop.price"),
        (["stats", "--spans", "--task", "shop.pirce"], 0, "shop.price"),
        (["retry", "--task", "shop.pirce"], 0, "shop.price"),
        (["discard", "--task", "shop.pirce"], 0, "shop.price"),
        (["revoke", "--task", "shop.mial"], 0, "shop.mail"),
        (["purge", "NAME", "--task", "shop.mial", "--yes"], 0, "shop.mail"),
        (["pause", "NAME", "--task", "shop.pirce"], 0, "shop.price"),
        (["resume", "NAME", "--task", "shop.mial"], 0, "shop.mail"),
        (["resume", "NAME", "--key", "tenant-8"], 0, "tenant-7"),
        (["enqueue", "shop.pirce", "4"], 2, "shop.price"),
        (["schedules", "pause", "nigthly"], 2, "nightly"),
        (["schedules", "trigger", "nigthly"], 2, "nightly"),
        (["schedules", "-Q", "NAMEx"], 2, "NAME"),
        (["stats", "-Q", "NAMEx"], 2, "NAME"),
        (["deploy", "v1", "-Q", "NAMEx"], 2, "NAME"),
        (["purge", "NAMEx", "--yes"], 2, "NAME"),
        (["show", "an-id", "-Q", "NAMEx"], 2, "NAME"),
        (["metrics", "NAMEx"], 0, "NAME"),
    ],
)
def test_what_was_probably_meant(shop: HotQueue, store_url: str, call: Call, args: list[str], code: int, meant: str) -> None:
    done = call(*(each.replace("NAME", shop.name) for each in args), "-u", store_url)
    if args[0] == "pause":
        shop.resume(task="shop.pirce")
    assert f"; did you mean '{meant.replace('NAME', shop.name)}'?" in done.err, done
    assert (done.code, done.err.count("\n")) == (code, 1)


def test_a_right_name_is_told_nothing(shop: HotQueue, store_url: str, call: Call) -> None:
    for args in (
        ["stats", "--task", "shop.price"],
        ["tasks", "--task", "shop.mail"],
        ["resume", shop.name, "--task", "shop.mail"],
    ):
        done = call(*args, "-u", store_url)
        assert (done.code, done.err) == (0, ""), args
    shop.pause(task="shop.mail")
    done = call("tasks", "dead", "--task", "shop.price", "-u", store_url)  # there is none, and it is spelt right
    assert (done.code, done.err) == (0, "hotqueue: there is no such task\n")


def test_each_option_that_takes_a_name_is_completed() -> None:
    """Completion is of the same places."""
    import click

    def each(group: click.Group) -> Iterator[tuple[str, click.Parameter]]:
        for name in group.list_commands(click.Context(group)):
            found = group.get_command(click.Context(group), name)
            assert found is not None
            yield from ((name, parameter) for parameter in found.params)
            if isinstance(found, click.Group):
                yield from each(found)

    wanted = {"queue", "queues", "names", "task", "key", "stop", "quiet", "schedule", "filtered"}
    without = [(name, p.name) for name, p in each(hotqueue) if p.name in wanted and p._custom_shell_complete is None]
    assert without == []
