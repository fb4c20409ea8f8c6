"""Checkpoints as bytes: what comes back, and what is refused before anybody unpickles it."""

from __future__ import annotations

import pytest

from hotqueue.errors import SerializationError, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.wire.checkpoint import Checkpoint, decode, encode

SIGNER = Signer([b"key"]).for_checkpoints("q")


@pytest.mark.parametrize("signer", [None, SIGNER])
@pytest.mark.parametrize("given", [Checkpoint(), Checkpoint(b"a\nb", (3, 0, 10**12), 7), Checkpoint(b"", (1,), 1000)])
def test_it_comes_back_as_it_was(given: Checkpoint, signer: Signer | None) -> None:
    assert decode(encode(given, "id", signer), "id", signer) == given


def test_one_of_another_task_or_altered_or_unsigned_is_refused() -> None:
    data = encode(Checkpoint(b"state"), "id", SIGNER)
    others = [Signer([b"other"]).for_checkpoints("q"), Signer([b"key"]).for_checkpoints("p"), Signer([b"key"]).for_results("q")]
    for wrong, task_id, signer in [
        (data, "di", SIGNER),
        (data[:-1] + b"x", "id", SIGNER),
        (encode(Checkpoint(b"state"), "id", None), "id", SIGNER),
        (b"", "id", SIGNER),
        *((data, "id", other) for other in others),
    ]:
        with pytest.raises(SignatureError, match=f"the checkpoint of task {task_id} "):
            decode(wrong, task_id, signer)


@pytest.mark.parametrize("data", [b"", b"1\n", b"2 0\n", b"1 x\n", b"1 0", b"1 " + b"9" * 30 + b"\n"])
def test_what_is_none_is_said(data: bytes) -> None:
    with pytest.raises(SerializationError, match="the checkpoint of task id cannot be read"):
        decode(data, "id", None)
