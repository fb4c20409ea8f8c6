"""What all commands that read have in common: --watch repeats them, also while the server is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.keys import SCHEMA
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer

pytestmark = pytest.mark.servers("server")


def test_watch_shows_it_again(make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()
    task_by_name(queue, "t").delay(1)
    done = call("tasks", "-u", store_url, "-Q", queue.name, "--json", "--watch", "--every", "0.1", "--times", 3)
    assert (done.code, len(done.lines), len(set(done.lines))) == (0, 3, 1)
    queue.purge()


def test_a_task_that_is_in_two_queues_is_asked_for_by_its_queue(
    make_queue: Callable[..., HotQueue], queue_name: str, store_url: str, call: Callable[..., Any]
) -> None:
    queues = make_queue(), make_queue(f"{queue_name}-b")
    for queue in queues:
        task_by_name(queue, "t").apply_async((1,), task_id="same")
    glob = ("-u", store_url, "-Q", f"{queue_name}*")
    done = call("show", "same", *glob)
    assert done.code == 2
    assert done.err == f"hotqueue: task 'same' is in queues {queue_name}, {queue_name}-b: say which one with --queue\n"
    assert queue_name in call("show", "same", "-u", store_url, "-Q", queue_name).out
    for queue in queues:
        queue.purge()


def test_a_queue_that_cannot_be_read_hides_none_of_the_others(
    make_queue: Callable[..., HotQueue], queue_name: str, store_url: str, call: Callable[..., Any]
) -> None:
    newer, fine = make_queue(f"{queue_name}-a"), make_queue(f"{queue_name}-b")
    for queue in (newer, fine):
        task_by_name(queue, "t").apply_async((1,), task_id=f"{queue.name}-1")
        queue.schedule("tick", 900, "t")
    key = f"{{hotqueue:{newer.name}}}:schema:{SCHEMA + 1}"
    newer._store.client().set(key, SCHEMA + 1)
    where = ("-u", store_url, "-Q", f"{queue_name}*")
    for command in ("tasks", "schedules"):
        done = call(command, *where)
        assert (done.code, len(done.lines)) == (1, 2), command
        assert fine.name in done.lines[1]
        assert done.err.startswith("hotqueue: ")
        assert newer.name in done.err
    again = call("tasks", *where, "--watch", "--every", "0.1", "--times", 2)
    assert (again.code, len(again.lines), again.err.count("\n")) == (0, 4, 2)
    assert call("show", f"{fine.name}-1", *where).code == 0
    assert call("workers", *where).code == 0
    assert call("info", "-u", store_url).code == 0
    newer._store.client().delete(key)
    for queue in (newer, fine):
        queue.purge()
        queue.schedules()[0].remove()


def test_of_a_store_without_queues_that_is_said(start_redis: Callable[..., RedisServer], call: Callable[..., Any]) -> None:
    url = start_redis().url
    for command in ("show", "why", "retry", "discard", "revoke"):
        done = call(command, "an-id", "-u", url)
        said = f"hotqueue: there is no task 'an-id' in {url}: there is no queue at all; is it the one that was meant?\n"
        assert (done.code, done.out, done.err) == (2, "", said)
