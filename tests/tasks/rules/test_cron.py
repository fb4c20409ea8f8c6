"""When the fields of a cron string come true, with what clocks do to it twice a year.

Of this kind: hours that are left out and hours that come twice, a shift of half an hour, one at midnight, a day that a zone left
out; lines for a time of the day, for all hours, for some minutes of one hour; five fields and six; forwards and backwards; lines
that never come true, or once in 28 years; what is no field, no zone.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hotqueue.tasks.rules.cron import Cron, tidy, zone_of
from tests.support.processes import run_python

PARIS, NEW_YORK, LORD_HOWE = "Europe/Paris", "America/New_York", "Australia/Lord_Howe"

# zone, line, the local time after which to look, what comes then
TABLE = [
    # 2:00 to 3:00 is left out: once, at the jump
    (PARIS, "30 2 * * *", "2026-03-28 00:00", ["03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200"]),
    (PARIS, "0,15,30 2 * * *", "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:00+0200"]),
    (PARIS, "0 2,3 * * *", "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:00+0200"]),
    (PARIS, "30 2,3 * * *", "2026-03-28 12:00", ["03-29 03:00+0200", "03-29 03:30+0200", "03-30 02:30+0200"]),
    (PARIS, "15 30 2 * * *", "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:30:15+0200"]),
    (PARIS, "*/20 30 2 * * *", "2026-03-28 12:00", ["03-29 03:00+0200", "03-30 02:30+0200", "03-30 02:30:20+0200"]),
    (PARIS, "0 * * * *", "2026-03-29 00:30", ["03-29 01:00+0100", "03-29 03:00+0200", "03-29 04:00+0200"]),
    (PARIS, "*/30 * * * *", "2026-03-29 01:10", ["03-29 01:30+0100", "03-29 03:00+0200", "03-29 03:30+0200"]),
    (PARIS, "*/30 2 * * *", "2026-03-28 12:00", ["03-30 02:00+0200", "03-30 02:30+0200"]),
    (PARIS, "30 */2 * * *", "2026-03-29 00:40", ["03-29 04:30+0200"]),
    # 2:00 to 3:00 comes twice: once, the first time; of lines for all hours, each
    (PARIS, "30 2 * * *", "2026-10-24 12:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
    (PARIS, "0 30 2 * * *", "2026-10-24 12:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
    (PARIS, "30 1,2,3 * * *", "2026-10-25 00:00", ["10-25 01:30+0200", "10-25 02:30+0200", "10-25 03:30+0100"]),
    (PARIS, "0 * * * *", "2026-10-25 01:30", ["10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100"]),
    (PARIS, "*/30 2 * * *", "2026-10-25 01:30", ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100"]),
    (NEW_YORK, "30 2 * * *", "2026-03-07 12:00", ["03-08 03:00-0400", "03-09 02:30-0400"]),
    (NEW_YORK, "0 * * * *", "2026-03-08 00:30", ["03-08 01:00-0500", "03-08 03:00-0400"]),
    (NEW_YORK, "30 1 * * *", "2026-10-31 12:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
    (NEW_YORK, "0 * * * *", "2026-11-01 00:30", ["11-01 01:00-0400", "11-01 01:00-0500", "11-01 02:00-0500"]),
    (NEW_YORK, "0 0 * * sun", "2026-10-26 12:00", ["11-01 00:00-0400", "11-08 00:00-0500"]),
    # half an hour
    (LORD_HOWE, "15 2 * * *", "2026-10-03 12:00", ["10-04 02:30+1100", "10-05 02:15+1100"]),
    (LORD_HOWE, "45 2 * * *", "2026-10-03 12:00", ["10-04 02:45+1100", "10-05 02:45+1100"]),
    (LORD_HOWE, "*/15 * * * *", "2026-10-04 01:40", ["10-04 01:45+1030", "10-04 02:30+1100", "10-04 02:45+1100"]),
    (LORD_HOWE, "0 * * * *", "2026-10-04 00:30", ["10-04 01:00+1030", "10-04 03:00+1100", "10-04 04:00+1100"]),
    (LORD_HOWE, "45 1 * * *", "2026-04-04 12:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
    (LORD_HOWE, "45 * * * *", "2026-04-05 00:50", ["04-05 01:45+1100", "04-05 01:45+1030", "04-05 02:45+1030"]),
    (LORD_HOWE, "*/20 2 * * *", "2026-04-04 12:00", ["04-05 02:00+1030", "04-05 02:20+1030", "04-05 02:40+1030"]),
    # at midnight; a whole day
    ("Asia/Beirut", "@daily", "2026-03-28 12:00", ["03-29 01:00+0300", "03-30 00:00+0300"]),
    ("Pacific/Apia", "0 12 30 * *", "2011-12-01 00:00", ["12-31 00:00+1400", "01-30 12:00+1400"]),
    # days
    ("UTC", "0 0 13 * fri", "2026-02-01 12:00", ["02-06 00:00+0000", "02-13 00:00+0000", "02-20 00:00+0000"]),
    ("UTC", "0 0 */13 * fri", "2026-02-01 12:00", ["02-27 00:00+0000", "03-27 00:00+0000"]),
    ("UTC", "0 0 L * *", "2026-02-01 12:00", ["02-28 00:00+0000", "03-31 00:00+0000"]),
    ("UTC", "0 0 * * mon#1", "2026-02-03 12:00", ["03-02 00:00+0000"]),
    ("UTC", "0 0 29 2 *", "2026-02-01 12:00", ["02-29 00:00+0000"]),
]


def after(zone: str, line: str, local: str) -> tuple[Cron, int]:
    start = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    return Cron(tidy(line), zone_of(zone)), int(start.timestamp())


def shown(zone: str, second: int) -> str:
    return datetime.fromtimestamp(second, ZoneInfo(zone)).strftime("%m-%d %H:%M:%S%z").replace(":00+", "+").replace(":00-", "-")


@pytest.mark.parametrize(("zone", "line", "local", "expected"), TABLE)
def test_each_comes_when_the_rules_say_so_forwards_and_backwards(zone: str, line: str, local: str, expected: list[str]) -> None:
    cron, start = after(zone, line, local)
    found: list[int] = []
    for _ in expected:
        second = cron.after(found[-1] if found else start)
        assert second is not None
        found.append(second)
    assert [shown(zone, second) for second in found] == expected
    assert list(islice(cron.until(found[-1]), len(found))) == found[::-1]
    assert all(cron.after(second - 1) == second for second in found)
    assert next(cron.until(found[0] - 1)) <= start


@pytest.mark.parametrize("zone", [PARIS, NEW_YORK, LORD_HOWE])
def test_lines_for_all_hours_come_whenever_the_clock_shows_it(zone: str) -> None:
    """Beside a search through all minutes around the changes of a year."""
    tz, rng = ZoneInfo(zone), random.Random(zone)
    for change in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"):
        begin = int(datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp()) - 86_400
        minutes = sorted(rng.sample(range(60), 3))
        hours = sorted(rng.sample(range(24), 8)) if rng.random() < 0.5 else list(range(24))
        line = f"{','.join(map(str, minutes))} * * * *" if len(hours) == 24 else f"*/7 {','.join(map(str, hours))} * * *"
        wanted = minutes if len(hours) == 24 else range(0, 60, 7)
        clock = {second: datetime.fromtimestamp(second, tz) for second in range(begin, begin + 3 * 86_400, 60)}
        expected = [second for second, wall in clock.items() if wall.minute in wanted and wall.hour in hours]
        cron = Cron(line, tz)
        found: list[int] = []
        second = cron.after(begin - 1)
        while second is not None and second < begin + 3 * 86_400:
            found.append(second)
            second = cron.after(second)
        assert found == expected
        assert list(islice(cron.until(begin + 3 * 86_400 - 1), len(expected))) == expected[::-1]


@pytest.mark.parametrize("zone", [PARIS, NEW_YORK, LORD_HOWE, "UTC"])
def test_a_time_of_the_day_comes_once_on_each_day_of_a_year(zone: str) -> None:
    rng = random.Random(zone)
    for hour in (1, 2, rng.randrange(24)):
        cron, start = after(zone, f"{rng.randrange(60)} {hour} * * *", "2026-01-01 00:00")
        found = [start - 1]
        while len(found) < 366:
            second = cron.after(found[-1])
            assert second is not None
            found.append(second)
        days = [datetime.fromtimestamp(second, ZoneInfo(zone)).date() for second in found[1:]]
        assert len(set(days)) == 365
        assert days[-1].isoformat() == "2026-12-31"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("61 * * * *", "'61 [*] [*] [*] [*]' has no minute that can be read: '61'; it takes 0-59"),
        ("* 24 * * *", "no hour .* '24'"),
        ("* * 0 * *", "no day of month .* '0'"),
        ("* * * 13 *", "no month .* '13'; it takes 1-12, jan-dec"),
        ("* * * * mo", "no day of week .* 'mo'"),
        ("60 * * * * *", "no second .* '60'"),
        ("*/0 * * * *", "no minute .* '[*]/0'"),
        ("5-1 * * * *", "no minute .* '5-1'"),
        ("L/2 * * * *", "no minute"),
        ("* * * *", "has 4 fields; it takes five"),
        ("* * * * * * *", "has 7 fields"),
        ("", "has 0 fields"),
        ("@dayly", "did you mean '@daily'"),
        ("@reboot", "known are @yearly"),
        ("0 0 31 2 *", "'0 0 31 2 [*]' never comes true"),
        ("0 0 31 feb,apr,jun,sep,nov *", "never comes true"),
        ("0 0 */40 * 1L", "no day of month|never comes true"),
        ("* * */20 * 1L", "never comes true"),
    ],
)
def test_what_is_no_cron_string_is_refused_with_the_field(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Cron(tidy(line))


@pytest.mark.parametrize("line", ["*/5 * * * *", " */5\t* *  * * ", "0 */5 * * * *"])
def test_lines_that_mean_the_same_are_kept_in_the_same_words(line: str) -> None:
    assert tidy(line) == "*/5 * * * *"


@pytest.mark.parametrize("line", ["0 0 29 2 *", "* * * * * *", "0 0 * 2 mon#5"])
def test_at_the_end_of_the_calendar_nothing_comes(line: str) -> None:
    cron = Cron(line, ZoneInfo(PARIS))
    assert cron.after(253_402_300_799) is None
    assert list(cron.until(-62_135_596_800 - 10**6)) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Europe/Pariss", "'Europe/Pariss'; did you mean 'Europe/Paris'"),
        ("Europe", "no time zone"),
        ("/etc/passwd", "'Europe/Paris'"),
        ("../../etc/passwd", "no time zone"),
        ("localtime", "no time zone"),
        ("a b", "no time zone"),
        ("", "no time zone"),
        ("\0", "no time zone"),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        zone_of(name)


def test_a_machine_without_time_zones_says_what_to_install(tmp_path: Path) -> None:
    code = "sys.modules['tzdata'] = None; from hotqueue.tasks.rules.cron import zone_of; zone_of('UTC'); zone_of('Europe/Paris')"
    ran = run_python(f"import sys; {code}", env={"PYTHONTZPATH": str(tmp_path)}, check=False)
    assert "ValueError: tz= is 'Europe/Paris', but this machine has no time zones; install the package tzdata" in ran.stderr
