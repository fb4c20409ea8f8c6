"""Why a task waits: in particular for the very task that waits for it.

Of the kind: `get` of a handle and of a set, with a time and without one (then the log tells); one process and several that all
wait; `async def` tasks that fill their worker; and the neighbours, who are not accused: a program, a task on a worker that has a
free thread, a task that waits for what is unknown.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from hotqueue.tasks import chain
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.client.explain import why
from tests.support.processes import run_python
from tests.support.waiting import wait_until
from tests.tasks import sample

APP = """
import os, time
from hotqueue import HotQueue, ResultTimeout
from tests.support.waiting import wait_until
from hotqueue.tasks import current_task
from hotqueue.tasks.client import waiting
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
waiting.LOG_AFTER = 0.3

@queue.task
def child(n): return n

@queue.task
def parent(n, timeout=0.5, wait_for=None, beside=1):
    wait_until(lambda: queue.running() >= beside)
    handle = child.delay(n) if wait_for is None else queue.result(wait_for)
    try:
        return handle.get(timeout=timeout)
    except ResultTimeout as error:
        handle.revoke()
        return str(error)

@queue.task
def parent_of_many(n):
    handles = child.map(range(n))
    try:
        return handles.get(timeout=0.5)
    except ResultTimeout as error:
        for handle in handles: handle.revoke()
        return str(error)

@queue.task(max_concurrency=1)
def alone(n):
    handle = alone.delay(n - 1) if n else None
    try:
        return handle.get(timeout=0.5) if handle else 0
    except ResultTimeout as error:
        handle.revoke()
        return str(error)

@queue.task
async def achild(n): return n

@queue.task
async def aparent(n):
    handle = await achild.adelay(n)
    try:
        return await handle.aget(timeout=0.5)
    except ResultTimeout as error:
        handle.revoke()
        return str(error)
"""

StartWorker = Callable[..., subprocess.Popen[str]]


class Site:
    """A module of tasks, a queue, and a worker that has been started."""

    def __init__(self, folder: Path, queue: HotQueue, url: str, start: StartWorker) -> None:
        self.folder, self.queue, self._start = folder, queue, start
        self.env = {"QUEUE": queue.name, "STORE": url}
        (folder / "tasks.py").write_text(APP)
        self.log = folder / "log"

    def work(self, *options: object, workers: int = 1) -> None:
        with open(self.log, "w") as log:
            self._start("hotqueue-worker", "tasks", *options, "-v", cwd=self.folder, env=self.env, stderr=log)
        wait_until(lambda: len(self.queue.workers()) >= workers, what="the worker is there")

    def call(self, code: str) -> Any:
        """Return what a program prints that sends tasks."""
        return run_python(f"from tasks import *; print({code})", cwd=self.folder, env=self.env).stdout.strip()


@pytest.fixture
def site(tmp_path: Path, make_queue: Callable[..., HotQueue], store_url: str, start_command: StartWorker) -> Site:
    return Site(tmp_path, make_queue(), store_url, start_command)


pytestmark = pytest.mark.servers("server")


def test_a_task_that_waits_for_another_on_its_own_process_is_told_so(site: Site) -> None:
    site.work("-p", 1, "--name", "lonely")
    task_id, _, text = site.call("(r := parent.delay(1)).id + ' ' + r.get(timeout=30)").partition(" ")
    assert "0 tasks are ahead" not in text
    assert text.endswith(
        f"s: the task that waits for it, tasks.parent[{task_id}], holds the only free process of worker 'lonely'; a task that "
        "waits for another needs a second one (hotqueue-worker -p 2, or -t 2), or must not wait"
    )
    assert "holds the only free process of worker 'lonely'" in site.call("parent_of_many.delay(3).get(timeout=30)")


def test_one_whose_limit_it_takes_up_itself_is_told_so(site: Site) -> None:
    site.work("-p", 2, workers=2)
    text = site.call("alone.delay(1).get(timeout=30)")
    assert "max_concurrency=1 of task tasks.alone is used up, by " in text
    assert text.endswith(
        "0 tasks are ahead of it there; the task that waits for it has a slot of that itself: it must not wait for such a task"
    )


def test_one_that_waits_without_an_end_is_told_of_in_the_log(site: Site) -> None:
    site.work("-p", 1)
    worker = site.queue.workers()[0]  # of a process; it has one for each kind of task
    who = f"the worker with process {worker['pid']} on {worker['host']}"
    result = site.call("parent.delay(1, None).id")
    wait_until(
        lambda: f"tasks.parent[{result}], holds the only free process of {who}; a task" in site.log.read_text(),
        what="the log tells",
    )
    assert "no result of task " in site.log.read_text()
    site.queue.result(result).revoke(terminate=True)
    wait_until(lambda: site.queue.result(result).ready())


def test_tasks_that_hold_all_processes_and_wait_are_told_so(site: Site) -> None:
    site.work("-p", 2, workers=2)
    told = site.call("(parent.delay(1, 5, beside=2), parent.delay(0, beside=2))[1].get(timeout=30)")  # the other goes on waiting
    assert "holds one of the 2 processes and threads at queue" in told


def test_async_tasks_that_fill_their_worker_are_told_so(site: Site) -> None:
    site.work("-p", 1, "--async-concurrency", 2, "--name", "full")
    told = site.call("aparent.map(range(2)).get(timeout=30)[0]")
    assert "is one of those that fill worker 'full'" in told
    assert "--async-concurrency" in told


def test_nobody_is_accused_who_does_not_hold_the_worker_up(site: Site) -> None:
    site.work("-p", 1, "-t", 2, workers=2)
    assert site.call("parent.delay(7, 5).get(timeout=30)") == "7"
    waiting = site.call("parent.delay(1, 3, 'nobody').get(timeout=20, propagate=False)")
    assert "holds" not in waiting
    site.queue.discard_dead(all=True)


def test_whoever_asks_is_told_where_a_task_runs_and_since_when(site: Site) -> None:
    site.work("-p", 1, "--name", "lonely")
    result = site.queue.result(site.call("parent.delay(1, 30).id"))
    wait_until(lambda: result.why().reason == "running")
    why, worker = result.why(), site.queue.workers()[0]
    assert (why.worker, why.host, str(why.pid), why.retries) == ("lonely", worker["host"], worker["pid"], 0)
    assert 0 <= why.seconds < 30
    assert re.fullmatch(r"it is running at worker 'lonely', since 2.* UTC \(\d+\.\d s\)", str(why))
    behind = site.queue.result(site.call("child.delay(2).id"))
    assert str(behind.why()) == "it is number 2 of 2: 1 task is ahead of it, and 1 worker is at them"  # behind what that one sent
    stranger = site.queue.task(print, name="tasks.chld").delay()
    assert stranger.why().reason == "unknown_task"
    assert {"tasks.child", "tasks.parent"} < set(stranger.why().known)
    site.queue.purge()
    result.revoke(terminate=True)
    wait_until(lambda: result.ready())


def test_a_program_is_told_what_it_always_was(site: Site) -> None:
    site.queue.pause()
    site.work("-p", 1)
    with pytest.raises(ResultTimeout, match="is paused"):
        site.queue.submit(print).get(timeout=0.1)
    site.queue.resume()
    wait_until(lambda: site.queue.pending() == 0)


@pytest.mark.servers("embedded")
def test_no_state_is_told_by_the_name_it_has_in_the_store(make_queue: Callable[..., HotQueue]) -> None:
    """A task may end, fail or go on between its time being up and the question why."""
    queue = make_queue()
    kept, short, dead = queue.submit(str, 1), queue.task(str, name="s", ignore_result=True), queue.submit(int, "x")
    forgotten = short.delay(1)
    queue.run_worker(burst=True)
    broker = queue._tasks.broker
    told = {result: str(why(broker, result.id)) for result in (kept, forgotten, dead, queue.result("never"))}
    assert [text.partition(", at")[0].partition(": it was")[0] for text in told.values()] == [
        "it has ended: SUCCESS",
        "it has ended, and its result was not kept",
        "it has ended: FAILURE",  # of a dead task the result is found first
        "nothing is known of it",
    ]
    queue.discard_dead(all=True)


@pytest.mark.servers("embedded")
def test_one_is_not_many(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    results = [queue.submit(str, n) for n in range(3)]
    worker = Session(queue._tasks.broker, "somebody", "s")
    worker.register(60_000, {"kind": "s"})
    told = [str(why(queue._tasks.broker, result.id)).partition(": ")[2] for result in results]
    assert told == [f"{ahead} ahead of it, and 1 worker is at them" for ahead in ("0 tasks are", "1 task is", "2 tasks are")]
    worker.broker.reap("somebody", known_dead=True)
    for result in results:
        result.revoke()


@pytest.mark.servers("server")
def test_a_step_that_waits_for_others_says_where_nobody_would_run_them(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    task = queue.task(name="double")(sample.double)
    result = chain(task.s(1), task.s()).delay()
    waits = "it is a step of a workflow, and waits for steps before it; queue.workflow(id) shows which"
    assert str(result.why()).startswith(f"{waits}; and no worker listens on queue {queue.name!r}")
    worker = Session(queue._tasks.broker, "somebody", "s")
    worker.register(60_000, {"kind": "s"})
    assert str(result.why()) == waits
    queue.pause()
    assert str(result.why()) == f"{waits}; queue {queue.name!r} is paused"
    queue.resume()
    worker.broker.reap("somebody", known_dead=True)
    result.revoke()
    queue.purge()
