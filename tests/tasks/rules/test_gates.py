"""Under which key a call counts, and what is refused where it is said: at the definition, or else at the call.

Of this kind: templates that name no argument, or a hidden one; arguments by position, by name, by default, and such as no
signature names; what makes no key; and the line that travels, which Lua reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.rules import gates
from hotqueue.tasks.rules.call_keys import Key
from hotqueue.tasks.rules.options import override
from hotqueue.tasks.wire import envelope


def call(tenant: Any, amount: int = 1, *rest: Any, **more: Any) -> None:
    """Stand for a task."""


SIGNATURE = inspect.signature(call)


def key_of(key: Key | None, *args: Any, **kwargs: Any) -> bytes:
    return gates.of_call(4, key, "shop.call", SIGNATURE, args, kwargs)


def test_without_a_key_all_calls_of_a_task_count_together() -> None:
    assert key_of(None, 7) == b"c4 t:shop.call"


@pytest.mark.parametrize(
    ("key", "args", "kwargs", "made"),
    [
        ("tenant-{tenant}", (7,), {}, b"c4 k:tenant-7"),
        ("tenant-{tenant}", (), {"tenant": "é"}, "c4 k:tenant-é".encode()),
        ("{tenant}/{amount}", (7,), {}, b"c4 k:7/1"),
        ("{tenant[name]}", ({"name": "x"},), {}, b"c4 k:x"),
        ("{colour}", (7,), {"colour": "red"}, b"c4 k:red"),
        ("all of them", (7,), {}, b"c4 k:all of them"),
        (lambda tenant, amount, *_: f"{tenant}:{amount % 3}", (7, 5), {}, b"c4 k:7:2"),
    ],
)
def test_a_key_is_made_of_the_bound_arguments(key: Key, args: Any, kwargs: Any, made: bytes) -> None:
    gate = key_of(key, *args, **kwargs)
    assert gate == made
    assert gates.GATE.fullmatch(gate)
    assert gates.read(gate) == (4, made.decode().partition(" ")[2])


@pytest.mark.parametrize(
    ("key", "args", "error", "says"),
    [
        ("{colour}", (7,), ValueError, "cannot be made of '{colour}': KeyError"),
        ("{tenant.name}", (7,), ValueError, "has no attribute 'name'"),
        ("{tenant}", ("",), ValueError, "1 to 200 bytes"),
        ("{tenant}", ("x" * 201,), ValueError, "1 to 200 bytes"),
        ("{tenant}", ("a\nb",), ValueError, r"not 'a\\nb'"),
        ("{tenant}", ("\ud800",), ValueError, "1 to 200 bytes"),
        (lambda *_, **__: 7, (7,), TypeError, "makes a str of the arguments, not 7"),
    ],
)
def test_what_makes_no_key_is_refused_with_the_value(key: Key, args: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        key_of(key, *args)


def one(tenant_id: int, password: str = "") -> None:
    """Stand for a task without `**kwargs`."""


@pytest.mark.servers("embedded")
class TestWhereATaskIsDefined:
    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"max_concurrency": 0}, ValueError, "max_concurrency= takes a whole number of at least 1, not 0"),
            ({"max_concurrency": "4"}, TypeError, "max_concurrency= takes a whole number, not '4'"),
            ({"max_concurrency": True}, TypeError, "not True"),
            ({"concurrency_key": "a-{tenant_id}"}, TypeError, "got concurrency_key=, but no max_concurrency="),
            ({"max_concurrency": 1, "concurrency_key": 7}, TypeError, "takes a template such as 'tenant-{id}'.* not 7"),
            ({"max_concurrency": 1, "concurrency_key": ""}, TypeError, "takes a template"),
            (
                {"max_concurrency": 1, "concurrency_key": "t-{tenantid}"},
                TypeError,
                "'tenantid', which is no argument.*'tenant_id'",
            ),
            ({"max_concurrency": 1, "concurrency_key": "t-{}"}, ValueError, "names its arguments"),
            ({"max_concurrency": 1, "concurrency_key": "t-{0}"}, ValueError, "names its arguments"),
            ({"max_concurrency": 1, "concurrency_key": "t-{"}, ValueError, "is no template"),
            (
                {"max_concurrency": 1, "concurrency_key": "{password}", "sensitive": ("password",)},
                TypeError,
                "'password', which sensitive= hides",
            ),
            (
                {"max_concurrency": 1, "concurrency_key": lambda tenant_id: str(tenant_id)},
                TypeError,
                r"concurrency_key= is called with all arguments of the task, \(tenant_id: .*, and takes \(tenant_id\): too many",
            ),
            ({"max_concurrency": 1, "concurrency_key": lambda: "x"}, TypeError, "is called with all arguments of the task"),
            ({"max_concurency": 1}, TypeError, "did you mean 'max_concurrency'"),
        ],
    )
    def test_it_is_refused_there(
        self, make_queue: Callable[..., HotQueue], options: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            make_queue().task(**options)(one)

    def test_or_for_one_call(self, make_queue: Callable[..., HotQueue]) -> None:
        task = make_queue().task(max_concurrency=2)(one)
        with pytest.raises(
            TypeError, match=r"apply_async\(\) concurrency_key= names 'tenant', which is no argument.*'tenant_id'"
        ):
            task.apply_async((7,), concurrency_key="{tenant}")

    @pytest.mark.parametrize(
        "key", [lambda *a, **k: "x", lambda tenant_id, password: "x", lambda tenant_id, password="": "x", str]
    )
    def test_a_callable_that_takes_them_is_one(self, make_queue: Callable[..., HotQueue], key: Callable[..., str]) -> None:
        make_queue().task(max_concurrency=1, concurrency_key=key)(one)

    def test_of_a_task_that_takes_any_number_nobody_knows(self, make_queue: Callable[..., HotQueue]) -> None:
        make_queue().task(max_concurrency=1, concurrency_key=lambda tenant, *_, colour="": tenant)(call)
        with pytest.raises(TypeError, match="is called with all arguments"):
            make_queue().task(max_concurrency=1, concurrency_key=lambda tenant: tenant)(call)

    def test_a_call_may_do_without_the_limit(self, make_queue: Callable[..., HotQueue]) -> None:
        task = make_queue().task(max_concurrency=2, concurrency_key="t-{tenant_id}")(one)
        assert override(definition_of(task).options, {"max_concurrency": None}, "here").concurrency_key is None
        with pytest.raises(TypeError, match="got concurrency_key=, but no max_concurrency="):
            task.apply_async((7,), max_concurrency=None, concurrency_key="{tenant_id}")

    def test_the_gate_travels_and_the_options_do_not(self, make_queue: Callable[..., HotQueue]) -> None:
        task = definition_of(make_queue().task(max_concurrency=2, concurrency_key="t-{tenant_id}", name="one")(one))
        task.by_value = False
        data = task.encode("id", (7,), {}, task.options, "q")
        assert data[3] == envelope.GATED
        found = envelope.decode(data)
        assert (found.gates, found.args_repr, found.header) == (b"c2 k:t-7", "7", {"queue": "q", "task": "one"})
