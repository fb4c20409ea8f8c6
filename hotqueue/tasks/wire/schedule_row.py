"""ScheduleRow: a schedule as it is stored: when it fires, and the call that it makes. Encode, sign, decode; never unpickles.

``flag | JSON, newline | envelope without id and signature [| signature]``. Whoever fires it needs none of its code: the envelope
of a slot is this one with the slot's id. What changes as it runs is not here, see rules/firing.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from hotqueue.errors import CorruptEnvelope, SignatureError
from hotqueue.signing import SIGNATURE_BYTES, Signer
from hotqueue.tasks.rules.firing import MISFIRE, OVERLAP, Plan
from hotqueue.tasks.rules.periodic import Timetable

_PLAIN, _SIGNED = b"1", b"2"
_timetable = lru_cache(1000)(Timetable.read)  # many schedules have the same


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule.

    Attributes:
        when: the text of its timetable.
        task: name of what it calls.
        queue: to which queue that goes.
        misfire, overlap, jitter: see rules/firing.py.
        expires: of each call, as `Encoded` has it.
        options: the task's options that are the schedule's own, as far as JSON can hold them.
        envelope: of the call, without an id.
    """

    name: str
    when: str
    task: str
    queue: str
    misfire: str
    overlap: str
    jitter: float
    expires: str
    options: dict[str, Any]
    envelope: bytes

    @cached_property
    def plan(self) -> Plan:
        """What decides about its slots; ValueError where this machine does not know the time zone."""
        return Plan(self.name, _timetable(self.when), self.misfire, self.overlap, self.jitter)

    @property
    def table(self) -> str:
        """Digest of what says when its slots are."""
        return digest_of(f"{self.when} {self.jitter}".encode())

    @property
    def digest(self) -> str:
        """Digest of all of it."""
        return digest_of(self._body())

    def _body(self) -> bytes:
        head = {name: getattr(self, name) for name in _NAMES}
        return json.dumps(head, separators=(",", ":"), sort_keys=True).encode() + b"\n" + self.envelope

    def encode(self, signer: Signer | None) -> bytes:
        """Return its bytes.

        Args:
            signer: of the schedules of the queue where it is stored.
        """
        body = self._body()
        return _PLAIN + body if signer is None else _SIGNED + body + signer.sign(body)


_NAMES = frozenset(each.name for each in fields(ScheduleRow)) - {"envelope"}


def decode(data: bytes, name: str, signer: Signer | None) -> ScheduleRow:
    """Return the schedule in `data`.

    Args:
        name: under which it stands.
        signer: when given, one that is unsigned, altered, or stands under another name is refused: its call would be signed.

    Raises:
        CorruptEnvelope: nobody of ours, or a newer version, wrote it.
        SignatureError.
    """
    flag, body = data[:1], data[1:]
    if signer is not None and flag != _SIGNED:
        raise SignatureError(
            f"schedule {name!r:.200} is unsigned, but this worker has a secret key: give its author the same one"
        )
    if flag == _SIGNED:
        body, signature = body[:-SIGNATURE_BYTES], body[-SIGNATURE_BYTES:]
        if signer is not None:
            signer.verify(body, signature, f"schedule {name!r:.200}")
    head, _, envelope = body.partition(b"\n")
    try:
        found: dict[str, Any] = json.loads(head)
        row = ScheduleRow(**{each: found[each] for each in _NAMES}, envelope=envelope)
        is_known = flag in (_PLAIN, _SIGNED) and row.misfire in MISFIRE and row.overlap in OVERLAP
        is_known = is_known and isinstance(row.jitter, int | float) and row.plan is not None
        why = "" if is_known else repr(data[:200])
    except (ValueError, TypeError, KeyError) as error:
        why = f"{error}; {data[:200]!r}"
    if why:
        raise CorruptEnvelope(f"schedule {name!r:.200} is none that this version of hotqueue can read here: {why}")
    if row.name != name:
        raise SignatureError(f"schedule {row.name!r:.200} stood under another name, {name!r:.200}")
    return row


def version_of(rows: Mapping[str, tuple[bytes, str, str]]) -> str:
    """Return a digest of the schedules that are declared together; name → the row, its digest, and that of its timetable."""
    return digest_of(
        "".join(f"{name} {digest}\n" for name, (_, digest, _) in sorted(rows.items())).encode(errors="surrogatepass")
    )


def digest_of(data: bytes) -> str:
    """Return a short digest."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()
