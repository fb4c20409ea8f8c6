"""Record: how a task ended, on the wire. Encode and decode; never unpickles.

``version, state, retries, date_done (ms) | payload [| signature]``: the payload is the pickled value of a success, else the
error as `payload.dumps_error` wrote it. Of a task that expired unseen by any worker, the script that ended it has written ``E``,
its expiry, when it was ended (ms), and after how many tries; of one that was revoked among many, ``R``, when, and after how many
retries; of one that another took the place of, ``U``, when, and that one's id; of a step of a workflow one before which did not
succeed, ``C``, F or R (failed, revoked), when, and the id of that one: all this holds nothing of a task, so nobody signs it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hotqueue import keys
from hotqueue.errors import SerializationError, SignatureError
from hotqueue.signing import SIGNATURE_BYTES, Signer
from hotqueue.tasks.rules.lifecycle import State, behind, expired, replaced, revoked
from hotqueue.tasks.wire import payload as pickled

_FIXED = struct.Struct(">BBHQ")
HEAD_BYTES = _FIXED.size  # in front of the payload
_VERSION = 1
_FORM = bytes([_VERSION])  # what a record begins with, but for those of scripts
_EXPIRED = re.compile(rb"E(-?\d{1,18}) (\d{1,18}) (\d{1,18})")
_REVOKED = re.compile(rb"R(\d{1,18}) (\d{1,18})")
_BEHIND = re.compile(rb"C([FR])(\d{1,18}) ([^\n]{0,400})")
_REPLACED = re.compile(rb"U(\d{1,18}) ([^\n]{1,400})")
_CODES = {State.SUCCESS: ord("S"), State.FAILURE: ord("F"), State.REVOKED: ord("R")}
_SUCCESS = bytes([_VERSION, _CODES[State.SUCCESS]])  # what such a record begins with
_STATES = {code: state for state, code in _CODES.items()}


@dataclass(slots=True)
class Record:
    """How a task ended.

    Attributes:
        retries: how often it was run again.
        date_done: ms since the epoch.
        payload: pickled value, or error.
        origin: of a step that did not run, as one before it did not succeed, the id of that one.
    """

    state: State
    retries: int
    date_done: int
    payload: bytes
    origin: str | None = None


def encode(state: State, retries: int, date_done: int, payload: bytes, task_id: str = "", signer: Signer | None = None) -> bytes:
    """Return a record's bytes; a signature covers the task's id as well, so that no result can stand in for another."""
    body = _FIXED.pack(_VERSION, _CODES[state], min(retries, 65535), date_done) + payload
    return body if signer is None else body + signer.sign(_named(task_id) + body)


def decode(data: bytes, task_id: str = "", signer: Signer | None = None) -> Record:
    """Return the record in `data`.

    Raises:
        SignatureError: a key is set and the record is unsigned or altered.
        SerializationError: no record, or one of a newer hotqueue.
    """
    if data[:1] != _FORM and (unseen := _of_script(data, task_id)) is not None:
        return unseen
    if signer is not None:
        if len(data) < _FIXED.size + SIGNATURE_BYTES:
            raise SignatureError(f"the result of {task_id} is not signed, but a secret key is set here")
        data, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
        signer.verify(_named(task_id) + data, signature, f"the result of {task_id}")
    if len(data) < _FIXED.size or data[0] != _VERSION or data[1] not in _STATES:
        raise SerializationError(f"the result of {task_id} cannot be read: it starts with {data[:12]!r}")
    _, code, retries, date_done = _FIXED.unpack_from(data)
    return Record(_STATES[code], retries, date_done, data[_FIXED.size :])


def is_success(data: bytes) -> bool:
    """Tell of a record, or its first bytes, whether its task returned."""
    return data[:2] == _SUCCESS


def plain_values(records: Sequence[bytes | None]) -> list[bytes] | None:
    """Return the pickled values in unsigned records of successes; None if one of these is anything else."""
    if not all(data is not None and data[:2] == _SUCCESS and len(data) > HEAD_BYTES for data in records):
        return None
    return [data[HEAD_BYTES:] for data in records if data]


def _of_script(data: bytes, task_id: str) -> Record | None:
    """Return what a script has written of a task that ended unseen by any worker."""
    if ended := _EXPIRED.fullmatch(data):
        error = expired(*map(int, ended.groups())).error
        assert error is not None
        return Record(State.REVOKED, 0, int(ended[2]), pickled.dumps_error(error))
    if ended := _REVOKED.fullmatch(data):
        error = revoked(task_id).error
        assert error is not None
        return Record(State.REVOKED, int(ended[2]), int(ended[1]), pickled.dumps_error(error))
    if ended := _REPLACED.fullmatch(data):
        error = replaced(task_id, keys.text(ended[2])).error
        assert error is not None
        return Record(State.REVOKED, 0, int(ended[1]), pickled.dumps_error(error))
    if ended := _BEHIND.fullmatch(data):
        origin, state = keys.text(ended[3]), State.FAILURE if ended[1] == b"F" else State.REVOKED
        error = behind(origin, state).error
        assert error is not None
        return Record(state, 0, int(ended[2]), pickled.dumps_error(error), origin)
    return None


def origin_in(data: bytes) -> str | None:
    """Return the id of the step because of which another one did not run, and failed, of the record of that; else None."""
    ended = _BEHIND.fullmatch(data) if data[:2] == b"CF" else None
    return None if ended is None else keys.text(ended[3]) or None


def glimpse(data: bytes) -> tuple[State, int] | None:
    """Return how and when (ms) a task ended, of the first bytes of its record, unverified: for people; None for what is none."""
    for form in (_EXPIRED, _REVOKED):
        if ended := form.fullmatch(data):
            return State.REVOKED, int(ended[2] if form is _EXPIRED else ended[1])
    if ended := _BEHIND.fullmatch(data):
        return State.FAILURE if ended[1] == b"F" else State.REVOKED, int(ended[2])
    if len(data) < _FIXED.size or data[0] != _VERSION or data[1] not in _STATES:
        return None
    _, code, _, date_done = _FIXED.unpack_from(data)
    return _STATES[code], date_done


def _named(task_id: str) -> bytes:
    """Return what is signed in front of a record; with its length, so that no part of an id can be taken for a record."""
    name = keys.raw(task_id)
    return len(name).to_bytes(4, "big") + name
