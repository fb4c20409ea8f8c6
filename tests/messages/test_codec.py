"""The rules for raw messages: any object with dumps and loads, text for None, errors that name what cannot travel."""

from __future__ import annotations

import json
import os
import pickle
from decimal import Decimal
from typing import Any

import cloudpickle
import jsonpickle
import msgpack
import pytest
import simplejson

from hotqueue.errors import SerializationError
from hotqueue.messages.codec import Codec, portable, restored

DOCUMENT = {"name": "Richard Henry", "eyes": "blue", "n": [1, 2.5, None, True]}


class Echo:
    """The tutorial's dummy: does nothing."""

    @staticmethod
    def dumps(obj: Any) -> Any:
        return obj

    @staticmethod
    def loads(data: Any) -> Any:
        return data


class OnlyBytes:
    """A serializer of one type, whose dumps fails for any other."""

    @staticmethod
    def dumps(obj: bytes) -> bytes:
        return b"<" + obj + b">"

    @staticmethod
    def loads(data: bytes) -> bytes:
        return data[1:-1]


class Leaver:
    """Ends the process that loads it, if let."""

    def __reduce__(self) -> Any:
        return (os.sys.exit, ("gone",))  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:keys will default to True in jsonpickle")
@pytest.mark.parametrize("serializer", [pickle, json, simplejson, jsonpickle, cloudpickle, msgpack], ids=lambda s: s.__name__)
def test_what_goes_in_comes_out(serializer: Any) -> None:
    raw = Codec(serializer).dumps(DOCUMENT)
    assert isinstance(raw, bytes)
    assert Codec(serializer).loads(raw) == DOCUMENT  # another process: it has dumped nothing yet


def test_pickle_carries_any_object() -> None:
    codec = Codec(pickle)
    assert codec.loads(codec.dumps(Decimal("1.4"))) == Decimal("1.4")


def test_cloudpickle_carries_a_lambda() -> None:
    codec = Codec(cloudpickle)
    assert codec.loads(codec.dumps(lambda n: n + 1))(41) == 42


@pytest.mark.parametrize(
    ("put", "got"),
    [
        ("my,csv,data", "my,csv,data"),
        ({"a": 1}, "{'a': 1}"),
        (4, "4"),
        (None, "None"),
        ("", ""),
        ("žluťoučký", "žluťoučký"),
        (b"text", "text"),
        (b"\xff\xfe", b"\xff\xfe"),
        (bytearray(b"\xff"), b"\xff"),
        (memoryview(b"abc"), "abc"),
    ],
)
def test_none_is_text(put: Any, got: Any) -> None:
    codec = Codec(None)
    assert codec.loads(codec.dumps(put)) == got


@pytest.mark.parametrize(("put", "got"), [("text", "text"), (b"text", "text"), (4, "4"), (2.5, "2.5"), (b"\xff", b"\xff")])
def test_a_class_that_passes_things_through_gets_text_as_text(put: Any, got: Any) -> None:
    assert Codec(Echo).loads(Codec(Echo).dumps(put)) == got
    same = Codec(Echo)
    assert same.loads(same.dumps(put)) == got


def test_a_serializer_of_one_type_gets_bytes() -> None:
    assert Codec(OnlyBytes()).loads(Codec(OnlyBytes()).dumps(b"x")) == b"x"


@pytest.mark.parametrize("serializer", [object(), 5, "json", json.dumps])
def test_a_serializer_without_dumps_and_loads_is_refused(serializer: Any) -> None:
    with pytest.raises(TypeError, match="a serializer has dumps and loads"):
        Codec(serializer)


@pytest.mark.parametrize(
    ("serializer", "message", "cause"),
    [
        (pickle, lambda: 0, "pickle: "),
        (json, {1, 2}, "set is not JSON serializable"),
        (None, "\ud800", "UnicodeEncodeError"),
        (Echo, [1], "dumps returned list, not bytes or str"),
        (Echo, None, "dumps returned NoneType"),
    ],
)
def test_what_cannot_travel_is_named(serializer: Any, message: Any, cause: str) -> None:
    with pytest.raises(
        SerializationError, match=r"^argument 3 of put\(\), .* cannot be serialized by .*; nothing was sent$"
    ) as info:
        Codec(serializer).dumps(message, 3)
    assert cause in str(info.value)


def test_an_object_without_a_repr_is_still_named() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

        def __reduce__(self) -> Any:
            raise TypeError("no")

    with pytest.raises(SerializationError, match=r"argument 1 of put\(\), a Shy, cannot be serialized by pickle: TypeError: no"):
        Codec(pickle).dumps(Shy())


def test_a_class_of_the_script_that_wrote_says_where_to_define_it() -> None:
    """Raw messages are what pickle makes of them: the class is looked for in whatever script reads."""
    with pytest.raises(SerializationError, match="define it in a module that both programs import, and not in the script"):
        Codec(pickle).loads(b"c__main__\nOrderOfAnotherScript\n.")


@pytest.mark.parametrize("raw", [b"", b"junk", b"\x80\x04", pickle.dumps(Leaver()), b"chotqueue.nowhere\nNothing\n."])
def test_what_cannot_be_loaded_shows_its_first_bytes(raw: bytes) -> None:
    with pytest.raises(SerializationError, match="a message cannot be loaded by pickle: ") as info:
        Codec(pickle).loads(raw)
    assert repr(raw[:60]) in str(info.value)


@pytest.mark.parametrize("serializer", [json, None, Echo])
def test_a_serializer_survives_pickling(serializer: Any) -> None:
    assert restored(pickle.loads(pickle.dumps(portable(serializer)))) is serializer
