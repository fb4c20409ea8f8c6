"""Tasks that are methods: the instance goes along as the first argument.

Of the kind: every way to send, here and from asyncio; calling it here; access through the class; inherited, overridden and
super(); `bind`; static and class methods in both orders of the decorators; classes that travel by value; an instance that cannot
travel; and tasks that only happen to be in a class.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError
from hotqueue.tasks import Task
from hotqueue.tasks.wire import payload
from tests.support.processes import run_command, run_python
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")
queue = HotQueue("methods", host="127.0.0.1", port=1)
square = queue.task(sample.square)


class Order:
    job = square  # defined elsewhere: no method

    def __init__(self, n: int) -> None:
        self.n = n

    @queue.task
    def add(self, n: int, *, self_: int = 0) -> tuple[str, int]:
        return type(self).__name__, self.n + n + self_

    @queue.task
    async def aadd(self, n: int) -> int:
        return self.n + n

    @queue.task(bind=True)
    def bound(task: Task[..., Any], self: Any, n: int) -> tuple[str, int, int]:
        return task.name, task.request.retries, self.n + n

    @queue.task
    def inherited(self) -> str:
        return type(self).__name__

    @staticmethod
    @queue.task
    def static_above(n: int) -> int:
        return n

    @queue.task
    @staticmethod
    def static_below(n: int) -> int:
        return n

    @classmethod
    @queue.task
    def class_above(cls, n: int) -> tuple[str, int]:
        return cls.__name__, n

    @queue.task
    @classmethod
    def class_below(cls, n: int) -> tuple[str, int]:
        return cls.__name__, n


class Special(Order):
    @queue.task
    def add(self, n: int, *, self_: int = 0) -> tuple[str, int]:
        name, found = super().add(n)
        return name, found * 100


class Open:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    @queue.task
    def run(self, n: int) -> int:
        return n


@pytest.fixture
def sent(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Return a function that runs what was sent, on the real store of this test, and returns its result."""
    real = make_queue()
    monkeypatch.setattr(queue._tasks, "owner", real)
    monkeypatch.setattr(queue._tasks, "name", real.name)
    monkeypatch.setattr(queue._tasks, "_brokers", {})
    monkeypatch.setattr(queue._tasks, "_replies", {})

    def run(result: Any) -> Any:
        queue.run_worker(burst=True)
        return result.get(timeout=30)

    return run


@only_server
def test_a_method_is_sent_with_its_instance(sent: Any) -> None:
    order = Order(10)
    assert order.add(4) == ("Order", 14)
    assert sent(order.add.delay(4)) == ("Order", 14)
    assert sent(Order.add.delay(order, 4, self_=100)) == ("Order", 114)
    assert sent(order.add.apply_async((4,), {"self_": 1}, priority=5)) == ("Order", 15)
    assert sent(order.add.map([1, 2])) == [("Order", 11), ("Order", 12)]
    assert sent(order.inherited.apply_async()) == "Order"
    assert sent(order.inherited.apply_async(None)) == "Order"
    assert sent(queue.submit(order.add, 4)) == ("Order", 14)
    assert sent(order.aadd.delay(4)) == 14
    assert sent(order.bound.delay(4)) == ("tests.tasks.client.test_method.Order.bound", 0, 14)
    assert sent(order.job.delay(4)) == sent(Order.job.delay(4)) == 16


@only_server
def test_a_method_is_sent_from_asyncio(sent: Any) -> None:
    async def main() -> Any:
        assert await Order(10).aadd(4) == 14
        async with queue._tasks.owner:
            options = await Order(10).add.aapply_async((6,), priority=1), await Order(10).inherited.aapply_async(None)
            return [await Order(10).add.adelay(4), await Order(10).aadd.adelay(5), *options]

    first, second, third, fourth = asyncio.run(main())
    assert (sent(first), second.get(timeout=30)) == (("Order", 14), 15)
    assert (third.get(timeout=30), fourth.get(timeout=30)) == (("Order", 16), "Order")


@only_server
def test_a_subclass_inherits_overrides_and_calls_super(sent: Any) -> None:
    special = Special(10)
    assert special.add.name == "tests.tasks.client.test_method.Special.add"
    assert special.add(4) == ("Special", 1400)
    assert sent(special.add.delay(4)) == ("Special", 1400)
    assert sent(special.inherited.delay()) == "Special"
    assert sent(Order.add.delay(special, 4)) == ("Special", 14)


@only_server
def test_static_and_class_methods_in_both_orders(sent: Any) -> None:
    order = Order(1)
    for holder in (Order, order):
        assert (holder.static_above(3), holder.static_below(3)) == (3, 3)
        assert (sent(holder.static_above.delay(3)), sent(holder.static_below.delay(3))) == (3, 3)
        assert (holder.class_above(3), holder.class_below(3)) == (("Order", 3), ("Order", 3))
        assert sent(holder.class_below.delay(3)) == ("Order", 3)
    assert sent(Special.class_below.delay(3)) == ("Special", 3)
    if sys.version_info < (3, 13):
        assert sent(Special.class_above.delay(3)) == ("Special", 3)
    else:  # there, `classmethod` hands out a method of its own around the task
        with pytest.raises(TypeError, match=r"it got no class; write @queue.task above @classmethod"):
            Special.class_above.delay(3)


def test_wrong_arguments_and_an_instance_that_cannot_travel_are_refused_where_they_are_given() -> None:
    order = Order(1)
    with pytest.raises(TypeError, match=r"Order.add\(self, n.* cannot be called like this: missing a required argument: 'n'"):
        order.add.delay()
    with pytest.raises(TypeError, match=r"takes a tuple or list of arguments, not 'four'"):
        order.add.apply_async("four")
    with pytest.raises(SerializationError) as refused:
        Open().run.delay(1)
    text = str(refused.value)
    assert text.startswith("the instance (self) of tests.tasks.client.test_method.Open.run cannot travel to a worker: <")
    assert text.endswith("make the task a function, and pass what names the instance, such as an id")
    with pytest.raises(SerializationError, match="argument 2 of"):
        order.add.delay(threading.Lock())


def test_a_method_looks_like_one() -> None:
    order = Order(1)
    assert str(inspect.signature(order.add)) == "(n: 'int', *, self_: 'int' = 0) -> 'tuple[str, int]'"
    assert (order.add.__name__, order.add.__self__) == ("add", order)
    assert order.add == order.add
    assert order.add != Order(1).add
    assert len({order.add, order.add}) == 1
    assert "of <tests.tasks.client.test_method.Order" in repr(order.add)
    assert payload.loads(payload.dumps(order.add))(1) == ("Order", 2)


@only_server
def test_a_class_that_a_worker_cannot_import_travels_by_value(make_queue: MakeQueue) -> None:
    here = make_queue()

    class Local:
        n = 40

        @here.task
        def add(self, n: int) -> int:
            return self.n + n

    result = Local().add.delay(2)
    here.run_worker(burst=True)
    assert result.get(timeout=30) == 42


def test_a_worker_of_its_own_finds_the_method(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from hotqueue import HotQueue\nqueue = HotQueue('shop', dbfilename='x.rdb')\n"
        "class Obj:\n  def __init__(self, n): self.n = n\n"
        "  @queue.task\n  def method(self, n): return self.n * n\n"
    )
    task_id = run_python("import shop; print(shop.Obj(10).method.delay(4).id); shop.queue.close()", cwd=tmp_path).stdout.strip()
    done = run_command("hotqueue-worker", "shop", "--burst", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run_python(f"import shop; print(shop.queue.result({task_id!r}).get(timeout=30))", cwd=tmp_path).stdout == "40\n"
