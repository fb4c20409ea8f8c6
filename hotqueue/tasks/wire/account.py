"""Account: what a worker tells of a batch of tasks with their settlement, in columns; and what is read of it. Unpickles nothing.

It is written on the path of every task, so that nothing is made for each: columns are packed together, and what an envelope has
in front of its payload goes as it is. It is read by whoever counts, once.

``version, n, clock, now, bytes of worker | worker | n codes | n began, n took, n sizes | n heads | JSON``, little-endian: began
in seconds of the worker's clock, as `now`, to which `clock` is added; took in seconds; the heads are envelopes without payloads;
the JSON says more of a few: ``{"tries": {n: …}, "due": {n: …}, "errors": {n: …}, "past": {n: [[ms, kind, error], …]}}``, the last
of them what went wrong in the runs before of one that has ended; an error that is the same again is left out.
A script that ends tasks itself, or loses them, tells of each: `LINE`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from hotqueue.tasks.rules.history import decode as decode_history
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.wire.envelope import FIXED, HAS_MORE, STEP
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.wire.task_names import header_of

VERSION, LINE, WITHOUT = 1, 2, 3  # first bytes: of a worker's account, of a script's, of a worker's of which some do not count
_HEAD = struct.Struct("<BIddB")
_LINE = struct.Struct(">BQBI")  # of each task: 2, ms, bytes of what, bytes of the head; in Lua's order
_UNTOLD = frozenset("PL")  # settlements that end nothing and ran nothing
_PLAIN = "SX"  # codes that need no more to be said
_DUE_WHEN_SENT = bytes(flags for flags in range(256) if not flags & (HAS_MORE | STEP))
_history = attrgetter("history")
_AGAIN = frozenset("DER")
_GOES_ON = frozenset("RK")
PAST_CHARS = 200  # of an error of a run before: ten thousand ended tasks are kept
OUTCOMES = {"S": "succeeded", "X": "succeeded", "D": "failed", "E": "revoked", "R": "retried", "K": "parked", "N": "replaced"}


class Told(NamedTuple):
    """What is told of one task.

    Attributes:
        what: how it ended, or what became of it: see OUTCOMES; "expired", "lost" as well.
        head: its envelope, without the payload.
        began: when it was started, in seconds since the epoch by the server's clock; 0.0: it was not.
        at: when that was over.
        tries: how often it was run before.
        due: when it was due, where the envelope does not say; 0: it does; -1: nobody knows.
        past: what went wrong in the runs before, the last few, as `History.errors` has it.
    """

    what: str
    head: bytes
    began: float
    took: float
    at: float
    worker: str
    tries: int = 0
    due: float = 0.0
    error: str = ""
    past: tuple[dict[str, Any], ...] = ()

    @property
    def attempts(self) -> int:
        """How often it was started: before, and with the run that is told of, if there was one."""
        is_started = self.began > 0 or self.error.startswith("hotqueue.TimeLimitExceeded")  # told by who found its process ended
        return self.tries + is_started


def of_batch(
    settlements: Sequence[Settlement], in_hand: Mapping[str, Delivery], clock: float, now: float, worker: bytes
) -> bytes:
    """Return the account of what is settled in one trip; b"" where there is nothing to tell.

    Args:
        clock: what is added to a monotonic time to have the server's.
        now: the monotonic time.
    """
    get = in_hand.get
    told = [each for settled in settlements if (each := get(settled[0])) is not None]
    codes = "".join([settled[2] for settled in settlements])
    if len(told) != len(codes) or not _UNTOLD.isdisjoint(codes):
        pairs = [(each, settled[2]) for settled in settlements if settled[2] not in _UNTOLD and (each := get(settled[0]))]
        told, codes = [each for each, _ in pairs], "".join([code for _, code in pairs])
    if not told:
        return b""
    n = len(told)
    heads = [each.data[: each.head_bytes] or _nameless(each) for each in told]
    columns = struct.pack(f"<{n}d{n}f{n}I", *[each.began for each in told], *[each.took for each in told], *map(len, heads))
    more = b""
    if codes.strip(_PLAIN) or any(map(_history, told)):
        more = _more(told, codes)
    return b"".join((_HEAD.pack(VERSION, n, clock, now, len(worker)), worker, codes.encode(), columns, *heads, more))


def _nameless(delivery: Delivery) -> bytes:
    """Return the head of what could not be read as an envelope: it has its id."""
    its_id = delivery.id.encode("utf-8", "surrogateescape")[:255]
    return FIXED.pack(1, ord("s"), 100, 0, 0, 0, 0, 0, len(its_id)) + its_id


def _more(told: Sequence[Delivery], codes: str) -> bytes:
    tries, due, errors, before = dict[int, int](), dict[int, int](), dict[int, str](), dict[int, Any]()
    for n, each in enumerate(told):
        if each.history:
            past = decode_history(each.history)
            if past.tries:
                tries[n] = past.tries
            if (at := past.due) is not None:
                due[n] = at
            if past.errors and codes[n] not in _GOES_ON:
                before[n] = _past(past.errors)
        if each.error and codes[n] in _AGAIN:
            errors[n] = each.error
    found = {"tries": tries, "due": due, "errors": errors, **({"past": before} if before else {})}
    return json.dumps(found, separators=(",", ":")).encode()


def _past(errors: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    found, said = list[list[Any]](), ""
    for each in errors:
        text = str(each.get("error", ""))[:PAST_CHARS]
        found.append([each.get("at", 0), each.get("kind", "error"), *([text] if text != said else [])])
        said = text
    return found


def read(data: bytes) -> Iterator[Told]:
    """Yield what an account tells of each task; nothing of what is none."""
    try:
        if data[:1] == bytes([LINE]):
            yield from _lines(data)
            return
        without: set[bytes] = set()
        if data[:1] == bytes([WITHOUT]):
            (size,) = struct.unpack_from(">I", data, 1)
            without, data = set(data[5 : 5 + size].split(b"\n")), data[5 + size :]
        yield from _columns(data, without)
    except (struct.error, ValueError, LookupError, TypeError, OverflowError):
        return  # of a newer version, or of nobody of ours


class Columns(NamedTuple):
    """What is told of a batch of tasks of one name that have ended well, at their first attempts, and were due when sent.

    Attributes:
        header: of the task.
        created: when they were sent, in ms.
        began: when they were started, by the server's clock.
    """

    header: bytes
    created: Sequence[int]
    began: Sequence[float]
    took: Sequence[float]


def plain(data: bytes) -> Columns | None:
    """Return an account as columns where it can be had so, as most can; else None: it is to be read."""
    try:
        version, n, clock, _, size = _HEAD.unpack_from(data)
        at = _HEAD.size + size
        codes = data[at : at + n]
        if version != VERSION or codes.strip(_PLAIN.encode()) or not n:
            return None
        began, took, sizes = _numbers(data, at + n, n)
        places = list(accumulate(sizes, initial=at + n * 17))
        if places.pop() != len(data) or 0.0 in began or min(sizes) < FIXED.size:
            return None
        header = header_of(data[places[0] : places[0] + sizes[0]])
        first = FIXED.size + data[places[0] + FIXED.size - 1]
        width = first + len(header)
        fronts = [data[place : place + width] for place in places]
        every = b"".join(fronts)
        flags, id_bytes = every[3::width], every[FIXED.size - 1 :: width]
        if flags.translate(None, _DUE_WHEN_SENT) or id_bytes.strip(id_bytes[:1]) or len(id_bytes) != n or not header:
            return None
        if [front[first:] for front in fronts].count(header) != n:
            return None
        sent = struct.iter_unpack(f">8xQ{width - 16}x", every)
        return Columns(header, [ms for (ms,) in sent], [each + clock for each in began], took)
    except (struct.error, LookupError):
        return None


def _numbers(data: bytes, at: int, n: int) -> tuple[Sequence[float], Sequence[float], Sequence[int]]:
    found = struct.unpack_from(f"<{n}d{n}f{n}I", data, at)
    return found[:n], found[n : 2 * n], found[2 * n :]


def _columns(data: bytes, without: set[bytes]) -> Iterator[Told]:
    version, n, clock, now, size = _HEAD.unpack_from(data)
    if version != VERSION:
        return
    at = _HEAD.size + size
    worker = data[_HEAD.size : at].decode("utf-8", "replace")
    codes = data[at : at + n].decode()
    at += n
    began, took, sizes = _numbers(data, at, n)
    at += n * 16
    end = at + sum(sizes)
    more = (json_object(data[end:]) or {}) if len(data) > end else {}
    tries, due, errors, past = (_of_numbers(more.get(name)) for name in ("tries", "due", "errors", "past"))
    for i in range(n):
        head = data[at : at + sizes[i]]
        at += sizes[i]
        if without and id_of(head) in without:
            continue
        error = str(errors.get(i, ""))
        what = "expired" if codes[i] == "E" and "Expired" in error else OUTCOMES.get(codes[i], codes[i])
        start = began[i] + clock if began[i] else 0.0
        over = (start + took[i]) if start else clock + now
        before, since = max(0, int(tries.get(i, 0))), float(due.get(i, 0)) / 1000
        yield Told(what, head, start, took[i], over, worker, before, since, error, tuple(_past_in(past.get(i))))


def _past_in(found: Any) -> Iterator[dict[str, Any]]:
    said = ""
    for each in found if isinstance(found, list) else ():
        at, kind, *error = each
        said = str(error[0]) if error else said
        yield {"at": at, "kind": str(kind), "error": said}


def _of_numbers(found: Any) -> dict[int, Any]:
    return {int(n): value for n, value in found.items()} if isinstance(found, dict) else {}


def _lines(data: bytes) -> Iterator[Told]:
    at = 0
    while at < len(data):
        _, ms, n_what, n_head = _LINE.unpack_from(data, at)
        at += _LINE.size
        what, head = data[at : at + n_what].decode(), data[at + n_what : at + n_what + n_head]
        at += n_what + n_head
        yield Told(what, head, 0.0, 0.0, ms / 1000, "")


def id_of(head: bytes) -> bytes:
    """Return the id in an envelope's head."""
    return head[FIXED.size : FIXED.size + head[FIXED.size - 1]]
