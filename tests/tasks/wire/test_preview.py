"""What people see of stored tasks is what was sent, signed, gated or not, whole or cut before the payload; of junk, nothing."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hotqueue import HotQueue
from hotqueue.signing import signer_of
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.wire import envelope, payload
from hotqueue.tasks.wire.preview import Preview, error_texts, preview


def add(a: int, b: int = 2) -> int:
    return a + b


def envelope_of(**options: object) -> bytes:
    queue = HotQueue("q", url="redis://localhost", secret_key=options.pop("secret_key", None))  # type: ignore[arg-type]
    task = queue.task(name="add")(add)
    definition = definition_of(task)
    definition.by_value = False
    chosen = definition.options if not options else replace(definition.options, **options)
    return definition.encode("an-id", (1,), {"b": 3}, chosen, "q", {"headers": {"t": 1}})


@pytest.mark.parametrize(
    "options", [{}, {"max_concurrency": 2}, {"unique": True}, {"max_concurrency": 2, "unique": True}, {"secret_key": "k" * 20}]
)
def test_it_is_what_was_sent(options: dict[str, object]) -> None:
    is_signed = "secret_key" in options
    data = envelope_of(**options)
    whole = envelope.decode(data, signer_of("k" * 20, "q") if is_signed else None)
    for cut in (len(data), len(data) - len(whole.payload) - 32 * is_signed):
        seen = preview(data[:cut])
        assert (seen.task, seen.args, seen.queue, seen.headers) == ("add", "1, b=3", "q", {"t": 1})
        assert (seen.created, seen.priority, seen.is_async, seen.is_signed) == (whole.created, 0, False, is_signed)


def test_junk_is_nothing_and_raises_nothing() -> None:
    data, dice = envelope_of(unique=True, max_concurrency=1), random.Random(7)
    assert preview(b"") == preview(b"\x02" + data[1:]) == Preview()
    for _ in range(2000):
        junk = bytearray(data)
        for _ in range(dice.randrange(1, 8)):
            junk[dice.randrange(len(junk))] = dice.randrange(256)
        preview(bytes(junk[: dice.randrange(len(junk))]))


def boom() -> None:
    raise AssertionError("this was called")


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return boom, ()


def test_the_texts_of_an_error_are_read_without_loading_it() -> None:
    try:
        raise LookupError("no such thing ✓")
    except LookupError as error:
        data = payload.dumps_error(error)
    path, message, trace = payload.describe_error(data)
    assert error_texts(data) == (path, message, trace)
    assert error_texts(data[: data.index(b"Traceback") + 5]) is None  # cut inside the third


@pytest.mark.parametrize(
    "value", [4, [1], {"a": 1}, Bomb(), (Bomb(), "b", "c", None), datetime.now(UTC), ("a", "b"), ("one", 2, "three")]
)
def test_what_is_no_error_has_no_texts_and_is_not_run(value: object) -> None:
    assert error_texts(pickle.dumps(value)) is None


def test_the_same_text_twice_is_read_twice() -> None:
    text = "x" * 10
    assert error_texts(pickle.dumps((text, text, text, None), 5)) == (text, text, text)
