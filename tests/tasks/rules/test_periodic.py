"""Timetables: the slots of cron strings, of seconds and of `crontab`, and how each is kept as text.

Of this kind: numbers that are none (NaN, True, 0, less than a tenth); Celery's forms of a field; texts of another version; spans
of years at a slot a second; the last slot, `until` and the end of the calendar.
"""

from __future__ import annotations

import pickle
import random
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hotqueue.tasks import crontab
from hotqueue.tasks.rules.periodic import Timetable, jitter_ms, slot_text
from tests.support.processes import run_python

NOON = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp() * 1000)
KINDS: list[Any] = [1, 0.25, timedelta(hours=1), 7, "*/5 * * * *", "*/20 * * * * *", "@daily", crontab(minute=0, hour=3)]


@pytest.mark.parametrize(
    ("when", "text", "words"),
    [
        (30, "every UTC - 30000", "every 30 s"),
        (30.0, "every UTC - 30000", "every 30 s"),
        (0.25, "every UTC - 250", "every 0.25 s"),
        (timedelta(days=1), "every UTC - 86400000", "every 86400 s"),
        ("*/5 * * * *", "cron Europe/Paris - */5 * * * *", "*/5 * * * * Europe/Paris"),
        ("@daily", "cron Europe/Paris - 0 0 * * *", "0 0 * * * Europe/Paris"),
        ("0 */5 * * * MON", "cron Europe/Paris - */5 * * * mon", "*/5 * * * mon Europe/Paris"),
        (crontab(minute=0, hour=3), "crontab Europe/Paris - 0 3 * * *", "0 3 * * * Europe/Paris"),
    ],
)
def test_it_is_kept_as_text_and_told_in_words(when: Any, text: str, words: str) -> None:
    made = Timetable.of(when, "Europe/Paris")
    assert (made.text, made.words) == (text, words)
    assert Timetable.read(text) == made
    until = Timetable.of(when, "Europe/Paris", datetime(2030, 1, 1, tzinfo=UTC))
    assert until != made
    assert Timetable.read(until.text) == until
    assert until.words == f"{words}, until 2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every",
        "every UTC - 5",
        "every UTC - x",
        "every UTC x 1000",
        "cron UTC - * *",
        "cron Nowhere - * * * * *",
        "sun UTC - 1",
    ],
)
def test_a_text_of_a_newer_version_or_another_machine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no timetable that this version|has 2 fields|no time zone|no .* that can be read"):
        Timetable.read(text)


@pytest.mark.parametrize(
    ("when", "error", "says"),
    [
        (0, ValueError, "at least 0.1 s between slots, not 0"),
        (-1, ValueError, "not -1"),
        (0.09, ValueError, "not 0.09"),
        (timedelta(0), ValueError, r"not datetime.timedelta\(0\)"),
        (float("nan"), ValueError, "not nan"),
        (float("inf"), ValueError, "not inf"),
        (1e12, ValueError, "not 1000000000000.0"),
        (True, TypeError, "not True"),
        (None, TypeError, "takes a cron string such as .* not None"),
        (b"* * * * *", TypeError, "not b'"),
        (datetime(2026, 1, 1, tzinfo=UTC), TypeError, "not datetime"),
        ("30", ValueError, "has 1 field"),
    ],
)
def test_what_is_no_timetable_is_refused_with_the_value(when: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Timetable.of(when)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"tz": "Europe/Pariss"}, ValueError, "did you mean 'Europe/Paris'"),
        ({"tz": None}, TypeError, "not None"),
        ({"tz": timezone(timedelta(hours=1))}, TypeError, "an offset, and not the name of a zone"),
        ({"until": datetime(2030, 1, 1)}, ValueError, "naive"),  # noqa: DTZ001
        ({"until": "2030-01-01"}, TypeError, "takes an aware datetime, not '2030-01-01'"),
    ],
)
def test_zones_and_ends_are_checked(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Timetable.of("* * * * *", **options)


def test_a_zone_may_be_given_as_python_has_it() -> None:
    assert Timetable.of("@daily", ZoneInfo("Europe/Paris")) == Timetable.of("@daily", "Europe/Paris")
    assert Timetable.of("@daily", UTC) == Timetable.of("@daily")


@pytest.mark.parametrize("when", KINDS)
def test_between_gives_what_after_gives_step_by_step(when: Any) -> None:
    made = Timetable.of(when, "Australia/Lord_Howe")
    rng = random.Random(str(when))
    for _ in range(20):
        start = NOON + rng.randrange(10**10)
        steps = [start]
        for _ in range(10):
            steps.append(made.after(steps[-1]) or 0)
        assert made.between(start, steps[-1], 1000) == steps[1:]
        assert made.between(start, steps[-1], 3) == steps[-3:]
        assert made.between(start, steps[-1] - 1, 1000) == steps[1:-1]
        assert made.between(steps[3], steps[3], 10) == []
        assert made.between(steps[3], steps[2], 10) == []
        assert made.between(start, steps[-1], 0) == []


def test_seconds_are_counted_from_the_epoch() -> None:
    assert Timetable.of(7).after(0) == 7000
    assert Timetable.of(7).after(6999) == 7000
    assert Timetable.of(7).after(7000) == 14_000
    assert Timetable.of(0.1).between(0, 350, 10) == [100, 200, 300]
    assert Timetable.of(86_400, "Europe/Paris").after(NOON) == NOON + 12 * 3_600_000


@pytest.mark.parametrize("when", [0.1, 1, "* * * * * *", "*/5 * * * * *", "0 4 * * *", "0 0 29 2 *"])
def test_ten_years_of_missed_slots_take_no_longer_than_those_that_are_asked_for(when: Any) -> None:
    made = Timetable.of(when, "Europe/Paris")
    began = time.process_time()
    found = made.between(NOON - 10 * 366 * 86_400_000, NOON, 1000)
    assert time.process_time() - began < 1
    assert len(found) in (1000, 2)
    assert found == sorted(found)
    assert (made.after(found[-1]) or 0) > NOON


def test_the_last_slot_is_not_later_than_until() -> None:
    end = datetime.fromtimestamp(NOON / 1000, UTC)
    for when in ("0 * * * *", 3600):
        made = Timetable.of(when, until=end)
        assert made.after(NOON - 1) == NOON
        assert made.after(NOON) is None
        assert made.between(NOON - 3_600_000, NOON + 10**9, 10) == [NOON]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, "* * * * *"),
        ({"minute": 0, "hour": 3}, "0 3 * * *"),
        ({"minute": "*/15"}, "*/15 * * * *"),
        ({"minute": [30, 0]}, "0,30 * * * *"),
        ({"minute": {0, 30}}, "0,30 * * * *"),
        ({"minute": range(0, 60, 20)}, "0,20,40 * * * *"),
        ({"hour": "*/3,8-17"}, "* */3,8-17 * * *"),
        ({"hour": "22-2"}, "* 22,23,0,1,2 * * *"),
        ({"hour": "20-2/2"}, "* 20,22,0,2 * * *"),
        ({"day_of_week": "mon-fri"}, "* * * * 1-5"),
        ({"day_of_week": "Thursday"}, "* * * * 4"),
        ({"day_of_week": "thu,fri"}, "* * * * 4,5"),
        ({"day_of_week": "fri-mon"}, "* * * * 5,6,0,1"),
        ({"day_of_week": ["mon", 3]}, "* * * * 3,1"),
        ({"day_of_month": "2-30/2"}, "* * 2-30/2 * *"),
        ({"month_of_year": "nov-feb"}, "* * * 11,12,1,2 *"),
        ({"month_of_year": "june"}, "* * * 6 *"),
    ],
)
def test_crontab_takes_the_forms_of_celery(given: dict[str, Any], fields: str) -> None:
    assert Timetable.of(crontab(**given)).what == fields


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"minute": 61}, ValueError, "no minute that can be read: '61'"),
        ({"hour": "25-2"}, ValueError, "no hour .* '25-2'"),
        ({"hour": "1 2"}, ValueError, r"crontab\(hour=\) takes 0 to 23, .* not '1 2'"),
        ({"hour": ""}, ValueError, r"crontab\(hour=\)"),
        ({"hour": []}, TypeError, r"crontab\(hour=\) takes a number"),
        ({"hour": True}, TypeError, "not True"),
        ({"hour": 3.5}, TypeError, "not 3.5"),
        ({"hour": None}, TypeError, "not None"),
        ({"day_of_week": "someday"}, ValueError, "no day of week .* 'someday'"),
        ({"day_of_month": 31, "month_of_year": 2}, ValueError, "never comes true"),
        ({"minutes": 5}, TypeError, "minutes"),
    ],
)
def test_what_crontab_cannot_be_is_refused_where_it_is_made(given: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        crontab(**given)


def test_days_by_number_and_name_have_both_to_be_right_as_in_celery() -> None:
    first_friday = Timetable.of(crontab(0, 0, day_of_month="1-7", day_of_week="fri"))
    found = first_friday.between(NOON - 100 * 86_400_000, NOON, 10)
    assert [slot_text(slot)[:10] for slot in found] == ["2026-09-04", "2026-10-02", "2026-11-06"]
    assert len(Timetable.of("0 0 1-7 * fri").between(NOON - 100 * 86_400_000, NOON, 100)) > 20  # in cron, one is enough


def test_a_crontab_is_a_value() -> None:
    made = crontab(minute=[30, 0], hour="8-18")
    assert repr(made) == "crontab(minute='0,30', hour='8-18')"
    assert pickle.loads(pickle.dumps(made)) == made == crontab(minute="0,30", hour="8-18")
    assert hash(made) == hash(crontab(minute="0,30", hour="8-18"))
    assert made != crontab(minute="0,30", hour="8-17")


def test_slots_are_named_in_utc() -> None:
    assert slot_text(NOON) == "2026-11-29T12:00:00Z"
    assert slot_text(NOON + 250) == "2026-11-29T12:00:00.250Z"
    assert slot_text(0) == "1970-01-01T00:00:00Z"


def test_jitter_is_the_same_in_all_processes_and_spread() -> None:
    assert jitter_ms("report", NOON, 0) == 0
    assert jitter_ms("report", NOON, 60) == 5928
    found = [jitter_ms("report", NOON + slot * 1000, 10) for slot in range(1000)]
    assert 0 <= min(found) < 200
    assert 9800 < max(found) <= 10_000
    assert 4500 < sum(found) / 1000 < 5500


def test_only_who_has_a_cron_string_pays_for_its_library() -> None:
    code = """
import sys
from hotqueue.tasks.rules.periodic import Timetable
Timetable.of(30).after(0)
assert not {"cronsim", "zoneinfo", "calendar"} & set(sys.modules), sys.modules.keys()
Timetable.of("* * * * *")
assert "cronsim" in sys.modules and "zoneinfo" not in sys.modules
"""
    run_python(code)
