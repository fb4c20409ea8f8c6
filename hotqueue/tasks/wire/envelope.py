"""Envelope: the call on the wire. Encode and decode; wire version, checksum, signature. Never unpickles.

``fixed | id | task header | call header | payload [| signature]``. The fixed bytes are for Lua and for every version to
come; the task header (JSON) is the same for all calls of a task and is encoded and decoded once; the call header is the
arguments as text, or JSON when there is more to say; the payload is opaque.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from hotqueue.errors import CorruptEnvelope, NewerEnvelope, SignatureError
from hotqueue.signing import SIGNATURE_BYTES, Signer
from hotqueue.tasks.rules import unique as unique_rules
from hotqueue.tasks.rules.gates import GATES
from hotqueue.tasks.rules.history import json_object
from hotqueue.utf8 import raw

WIRE_VERSION = 1  # what is written
OLDEST_READ = 1  # from here to what is written, all are read
SYNC, ASYNC = ord("s"), ord("a")
ARGS_REPR_MAX = 1024

# version, kind, priority + 100, flags, checksum of all the rest, created (ms), lengths of task header, call header, id
FIXED = struct.Struct(">BBBBIQIIB")
_CHECKED_FROM = 8
_CHECKED = struct.Struct(">QIIB")  # of these, what the checksum covers as one piece with all that follows
HAS_MORE = 1  # the call header is JSON
BY_VALUE = 2  # the payload brings the function along
SIGNED = 4
UNIQUE = 16  # what says under which key it is the only one stands behind the gates, in the same way; see lua/shared/unique.lua
GATED = (
    8  # the call header begins with gates, and two bytes that say how long these are; Lua reads them, see lua/shared/gates.lua
)
STEP = 32  # the call header says of a workflow, under "flow", what the call is in it: see plan.py
_KNOWN = HAS_MORE | BY_VALUE | SIGNED | GATED | UNIQUE | STEP

_headers: dict[bytes, dict[str, Any]] = {}  # decoded task headers; bounded in _task_header


@dataclass(slots=True)
class Envelope:
    """A call as a worker reads it.

    Attributes:
        id: the task's id.
        header: task name, queue, options that travel; shared by all calls of the task: do not change it.
        kind: SYNC or ASYNC.
        priority: −100…100.
        created: ms since the epoch, by the producer's clock.
        by_value: True when the payload brings the function along.
        payload: pickled; opaque here.
        gates: what bounds how many run at a time, or start in a while, see rules/gates.py; b"": nothing.
        unique: by what it is the only one, see rules/unique.py; b"": nothing.
        head_bytes: how much of it is in front of the payload.
    """

    id: str
    header: dict[str, Any]
    kind: int
    priority: int
    created: int
    by_value: bool
    payload: bytes
    _call: bytes
    _has_more: bool
    gates: bytes = b""
    unique: bytes = b""
    head_bytes: int = 0
    _more: dict[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.header["task"])

    @property
    def args_repr(self) -> str:
        """The arguments as text, at most about 1 KB."""
        return str(self.more.get("args", "")) if self._has_more else self._call.decode("utf-8", "replace")

    @property
    def more(self) -> dict[str, Any]:
        """What the caller said beyond the arguments: ``headers``, ``eta``."""
        if self._more is None:
            self._more = dict(json.loads(self._call)) if self._has_more else {}
        return dict(self._more)

    @property
    def flow(self) -> dict[str, Any]:
        """What it is in a workflow; of what is in none, nothing."""
        return dict(self.more.get("flow") or {})

    @property
    def headers(self) -> dict[str, Any]:
        """The caller's own headers."""
        return dict(self.more.get("headers") or {})


_in_json = json.JSONEncoder(separators=(",", ":")).encode  # `dumps` would make an encoder for each call


def task_header(name: str, queue: str, options: dict[str, Any], python: str = "") -> bytes:
    """Return the part of an envelope that all calls of a task share."""
    header: dict[str, Any] = {"task": name, "queue": queue}
    if options:
        header["options"] = options
    if python:
        header["python"] = python
    return json.dumps(header, separators=(",", ":"), sort_keys=True).encode()


class Form:
    """What the envelopes of a task have in common, encoded once: it is on the path of every call.

    Args:
        header: see `task_header`.
        kind: SYNC or ASYNC.
        priority: −100…100.
        flags: HAS_MORE, BY_VALUE.
        signer: signs the envelopes.
    """

    __slots__ = ("_crc", "_first", "_header", "_signer", "_size")

    def __init__(self, header: bytes, kind: int, priority: int, flags: int = 0, signer: Signer | None = None) -> None:
        self._first = bytes((WIRE_VERSION, kind, priority + 100, flags if signer is None else flags | SIGNED))
        self._crc = zlib.crc32(self._first)
        self._header, self._size, self._signer = header, len(header), signer

    def encode(self, task_id: bytes, created: int, call: bytes, payload: bytes) -> bytes:
        """Return an envelope's bytes; see the module for the form."""
        lengths = _CHECKED.pack(created, self._size, len(call), len(task_id))
        rest = b"%b%b%b%b%b" % (lengths, task_id, self._header, call, payload)
        body = b"%b%b%b" % (self._first, zlib.crc32(rest, self._crc).to_bytes(4, "big"), rest)
        return body if self._signer is None else body + self._signer.sign(body)


def call_header(args_repr: str, more: dict[str, Any] | None = None, gates: bytes = b"", unique: bytes = b"") -> tuple[bytes, int]:
    """Return the call header and its flags."""
    call, flags = args_repr.encode("utf-8", "replace"), 0
    if more:
        call, flags = _in_json({"args": args_repr, **more}).encode(), HAS_MORE
        flags |= STEP if "flow" in more else 0
    if unique:
        call, flags = len(unique).to_bytes(2, "big") + unique + call, flags | UNIQUE
    return (len(gates).to_bytes(2, "big") + gates + call, flags | GATED) if gates else (call, flags)


def restamped(data: bytes, task_id: str = "", created: int = 0, signer: Signer | None = None) -> bytes:
    """Return the envelope of the same call as that in `data`, of ours, under another id; signed by `signer`, or not at all."""
    body = data[:-SIGNATURE_BYTES] if data[3] & SIGNED else data
    version, kind, priority, flags, _, _, n_header, n_call, n_id = FIXED.unpack_from(body)
    its_id = raw(task_id)
    first = bytes((version, kind, priority, flags & ~SIGNED if signer is None else flags | SIGNED))
    rest = _CHECKED.pack(created, n_header, n_call, len(its_id)) + its_id + body[FIXED.size + n_id :]
    body = first + zlib.crc32(rest, zlib.crc32(first)).to_bytes(4, "big") + rest
    return body if signer is None else body + signer.sign(body)


def may_say(data: bytes, word: bytes) -> bool:
    """Tell whether a word of ASCII may be in the call header of an envelope, for less than decoding it costs."""
    try:
        *_, n_header, n_call, n_id = FIXED.unpack_from(data)
    except struct.error:
        return True
    start = FIXED.size + n_id + n_header
    return data.find(word, start, start + n_call) >= 0


def with_unique(data: bytes, unique: bytes, signer: Signer | None) -> bytes:
    """Return the envelope in `data`, of ours, made unique in this way, and in no other; signed by `signer`, or not at all."""
    version, kind, priority, flags, _, created, n_header, n_call, n_id = FIXED.unpack_from(data)
    at = FIXED.size + n_id + n_header
    at += 2 + int.from_bytes(data[at : at + 2], "big") if flags & GATED else 0
    own = 2 + int.from_bytes(data[at : at + 2], "big") if flags & UNIQUE else 0
    text = len(unique).to_bytes(2, "big") + unique
    lengths = _CHECKED.pack(created, n_header, n_call + len(text) - own, n_id)
    head = bytes((version, kind, priority, flags | UNIQUE)) + bytes(_CHECKED_FROM - 4) + lengths
    body = head + data[FIXED.size : at] + text + data[at + own :]
    return restamped(body, data[FIXED.size : FIXED.size + n_id].decode(), created, signer)


def decode(data: bytes, signer: Signer | None = None, queue: str | None = None, task_id: str | None = None) -> Envelope:
    """Return the envelope in `data`, without touching its payload.

    Args:
        signer: when given, an unsigned or altered envelope, or one of another queue or another id, is refused.

    Raises:
        CorruptEnvelope, NewerEnvelope, SignatureError.
    """
    body = data
    if signer is not None:
        body = _verified(data, signer)
    elif len(data) > FIXED.size and data[3] & SIGNED:  # the flag means the same in every version
        body = data[:-SIGNATURE_BYTES]
    if len(body) < FIXED.size:
        raise CorruptEnvelope(f"not a hotqueue message: {len(data)} B starting with {data[:16]!r}")
    version, kind, priority, flags, checksum, created, n_header, n_call, n_id = FIXED.unpack_from(body)
    if zlib.crc32(memoryview(body)[_CHECKED_FROM:], zlib.crc32(body[:4])) != checksum:
        raise CorruptEnvelope(f"not a hotqueue message, or altered on its way: {len(data)} B starting with {data[:16]!r}")
    if not OLDEST_READ <= version <= WIRE_VERSION:
        raise _unreadable(version)
    start = FIXED.size + n_id
    header = body[start : start + n_header]
    start += n_header
    try:
        its_id, its_header = body[FIXED.size : FIXED.size + n_id].decode(), _headers.get(header) or _task_header(header)
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # whole, but of a producer that is none of ours
        raise CorruptEnvelope(f"an envelope with a wrong id or header, {bytes(header[:200])!r}: {error}") from None
    call = body[start : start + n_call]
    gates, unique, call = _more_of(call, flags) if flags >= GATED else (b"", b"", call)
    envelope = Envelope(
        its_id,
        its_header,
        kind,
        priority - 100,
        created,
        bool(flags & BY_VALUE),
        body[start + n_call :],
        call,
        bool(flags & HAS_MORE),
        gates,
        unique,
        start + n_call,
    )
    if signer is not None and queue is not None and envelope.header["queue"] != queue:
        raise SignatureError(f"task {envelope.id} was signed for queue {envelope.header['queue']!r}, not {queue!r}: replayed?")
    if signer is not None and task_id is not None and envelope.id != task_id:
        raise SignatureError(f"the envelope of task {envelope.id} stood under another id, {task_id!r:.300}: replayed?")
    return envelope


def glimpse(data: bytes) -> tuple[int, dict[str, Any]]:
    """Return kind and header of an envelope that may be cut behind them, unverified: for people; nothing of what is none."""
    if len(data) < FIXED.size or data[0] != WIRE_VERSION:
        return 0, {}
    _, kind, _, _, _, _, n_header, _, n_id = FIXED.unpack_from(data)
    start = FIXED.size + n_id
    return kind, json_object(data[start : start + n_header]) or {}


def _unreadable(version: int) -> NewerEnvelope | CorruptEnvelope:
    what = f"envelope of wire version {version}; this hotqueue reads"
    if version > WIRE_VERSION:
        return NewerEnvelope(f"{what} up to {WIRE_VERSION}: upgrade the worker", version)
    return CorruptEnvelope(f"{what} from {OLDEST_READ} to {WIRE_VERSION}")


def gates_in(data: bytes) -> bytes:
    """Return the gates in an envelope that was not looked at yet; b"" where there are none."""
    if len(data) < FIXED.size or not data[3] & GATED:
        return b""
    *_, n_header, _, n_id = FIXED.unpack_from(data)
    start = FIXED.size + n_id + n_header
    return data[start + 2 : start + 2 + int.from_bytes(data[start : start + 2], "big")]


def _more_of(call: bytes, flags: int) -> tuple[bytes, bytes, bytes]:
    """Return the gates of a call header, what makes it unique, and the rest; what is not known might be not to be passed."""
    if flags & ~_KNOWN:
        raise NewerEnvelope(f"envelope with flags {flags:#x}, of a newer hotqueue: upgrade the worker", WIRE_VERSION + 1)
    gates, call = _text_in(call, GATES, "a gate") if flags & GATED else (b"", call)
    unique, call = _text_in(call, unique_rules.UNIQUE, "a unique key") if flags & UNIQUE else (b"", call)
    return gates, unique, call


def _text_in(call: bytes, form: re.Pattern[bytes], what: str) -> tuple[bytes, bytes]:
    end = 2 + int.from_bytes(call[:2], "big")
    if not form.fullmatch(call, 2, end):
        raise NewerEnvelope(
            f"envelope with {what} of a newer hotqueue, {call[2:end]!r:.80}: upgrade the worker", WIRE_VERSION + 1
        )
    return call[2:end], call[end:]


def _verified(data: bytes, signer: Signer) -> bytes:
    if len(data) < FIXED.size + SIGNATURE_BYTES or not data[3] & SIGNED:
        raise SignatureError("an unsigned envelope, but this worker has a secret key: give the producer the same one")
    body = data[:-SIGNATURE_BYTES]
    signer.verify(body, data[-SIGNATURE_BYTES:], "an envelope")
    return body


def _task_header(data: bytes) -> dict[str, Any]:
    if len(_headers) > 1000:
        _headers.clear()
    header = json.loads(data)
    header["task"].encode()  # it becomes a part of a key
    _headers[data] = header
    found: dict[str, Any] = header
    return found
