"""Arguments that nobody is to read: not in the store, the dead list, a log line, nor an error's message.

Of this kind: each way to send (`delay`, `adelay`, `apply_async`, `map`, `submit`, a batch, a method, by value), each way to give
an argument (by position, by keyword, as one of `*args` or `**options`, by default), and each message that quotes one. What the
task gets, returns and raises is its own affair.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError, keys
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.wire import envelope
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
SECRET = "open-sesame"
pytestmark = pytest.mark.servers("embedded")


def login(user: str, password: str = "", *more: str, **options: str) -> str:
    """Fail when told to, else return what came."""
    if user == "nobody":
        raise ValueError("no such user")
    return password or "".join(more) or "".join(options.values())


def texts(queue: HotQueue) -> list[str]:
    """Return the arguments of the waiting tasks as the store has them."""
    key = keys.tasks(queue.name)
    found = queue._store.command(key, "HVALS", key)
    return [envelope.decode(bytes(data)).args_repr for data in found]


async def adelay(task: Any) -> Any:
    """Send it in a loop that closes its connections."""
    result = await task.adelay("ada", SECRET)
    await definition_of(task).client.store.leave_loop()
    return result


SENT: dict[str, Any] = {
    "delay": lambda task: task.delay("ada", SECRET),
    "by keyword": lambda task: task.delay("ada", password=SECRET),
    "all by keyword": lambda task: task.delay(password=SECRET, user="ada"),
    "adelay": lambda task: asyncio.run(adelay(task)),
    "apply_async": lambda task: task.apply_async(("ada", SECRET), headers={"a": 1}, countdown=0),
    "apply_async by keyword": lambda task: task.apply_async(("ada",), {"password": SECRET}, priority=3),
    "map": lambda task: task.map([SECRET])[0],
    "submit": lambda task: definition_of(task).client.owner.submit(task, "ada", SECRET),
    "by value": lambda task: setattr(definition_of(task), "by_value", True) or task.delay("ada", SECRET),
}


@pytest.mark.parametrize("how", SENT)
@pytest.mark.parametrize("sensitive", [("password", "user"), True])
def test_no_way_of_sending_keeps_it_as_text(make_queue: MakeQueue, how: str, sensitive: Any) -> None:
    queue = make_queue()
    task = queue.task(name="login", sensitive=sensitive)(login)
    definition_of(task).by_value = False
    result = SENT[how](task)
    (text,) = texts(queue)
    assert SECRET not in text
    assert "***" in text
    queue.run_worker(burst=True)
    assert result.get(timeout=30) in (SECRET, "")


def test_only_what_is_named_is_hidden(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(sensitive=["password"])(login)
    with queue.batch():
        results = [
            task.delay("ada", SECRET),
            task.delay("ada", password=SECRET),
            task.delay("ada"),
            task.delay("ada", SECRET, "x", y="z"),
        ]
    assert sorted(texts(queue)) == ["'ada'", "'ada', ***", "'ada', ***, 'x', y='z'", "'ada', password=***"]
    for result in results:
        result.revoke()


def test_the_rest_of_the_arguments_can_be_named(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = [
        queue.task(name="a", sensitive="more")(login).delay("ada", "x", SECRET, SECRET, y="z"),
        queue.task(name="b", sensitive=("options", "user"))(login).delay("ada", "x", "y", password_=SECRET),
        queue.task(name="c", sensitive=("token",))(login).delay("ada", token=SECRET, y="z"),
    ]
    assert sorted(texts(queue)) == ["'ada', 'x', ***, ***, y='z'", "'ada', token=***, y='z'", "***, 'x', 'y', password_=***"]
    for result in results:
        result.revoke()


def test_one_call_can_hide_what_the_task_does_not(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(login)
    result = task.apply_async(("ada", SECRET), sensitive=("password",))
    assert texts(queue) == ["'ada', ***"]
    result.revoke()
    result = queue.task(name="x", sensitive=True)(login).apply_async(("ada",), sensitive=False)
    assert texts(queue) == ["'ada'"]
    result.revoke()


def test_neither_the_dead_list_nor_the_log_shows_it(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    task = queue.task(sensitive=("password",), retries=1, retry_backoff=False, default_retry_delay=0)(login)
    result = task.delay("nobody", SECRET)
    with caplog.at_level(logging.DEBUG):
        queue.run_worker(burst=True)
    (dead,) = queue.dead()
    assert dead.args == "'nobody', ***"
    assert SECRET not in f"{dead} {result.history} {result.traceback} {caplog.text} {result!r} {task!r}"
    assert queue.retry_dead(all=True) == 1
    assert texts(queue) == ["'nobody', ***"]
    result.revoke()


class Vault:
    """Cannot be pickled, and says what is in it."""

    def __repr__(self) -> str:
        return SECRET

    def __reduce__(self) -> Any:
        raise pickle.PicklingError(SECRET)


REFUSED: dict[str, Any] = {
    "cannot be pickled": lambda task: task.delay("ada", Vault()),
    "cannot be pickled, by keyword": lambda task: task.delay("ada", password=Vault()),
    "too many": lambda task: task.delay(*[SECRET] * 9),
    "none": lambda task: task.delay(),
    "alone": lambda task: task.apply_async(SECRET),
    "a dict": lambda task: task.apply_async({"password": SECRET}),
    "kwargs": lambda task: task.apply_async((), SECRET),
    "items": lambda task: task.map(SECRET),
    "an item": lambda task: task.map([Vault()]),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_no_error_quotes_it(make_queue: MakeQueue, mistake: str) -> None:
    def two(password: Any, user: Any = None) -> None: ...

    task = make_queue().task(sensitive=True)(two)
    with pytest.raises((TypeError, SerializationError)) as info:
        REFUSED[mistake](task)
    assert SECRET not in str(info.value)


def test_what_is_not_named_is_quoted_as_ever(make_queue: MakeQueue) -> None:
    task = make_queue().task(sensitive=("password",))(login)
    with pytest.raises(SerializationError, match=r"argument 1 of .*: <unlocked .*cannot pickle"):
        task.delay(threading.Lock(), SECRET)


@pytest.mark.parametrize(
    ("sensitive", "error"),
    [
        ("pasword", "sensitive= names 'pasword', which is no argument; did you mean 'password'"),
        (("user", "x"), "sensitive= names 'x', which is no argument"),
        (3, "sensitive= takes True, or the names of arguments"),
        ((1,), "sensitive= takes True, or the names of arguments"),
        ({"password": 1}, "sensitive= takes True, or the names of arguments"),
    ],
)
def test_a_name_that_is_none_is_refused_where_it_is_given(sensitive: Any, error: str) -> None:
    def check(user: str, password: str) -> None: ...

    queue = HotQueue("q", url="redis://127.0.0.1:1")
    with pytest.raises(TypeError, match=f"@queue.task {error}"):
        queue.task(sensitive=sensitive)(check)
    with pytest.raises(TypeError, match=error):
        queue.task(check).apply_async(("a", "b"), sensitive=sensitive)


def test_a_task_without_secrets_is_sent_as_ever(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(sample.square).delay(3)
    assert texts(queue) == ["3"]
    result.revoke()
