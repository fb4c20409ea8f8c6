"""The tasks of the soak: what people's tasks do to the process that runs them. A round sends one of each of `KINDS`.

None ends its process on purpose: a process that is replaced starts level again, and would hide what leaks.
"""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import functools
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hotqueue import HotQueue, HotQueueError, RemoteError, SerializationError, SoftTimeLimitExceeded
from hotqueue.tasks import Reject, current_task
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue("soak", url=os.environ.get("SOAK_URL"))
_notes = Notes(os.environ.get("SOAK_NOTES"))
_seen: contextvars.ContextVar[int] = contextvars.ContextVar("seen", default=-1)
log = logging.getLogger("soak")
BIG = 50 << 20


class PaymentError(Exception):
    """An exception whose arguments are not those that its class takes."""

    def __init__(self, code: int, customer: str) -> None:
        super().__init__(f"{code}: {customer}")
        self.code = code


@dataclass(frozen=True)
class Order:
    """An argument of a class of the program's own."""

    number: int


@dataclass(frozen=True)
class Kind:
    """A kind of task.

    Attributes:
        send: sends number n of it; returns the handle.
        raises: what `get` has to raise; None: it has to return n.
        runs: how often the task has to have begun.
    """

    send: Callable[[int], Any]
    raises: type[Exception] | None = None
    runs: int = 1


KINDS: dict[str, Kind] = {}


def kind(raises: type[Exception] | None = None, runs: int = 1, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a task of a function, and a kind of it; each of its runs is noted."""

    def decorate(function: Callable[..., Any]) -> Any:
        name = function.__name__

        @functools.wraps(function)
        def noted(n: Any) -> Any:
            _notes.write(name, n)
            return function(n)

        @functools.wraps(function)
        async def anoted(n: Any) -> Any:
            _notes.write(name, n)
            return await function(n)

        task = queue.task(name=name, **options)(anoted if asyncio.iscoroutinefunction(function) else noted)
        KINDS[name] = Kind(task.delay, raises, runs)
        return task

    return decorate


# --- programs, forks, threads ------------------------------------------------------------------------------------


@kind()
def starts_a_program(n: int) -> int:
    """Start a program and end it with a signal."""
    program = subprocess.Popen(["sleep", "60"])
    program.terminate()
    assert program.wait(10) == -signal.SIGTERM
    return n


@kind()
async def starts_a_program_on_the_loop(n: int) -> int:
    """The same in a coroutine."""
    program = await asyncio.create_subprocess_exec("sleep", "60")
    program.terminate()
    assert await program.wait() == -signal.SIGTERM
    return n


@kind()
def uses_a_pool(n: int) -> int:
    """Use a multiprocessing pool."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return sum(pool.map(int, [n, 0]))


@kind()
def forks(n: int) -> int:
    """Fork, and end the child as a program ends."""
    if (child := os.fork()) == 0:
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    return n


@kind()
def forks_and_returns(n: int) -> int:
    """Fork, and let the child return into the worker's code."""
    if (child := os.fork()) == 0:
        return n
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return n


@kind()
def starts_a_thread(n: int) -> int:
    """Start a thread and wait for it."""
    found: list[int] = []
    thread = threading.Thread(target=found.append, args=(n,))
    thread.start()
    thread.join()
    return found[0]


# --- what is left behind in the process --------------------------------------------------------------------------


@kind()
def leaves_context_behind(n: int) -> int:
    """Change context variables, which the next task must not see."""
    assert _seen.get() == -1
    assert decimal.getcontext().prec == 28
    _seen.set(n)
    decimal.getcontext().prec = 3
    return n


@kind()
def sets_an_alarm(n: int) -> int:
    """Leave an alarm running, in the main thread or another."""
    signal.alarm(1)
    return n


@kind(soft_time_limit=0.2, raises=SoftTimeLimitExceeded)
def runs_into_its_limit(n: int) -> int:
    """Run for too long, with much in its hands."""
    big = bytearray(BIG)
    for _ in range(1000):
        take_time(0.01)
    return n + len(big)


@kind(soft_time_limit=0.2, raises=SoftTimeLimitExceeded)
async def runs_into_its_limit_on_the_loop(n: int) -> int:
    """The same in a coroutine."""
    big = bytearray(BIG)
    await atake_time(10)
    return n + len(big)


@kind(raises=ValueError)
def fails_with_much_in_hand(n: int) -> int:
    """Raise with a large local."""
    big = bytearray(BIG)
    raise ValueError(n, len(big))


@kind(raises=ValueError)
async def fails_with_much_in_hand_on_the_loop(n: int) -> int:
    """The same in a coroutine."""
    big = bytearray(BIG)
    raise ValueError(n, len(big))


@kind(retries=2, default_retry_delay=0.05, retry_backoff=False, retry_jitter=False, runs=3, raises=OSError)
def fails_again_and_again(n: int) -> int:
    """Be retried, with a large local each time."""
    big = bytearray(BIG)
    raise OSError(n, str(len(big)))


# --- values, errors, names ---------------------------------------------------------------------------------------


def _logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


async def _later(n: int) -> int:
    await atake_time(0.01)
    return n


@kind()
def only_makes_a_coroutine(n: int) -> Any:
    """Return a coroutine, as an `async def` behind a decorator does."""
    return _logged(_later)(n)


@kind(raises=TypeError)
def only_makes_a_generator(n: int) -> Any:
    """Return a generator, which nothing takes from yet."""
    return (each for each in range(n))


@kind(raises=RemoteError)
def exits(n: int) -> int:
    """Exit, as a program does."""
    sys.exit(n)


@kind(raises=PaymentError)
def raises_its_own(n: int) -> int:
    """Raise an exception that does not take what it holds."""
    raise PaymentError(n, "somebody")


@kind(raises=ExceptionGroup)
async def fails_in_a_group(n: int) -> int:
    """Fail in a TaskGroup."""

    async def fail() -> None:
        raise OSError(n)

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
    return n


@kind(raises=SerializationError)
def returns_what_cannot_travel(n: int) -> Any:
    """Return what cannot be pickled."""
    return threading.Lock()


@kind(raises=SerializationError)
def returns_too_much(n: int) -> bytes:
    """Return more than a result may be."""
    return bytes(64 << 20)


@kind(raises=HotQueueError)
def is_rejected(n: int) -> int:
    """Refuse to run."""
    raise Reject(f"number {n}")


@kind()
def returns_much(n: int) -> Any:
    """Return a megabyte."""
    return Result(n, bytes(1 << 20))


class Result(int):
    """A number that carries weight."""

    def __new__(cls, n: int, weight: bytes = b"") -> Result:
        """Make one."""
        made = super().__new__(cls, n)
        made.weight = weight  # type: ignore[attr-defined]
        return made


@kind()
def says_things(n: int) -> int:
    """Print, log, and tell how far it is."""
    print("number", n)
    log.info("number %d", n)
    current_task.update_progress(n, 1000, "on its way")
    return n


@kind()
def sends_another(n: int) -> int:
    """Send a task, and do not wait for it."""
    plain.delay(n)
    return n


@queue.task(name="plain", ignore_result=True)
def plain(n: int) -> int:
    """Do nothing."""
    return n


@queue.task(name="takes_an_order")
def takes_an_order(order: Order) -> int:
    """Take an argument of the program's own class."""
    _notes.write("takes_an_order", order.number)
    return order.number


def _by_value(n: int) -> Any:
    return queue.submit(lambda m: m + 1, n - 1)


def _from_a_loop_of_its_own(n: int) -> Any:
    return asyncio.run(takes_an_order.adelay(Order(n)))


KINDS["takes_an_order"] = Kind(lambda n: takes_an_order.delay(Order(n)), runs=2)  # the next one sends as many of it
KINDS["is_sent_from_a_loop_of_its_own"] = Kind(_from_a_loop_of_its_own, runs=0)
KINDS["comes_by_value"] = Kind(_by_value, runs=0)
