"""What travels has a size, and one limit. Of the kind: whatever a caller or a task makes, and hotqueue pickles or writes down:
arguments, functions by value, headers, results, errors with all that they carry (message, args, attributes, causes, tracebacks),
reasons of `Reject` and `Retry`, progress, arguments as text, names and ids. What Redis itself refuses: tests/crash/test_large.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, RemoteError, Retry, SerializationError, TaskRejected, sizes
from hotqueue.errors import Reject
from hotqueue.tasks.client.arguments import args_text
from hotqueue.tasks.execution.executor import Call, execute
from hotqueue.tasks.rules.lifecycle import Ended
from hotqueue.tasks.wire import exceptions, payload
from tests.support.processes import run_python
from tests.tasks.test_context import request_of

MakeQueue = Callable[..., HotQueue]
LIMIT = sizes.PAYLOAD_MAX
TOO_MUCH = LIMIT + 1


def nowhere() -> HotQueue:
    return HotQueue("q", url="redis://127.0.0.1:1/0")


def run(function: Callable[[], Any]) -> Any:
    return execute(Call("my.task", lambda: (function, (), {}), request_of()))


@pytest.mark.parametrize("value", [b"x" * TOO_MUCH, "x" * TOO_MUCH, ["x" * (1 << 20), b"y" * LIMIT], bytearray(TOO_MUCH)])
def test_a_result_over_the_limit_is_a_failure_with_both_sizes_in_it(value: Any) -> None:
    outcome = run(lambda: value)
    assert outcome.ended is Ended.UNSTORABLE
    assert isinstance(outcome.error, SerializationError)
    for text in (
        "my.task ran to its end",
        "it takes 6",
        " pickled, and a result may have 64 MB",
        "return where",
        "not run again",
    ):
        assert text in str(outcome.error)
    assert str(payload.loads_error(outcome.error_payload)) == str(outcome.error)


def test_a_result_at_the_limit_passes() -> None:
    value = b"x" * (LIMIT - 100)
    assert payload.loads(run(lambda: value).payload) == value


def test_what_is_refused_takes_no_memory_of_its_own() -> None:
    code = """if True:
        import resource
        from hotqueue.tasks.wire import payload
        from hotqueue.tasks.wire.call import dumps_call
        value = b"x" * 540_000_000
        class Big(Exception):
            pass
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for dumps in (lambda: payload.dumps(value), lambda: dumps_call("my.task", (value,), {})):
            try:
                dumps()
            except (payload.TooLarge, payload.SerializationError) as error:
                assert "515 MB pickled" in str(error), error
        assert len(payload.dumps_error(Big(value))) < 100_000
        text = Big(value.decode())
        value = None
        assert len(payload.dumps_error(text)) < 300_000
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
    """
    assert int(run_python(code).stdout) < 1200  # its str, made by the test; and what Python's own str() makes of bytes, once


def test_arguments_over_the_limit_name_both_sizes() -> None:
    task = nowhere().task(print)
    with pytest.raises(
        SerializationError, match=r"arguments of builtins\.print take 67,1.* bytes pickled, but a task may have 64 MB"
    ):
        task.delay(b"x" * TOO_MUCH)
    with pytest.raises(SerializationError, match=r"item 0 of map\(\): the arguments .* nothing was sent"):
        task.map([b"x" * TOO_MUCH])
    kept = b"x" * (70 << 20)
    with pytest.raises(SerializationError, match=r"and the function with what it uses, .* take 70 MB pickled"):
        nowhere().submit(lambda: kept)


def test_headers_have_the_same_limit() -> None:
    task = nowhere().task(print)
    with pytest.raises(SerializationError, match="headers= take 70 MB, but may have 64 MB"):
        task.apply_async((), headers={"a": "x" * (70 << 20)})


class Heavy(Exception):
    """Carries much, in its args and as an attribute."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data = data


def test_an_error_that_carries_much_arrives_as_a_remote_error_cut_short() -> None:
    def fails() -> None:
        raise Heavy("x" * (70 << 20)) from ValueError("y" * (70 << 20))

    outcome = run(fails)
    assert outcome.ended is Ended.RAISED
    assert len(outcome.error_payload) < 250_000
    with pytest.raises(RemoteError, match="Heavy: xxx"):
        raise payload.loads_error(outcome.error_payload)
    assert "ValueError: yyy" in payload.describe_error(outcome.error_payload)[2]
    assert "in fails" in payload.describe_error(outcome.error_payload)[2]


def test_reasons_are_cut() -> None:
    def rejects() -> None:
        raise Reject("x" * (70 << 20))

    def asks() -> None:
        raise Retry(exc=Heavy("x" * (70 << 20)))

    error = run(rejects).error
    assert isinstance(error, TaskRejected)
    assert len(str(error)) == exceptions.MESSAGE_MAX + 1
    assert len(run(asks).error_payload) < 250_000


def test_progress_is_cut() -> None:
    told: list[Any] = []
    request_of(reports=told)._update_progress(1, 2, "x" * (70 << 20))
    assert len(told[0][2]["message"]) == exceptions.MESSAGE_MAX + 1


def test_arguments_as_text_look_at_no_more_than_they_show() -> None:
    class Counted(bytes):
        def __repr__(self) -> str:
            raise AssertionError("all of it was written out")

    assert len(args_text((bytes(50 << 20), bytearray(50 << 20), "x" * (50 << 20)), {"k" * 5000: 1})) <= 1024
    assert "50 MB" not in args_text((Counted(10),), {})
