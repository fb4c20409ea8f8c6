"""The script of test_main_module.py: copied to a folder of each test, and run there in every way that Python has."""

import enum
import json
import os
import sys
from collections import namedtuple
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, NamedTuple, NewType, TypeVar

from hotqueue import HotQueue, RemoteError

print("loaded as", __name__, flush=True)

queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
T = TypeVar("T")
UserId = NewType("UserId", int)
Pair = namedtuple("Pair", "one two")


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Might(enum.Flag):
    READ = 1
    WRITE = 2


class Order:
    class Line:
        class Note:
            pass

    def __init__(self, n: int, color: Color = Color.RED) -> None:
        self.n, self.color, self.line = n, color, Order.Line()

    def plus(self, n: int) -> int:
        return self.n + n

    @classmethod
    def made(cls, n: int) -> "Order":
        return cls(n)


class Rush(Order): ...


@dataclass(frozen=True)
class Item:
    order: Order
    kinds: tuple = field(default=(Order,))


class Point(NamedTuple):
    x: int


class Slots:
    __slots__ = ("n",)


class Tagged(str): ...


class Box(Generic[T]): ...


class Meta(type): ...


class Made(metaclass=Meta): ...


class Absent:
    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


class NoStock(Exception):
    def __init__(self, order: Order, left: int) -> None:
        super().__init__(f"{left} left of {order.n}")
        self.order = order


def twice(n: int) -> int:
    return 2 * n


@queue.task
def echo(value: Any) -> Any:
    return value


@queue.task
def look(value: Any, kind: type, name: str) -> list:
    """Tell what the worker sees: whether it is of the class that this module calls by that name, and whether that is it."""
    return [isinstance(value, kind), kind is globals()[name], type(value) is globals()[name]]


@queue.task
def call(function: Any, *args: Any) -> Any:
    return function(*args)


@queue.task
def fails(order: Order) -> None:
    assert type(order) is Order
    raise NoStock(order, 0)


@queue.task
def group(order: Order) -> None:
    raise ExceptionGroup("several", [NoStock(order, 1), KeyError("x")])


def check() -> dict[str, Any]:
    values = [Order(1), Rush(2), Item(Order(3)), Point(4), Pair(5, 6), Color.BLUE, Might.READ | Might.WRITE, Tagged("a")]
    values += [Order.Line(), Order.Line.Note(), Slots(), Box(), Made(), NoStock(Order(7), 1), ABSENT]
    found: dict[str, Any] = {"task": echo.name, "looked": [], "echoed": []}
    for value in values:
        kind = type(value)
        if "." not in kind.__qualname__:
            found["looked"] += look.delay(value, kind, kind.__name__).get(30)
        back = echo.delay([{"in": (value,)}]).get(30)[0]["in"][0]
        found["echoed"].append(type(back) is kind)
    found["identity"] = [echo.delay(v).get(30) is v for v in (Color.RED, Order, twice, ABSENT, UserId, Order.Line)]
    offset = Order(10)
    lambdas = [lambda o: isinstance(o, Order), lambda o: type(o) is Order, lambda o: o.plus(offset.n)]
    found["called"] = [call.delay(f, Order(1)).get(30) for f in lambdas]
    found["called"] += [call.delay(f, 2).get(30) for f in (twice, partial(twice), Order(1).plus, UserId)]
    found["called"].append(type(call.delay(Order.made, 2).get(30)) is Order)
    try:
        fails.delay(Order(9)).get(30)
    except NoStock as error:
        found["error"] = [str(error), type(error.order) is Order, isinstance(error, RemoteError)]
    try:
        group.delay(Order(9)).get(30)
    except* NoStock as some:
        found["group"] = str(some.exceptions[0])
    except* KeyError:
        pass
    return found


def send_only() -> None:
    print("SENT", echo.name, type(call.delay(Order.made, 2).get(60)) is Order, flush=True)


def main(what: str) -> None:
    if what == "check":
        print("FOUND " + json.dumps(check()), flush=True)
    elif what == "in place":
        with queue.testing():
            print("FOUND " + json.dumps(check()), flush=True)
    elif what == "work":
        print("RAN", queue.run_worker(burst=True), flush=True)
    elif what == "send":
        send_only()
    elif what == "spawn":
        import multiprocessing

        child = multiprocessing.get_context("spawn").Process(target=send_only)
        child.start()
        child.join()


if __name__ == "__main__":

    class OnlyHere:
        pass

    @queue.task
    def only_here(value: Any) -> str:
        return type(value).__name__

    if sys.argv[-1] == "guarded":
        print("GUARDED", type(echo.delay(OnlyHere()).get(30)) is OnlyHere, only_here.name, only_here.delay(OnlyHere()).get(30))
    else:
        main(sys.argv[-1])
