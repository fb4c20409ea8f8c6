"""The methods for messages are whole without those for tasks: a class of its own can have them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, QueueFull
from hotqueue.messages.codec import Codec
from hotqueue.messages.local import Local
from hotqueue.messages.methods import MessageMethods
from hotqueue.tasks.methods import TaskMethods
from tests.support.processes import run_python


class Plain(MessageMethods):
    """A queue of messages that has never heard of tasks."""

    def __init__(self, queue: HotQueue) -> None:
        self.name, self.key, self._store, self.max_queue_length = queue.name, queue.key, queue._store, 3
        self._codec, self._kept = Codec(None), Local(queue.name, queue._store)


def test_messages_need_no_methods_for_tasks(make_queue: Callable[..., HotQueue]) -> None:
    plain, handled = Plain(make_queue()), list[Any]()
    plain.put("a", "b")
    with pytest.raises(QueueFull, match="holds 2 messages of at most 3: 2 more do not fit"):
        plain.put("c", "d")
    assert (len(plain), plain.get()) == (2, "a")
    plain.worker(handled.append)  # decorated, not run
    assert (list(plain.consume(block=False)), handled) == (["b"], [])
    plain.put("e")
    plain.clear()
    assert plain.get() is None


def test_the_twins_refuse_what_does_not_fit_too(make_queue: Callable[..., HotQueue]) -> None:
    plain = Plain(make_queue())

    async def main() -> Any:
        try:
            await plain.aput("a", "b")
            with pytest.raises(QueueFull, match="2 more do not fit, none was stored"):
                await plain.aput("c", "d")
            return await plain.aget()
        finally:
            await plain._store.aclose()

    assert (asyncio.run(main()), len(plain)) == ("a", 1)


def test_no_method_of_one_set_hides_one_of_the_other() -> None:
    def public(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}

    assert public(MessageMethods) & public(TaskMethods) == set()
    assert public(MessageMethods) | public(TaskMethods) <= public(HotQueue)


def test_using_messages_imports_nothing_that_only_tasks_need() -> None:
    code = """
import sys
from hotqueue import HotQueue
queue = HotQueue("q", host="127.0.0.1", port=1)
queue.consume(); repr(queue); queue.close()
print(sorted(name for name in sys.modules if name.startswith("hotqueue.tasks.")))
"""
    bases = ["broker", "broker.encoded", "client", "client.client", "methods", "operating"]  # what HotQueue derives from
    assert run_python(code).stdout.strip() == str([f"hotqueue.tasks.{name}" for name in bases])
