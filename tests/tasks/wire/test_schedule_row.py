"""A schedule as it is stored: what was written is read, and what was altered, moved or left unsigned is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotqueue.errors import CorruptEnvelope, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.rules.periodic import Timetable
from hotqueue.tasks.wire import envelope, schedule_row
from hotqueue.tasks.wire.schedule_row import ScheduleRow

SIGNER = Signer([b"k"]).for_schedules("q")
CALL = envelope.Form(envelope.task_header("t", "q", {}), envelope.ASYNC, 7).encode(b"", 0, b"1\n2", b"pay\nload")
ROW = ScheduleRow(
    "näme", Timetable.of("*/5 * * * *", "Europe/Paris").text, "t", "q", "once", "skip", 2.5, "+5", {"priority": 7}, CALL
)


@pytest.mark.parametrize("signer", [None, SIGNER])
def test_what_was_written_is_read(signer: Signer | None) -> None:
    found = schedule_row.decode(ROW.encode(signer), "näme", signer)
    assert (found, found.digest, found.plan.timetable.tz) == (ROW, ROW.digest, "Europe/Paris")


@pytest.mark.parametrize(
    "other", [None, Signer([b"other"]).for_schedules("q"), Signer([b"k"]).for_schedules("r"), Signer([b"k"])]
)
def test_what_is_not_signed_as_it_should_be_is_refused(other: Signer | None) -> None:
    with pytest.raises(SignatureError, match="näme"):
        schedule_row.decode(ROW.encode(other), "näme", SIGNER)


def test_what_was_altered_or_stands_under_another_name_is_refused() -> None:
    data = ROW.encode(SIGNER)
    with pytest.raises(SignatureError):
        schedule_row.decode(data.replace(b"skip", b"once"), "näme", SIGNER)
    with pytest.raises(SignatureError, match="stood under another name"):
        schedule_row.decode(data, "other", SIGNER)


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"1{}\n", b"3" + ROW.encode(None)[1:], ROW.encode(None).replace(b"once", b"ofte")]
)
def test_what_is_none_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptEnvelope, match="none that this version of hotqueue can read here"):
        schedule_row.decode(data, "näme", None)


def test_a_zone_that_this_machine_does_not_know_is_named() -> None:
    data = ROW.encode(None).replace(b"Europe/Paris", b"Europe/Parus")
    with pytest.raises(CorruptEnvelope, match=r"Europe/Parus.*Europe/Paris"):
        schedule_row.decode(data, "näme", None)


def test_the_envelope_gets_an_id_and_a_signature() -> None:
    signer = Signer([b"k"])
    found = envelope.decode(envelope.restamped(ROW.envelope, "periodic:näme:1", 5, signer), signer, "q", "periodic:näme:1")
    assert (found.id, found.created, found.priority, found.kind) == ("periodic:näme:1", 5, 7, envelope.ASYNC)
    assert (found.payload, found.args_repr) == (b"pay\nload", "1\n2")
    assert envelope.restamped(envelope.restamped(ROW.envelope, "x", 5, signer)) == ROW.envelope


def test_digests_tell_what_changed() -> None:
    other = replace(ROW, overlap="allow")
    assert (other.table == ROW.table, other.digest == ROW.digest) == (True, False)
    assert replace(ROW, jitter=1.0).table != ROW.table
    one, two = ({row.name: (b"", row.digest, row.table)} for row in (ROW, other))
    assert schedule_row.version_of(one) != schedule_row.version_of(two)


def test_its_form_stays() -> None:
    """What stands in Redis outlives the program that wrote it: another form takes another flag, and this one is read for good."""
    stored = (
        b'1{"expires":"+5","jitter":2.5,"misfire":"once","name":"n\\u00e4me","options":{"priority":7},"overlap":"skip","queue":"q",'
        b'"task":"t","when":"cron Europe/Paris - */5 * * * *"}\n' + CALL
    )
    assert ROW.encode(None) == stored
    assert schedule_row.decode(stored, "n\u00e4me", None) == ROW
