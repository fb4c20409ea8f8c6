"""Calls as somebody types them: one text means the same arguments as a command line does; and back, where nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import calls
from hotqueue.monitor.calls import arguments_in, arguments_of, queue_of, typed_again, value_of
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.client.arguments import args_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("-5", -5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"4"', "4"),
        ("[1, 2]", [1, 2]),
        ("ann@x.org", "ann@x.org"),
    ],
)
def test_an_argument_is_json_or_text(text: str, value: Any) -> None:
    assert value_of(text) == value


def test_arguments_by_name_come_last() -> None:
    assert arguments_of(["4", "a=b", "x=[1]", "y=z=1"]) == ([4], {"a": "b", "x": [1], "y": "z=1"})  # a= is a name too
    assert arguments_of(["http://x/?q=1"]) == (["http://x/?q=1"], {})
    for wrong, says in (
        (["x=1", "4"], "behind an argument by name"),
        (["x=1", "x=2"], "given twice"),
        (["[1"], "begins like JSON"),
        (["4", "--wiat"], "no option '--wiat'"),
        (["[" * 100_000], "nested too deeply"),
    ):
        with pytest.raises(ValueError, match=says):
            arguments_of(wrong)


@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("", [], {}),
        ("4 x=1", [4], {"x": 1}),
        ('"a b"\n\'"4"\' \'[1, 2]\' y={"a": [1, {"b": " "}]}', ["a b", "4", [1, 2]], {"y": {"a": [1, {"b": " "}]}}),
        ("ann@x.org http://x/?q=1 -5 n=", ["ann@x.org", "http://x/?q=1", -5], {"n": ""}),
        ("[4, [5]]", [4, [5]], {}),
        ("[[1, 2]]", [[1, 2]], {}),
        ("[1] 2", [[1], 2], {}),
        ('{"x": 1}', [], {"x": 1}),
        ('{"x": 1} y=2', [{"x": 1}], {"y": 2}),
    ],
)
def test_one_text_means_what_a_command_line_does(text: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    assert arguments_in(text) == (args, kwargs)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"abc', "begins like JSON, and is none"),
        ("'abc", "has no second '"),
        ("[1]2", "no blank between"),
        ("n= -5", "-5 comes behind"),
        ("4 --wait", "'--wait' looks like an option"),
        ("x=1 x=2", "given twice"),
        ("[" * 100_000, "nested too deeply"),
        ("4 " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        arguments_in(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((4, "it's", None), {}), ((), {"x": [1, {"a": -2.5}], "y": "ä\n b"}), (("x=1", "--wait", ""), {})],
)
def test_what_is_shown_is_typed_again(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    typed = typed_again(args_text(args, kwargs))
    assert typed is not None
    assert arguments_in(typed) == (list(args), kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("x" * 300,), {}),
        (([*range(10)],), {}),
        (((1, 2),), {}),
        (({1: 2},), {}),
        ((b"x",), {}),
        ((float("nan"),), {}),
        ((object(),), {}),
        (tuple(range(30)), {"a": 1}),
        (("x" * 150,) * 12, {}),
    ],
)
def test_what_would_not_be_the_same_is_not_typed_again(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert typed_again(args_text(args, kwargs)) is None


@pytest.mark.parametrize("shown", ["***, 4", "*a", "**{'a': 1}", "__import__('os')", "(" * 500, ") + (1", "4)+_(5", "\0"])
def test_whatever_stands_there_is_no_call_of_ours(shown: str) -> None:
    assert typed_again(shown) is None


def test_the_queue_is_the_one_whose_workers_know_the_task(make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    one, other = make_queue(queue_name), make_queue(f"{queue_name}-other")
    sessions = [Session(Broker(queue._store, queue.name), "w", "s", names) for queue, names in ((one, "ab"), (other, "bc"))]
    for session in sessions:
        session.register(60_000, {})
    found = calls.known(one._store, [one.name, other.name, f"{queue_name}-none"])
    assert found == {one.name: {"a", "b"}, other.name: {"b", "c"}, f"{queue_name}-none": set()}
    assert queue_of("a", found) == one.name
    with pytest.raises(ValueError, match=f"workers of {one.name}, {other.name} know b"):
        queue_of("b", found)
    with pytest.raises(ValueError, match="no worker knows a task 'price'; did you mean 'prices'"):
        queue_of("price", {"x": {"prices"}})
    for session in sessions:
        session.broker.reap("w", known_dead=True)
