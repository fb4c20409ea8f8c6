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
from hotqueue.tasks.rules.options import TaskOptions, override
from hotqueue.tasks.wire import envelope


def call(tenant: Any, amount: int = 1, *rest: Any, **more: Any) -> None:
    """Stand for a task."""


SIGNATURE = inspect.signature(call)


def key_of(key: Key | None, *args: Any, **kwargs: Any) -> bytes:
    options = TaskOptions(max_concurrency=4, concurrency_key=key)
    return gates.of_call(options, "shop.call", SIGNATURE, args, kwargs)


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
    assert gates.GATES.fullmatch(gate)
    assert gates.read(gate) == [gates.Gate("c", made.decode().partition(" ")[2], 4)]


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
            (
                {"rate_limit": 100},
                TypeError,
                "rate_limit= takes a rate such as '100/m': how many start in any s, m, h or d, not 100",
            ),
            ({"rate_limit": True}, TypeError, "not True"),
            ({"rate_limit": "100"}, ValueError, "takes a rate such as '100/m'.* not '100'"),
            ({"rate_limit": "100/w"}, ValueError, "not '100/w'"),
            ({"rate_limit": "-1/s"}, ValueError, "not '-1/s'"),
            ({"rate_limit": "1.5/s"}, ValueError, "not '1.5/s'"),
            ({"rate_limit": "0/s"}, ValueError, "lets 1 to 1000000000 start, not '0/s'"),
            ({"rate_limit": "9" * 20 + "/d"}, ValueError, "lets 1 to 1000000000 start"),
            (
                {"rate_limit_key": "a-{tenant_id}"},
                TypeError,
                "got rate_limit_key=, but no rate_limit=; say how many start under one key",
            ),
            ({"rate_limit": "1/s", "rate_limit_key": "{tenantid}"}, TypeError, "rate_limit_key= names 'tenantid'.*'tenant_id'"),
            ({"fair_key": 7}, TypeError, "fair_key= takes a template"),
            ({"fair_key": "{tenant}"}, TypeError, "fair_key= names 'tenant', which is no argument"),
            ({"fair_key": "{password}", "sensitive": True}, TypeError, "'password', which sensitive= hides"),
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


def test_several_gates_are_several_lines() -> None:
    options = TaskOptions(
        max_concurrency=4, concurrency_key="{tenant}", rate_limit="100/m", fair_key=lambda tenant, *_, **__: f"f{tenant}"
    )
    lines = gates.of_call(options, "shop.call", SIGNATURE, (7,), {})
    assert lines == b"c4 k:7\nr100/60000 t:shop.call\nf k:f7"
    assert gates.GATES.fullmatch(lines)
    assert gates.read(lines) == [
        gates.Gate("c", "k:7", 4),
        gates.Gate("r", "t:shop.call", 100, 60_000),
        gates.Gate("f", "k:f7"),
    ]


@pytest.mark.parametrize("lines", [b"", b"x k:a", b"c0 k:a", b"r1 k:a", b"f k:a\n", b"c1 k:a\n\nf k:b", b"f2 k:a"])
def test_of_a_form_that_is_not_known_none_is_passed(lines: bytes) -> None:
    assert not gates.GATES.fullmatch(lines)


@pytest.mark.parametrize(
    ("rate", "found"), [("1/s", (1, 1000)), ("50/m", (50, 60_000)), ("7/h", (7, 3_600_000)), ("100000/d", (100_000, 86_400_000))]
)
def test_a_rate_is_so_many_in_so_long(rate: str, found: tuple[int, int]) -> None:
    assert gates.rate_of(gates.check_rate(rate, "rate_limit=")) == found


def test_how_late_one_may_start_after_it_was_counted() -> None:
    assert gates.late_after(b"r5/1000 k:a") == 0.031
    assert gates.late_after(b"c1 k:a\nr5/86400000 k:a\nf k:a") == 0.25
    assert gates.late_after(b"c1 k:r5/1000 k") is None
