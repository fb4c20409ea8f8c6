"""A worker is told over the store to stop, or to take nothing more: it finishes what it runs; nobody else obeys."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import acting
from hotqueue.monitor.workers import workers
from hotqueue.tasks.broker.ordering import QUIET, STOP, order_of
from hotqueue.tasks.supervisor.orders_from_afar import OrdersFromAfar
from tests.support.elsewhere import task_by_name
from tests.support.waiting import holds_for, wait_until

pytestmark = pytest.mark.servers("server")

APP = """
    import os
    from pathlib import Path
    from hotqueue import HotQueue
    from tests.support.waiting import wait_until
    queue = HotQueue(os.environ["QUEUE"])

    @queue.task
    def hold(flag):
        wait_until(Path(flag).exists, 60)
        return "held"

    @queue.task
    def who():
        return os.environ["WHO"]
"""


class Told:
    """Stands for the parts of a supervisor that are told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.stop_at = self.exit = None
        self.wanted, self.ordinary = 2, ["a", "b"]

    def stop(self, each: str) -> None:
        self.done.append(f"{each} stops")


def test_only_what_is_for_this_program_is_obeyed_and_once() -> None:
    told: Any = Told()
    ways = lambda act: act(), lambda each: told.done.append(f"end {each}"), lambda why: told.done.append("stop")
    orders = OrdersFromAfar(told, told, told, "p-1", *ways)
    assert [orders.take(each) for each in ("an-id", order_of(STOP, "p-2"), order_of("dance", "p-1"))] == [False, False, False]
    assert told.done == ["end an-id"]
    assert [orders.take(order_of(QUIET, "p-1")) for _ in range(2)] == [True, True]
    assert told.done[1:] == ["a stops", "b stops"]
    assert orders.take(order_of(STOP, "p-1"))
    told.stop_at = 1.0
    assert orders.take(order_of(STOP, "p-1"))
    assert told.done[3:] == ["stop"]


@pytest.fixture
def start(tmp_path: Path, store_url: str, queue_name: str, start_command: Callable[..., Any]) -> Callable[[str], Any]:
    (tmp_path / "afar_app.py").write_text(dedent(APP))

    def run(name: str) -> Any:
        env = {"QUEUE": queue_name, "HOTQUEUE_URL": store_url, "WHO": name}
        return start_command("hotqueue-worker", "afar_app", "-p", "1", "--name", name, env=env, cwd=tmp_path, stderr=None)

    return run


def test_one_of_two_stops_the_other_is_quiet(
    make_queue: Callable[..., HotQueue], start: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    programs = {name: start(name) for name in ("one", "two")}

    def named(name: str) -> Any:
        return [each for each in workers(queue._store, [queue.name]) if each.name == name]

    wait_until(lambda: named("one") and named("two"), 60)
    flag = tmp_path / "flag"
    held = [task_by_name(queue, "afar_app.hold").delay(str(flag)) for _ in range(2)]
    wait_until(lambda: queue.running() == 2, 60)
    monkeypatch.setattr(acting, "ORDER_LASTS", 60.0)  # on a busy machine
    for name, verb in (("one", STOP), ("two", QUIET)):
        assert acting.order_each(queue._store, {named(name)[0].program: named(name)}, verb) == []
    flag.touch()
    assert [each.get(timeout=60) for each in held] == ["held", "held"]  # what ran was finished
    assert programs["one"].wait(60) == 0
    wait_until(lambda: not named("two"), 60)
    late = task_by_name(queue, "afar_app.who").delay()
    holds_for(lambda: late.state == "PENDING", 0.5)
    assert programs["two"].poll() is None  # it stays, and takes nothing
    assert queue._store.client().hlen(f"{{hotqueue:{queue.name}}}:control") == 0
    programs["two"].terminate()
    assert programs["two"].wait(60) == 0
    late.revoke()
    late.forget()


def test_nobody_answers_for_one_that_is_not_there(make_queue: Callable[..., HotQueue], monkeypatch: pytest.MonkeyPatch) -> None:
    from hotqueue.monitor.workers import Worker

    monkeypatch.setattr(acting, "ORDER_LASTS", 0.3)
    queue = make_queue()
    began = time.monotonic()
    gone = {"gone": [Worker("w", program="gone", queues=[queue.name])]}
    assert acting.order_each(queue._store, gone, STOP) == ["gone"]
    assert time.monotonic() - began < 30
    assert queue._store.client().exists(f"{{hotqueue:{queue.name}}}:control") == 0
