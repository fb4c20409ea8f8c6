"""Filters are written and read: what is written means the same when it is read; what is none is refused, and where is said."""

from __future__ import annotations

import random

import pytest

from hotqueue.monitor.filter_text import MOST, FilterError, offers, parse, written
from hotqueue.monitor.filters import ANYWHERE, FIELDS, NAME, NUMBER, SPAN, STATES, TEXT, TIME, Filter, Term

PARTS = ["a", "shop.*", " ", '"', "\\", ",", ":", "-", "task:", ">", "<", "ö", "\n", "\t", "[", "4", "'"]


def test_what_somebody_writes() -> None:
    found = parse('task:mail -queue:low  state:dead failed:>1h arg:"4" "two words" -x')
    assert found.terms == (
        Term("task", "mail"),
        Term("queue", "low", is_not=True),
        Term("state", "dead"),
        Term("failed", "1h", ">"),
        Term("arg", "4"),
        Term(ANYWHERE, "two words"),
        Term(ANYWHERE, "x", is_not=True),
    )
    assert written(found) == 'task:mail -queue:low state:dead failed:>1h arg:4 "two words" -x'
    assert parse(" \t") == Filter()
    assert written(parse('task:"a,b"')) == 'task:"a,b"'
    assert parse("TASK:a,b") == parse("task:a task:b")


def some_term(rng: random.Random) -> Term:
    field = rng.choice([*FIELDS, ANYWHERE])
    kind = TEXT if field == ANYWHERE else FIELDS[field].kind
    value, sign = "".join(rng.choices(PARTS, k=rng.randint(1, 6))), ""
    if kind in (TIME, SPAN):
        value, sign = rng.choice(["1h", "15m", "90", "2.5d"]), rng.choice("<>")
    elif kind == NUMBER:
        value, sign = str(rng.randint(-9, 9)), rng.choice(["", "<", ">"])
    elif field == "state":
        value = rng.choice(STATES)
    assert kind in (NAME, TEXT, TIME, SPAN, NUMBER)
    return Term(field, value, sign, rng.random() < 0.3)


def test_what_is_written_is_read_as_it_was() -> None:
    rng = random.Random(16)
    for _ in range(2000):
        wanted = Filter(tuple(some_term(rng) for _ in range(rng.randint(0, 5))))
        assert parse(written(wanted)) == wanted


def read(text: str) -> tuple[FilterError | None, Filter]:
    try:
        return None, parse(text)
    except FilterError as error:
        return error, Filter()


def test_any_text_is_a_filter_or_is_refused_where_it_is_none() -> None:
    rng = random.Random(17)
    fine = 0
    for _ in range(3000):
        text = "".join(rng.choices(PARTS, k=rng.randint(0, 12)))
        error, found = read(text)
        if error is not None:
            assert 0 <= error.at <= error.end <= len(text)
            assert "\n" not in str(error)
        else:
            fine += 1
            assert parse(written(found)) == found
    assert 500 < fine < 3000


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        (
            "x stat:dead",
            2,
            "'stat:dead', at 3: there is no field 'stat'; did you mean 'state'? To look for such a text, put it in",
        ),
        ("state:ded", 0, "there is no state 'ded'"),
        ("task:", 0, "there is no value; write for example task:mail"),
        ("task:,", 0, "there is no value beside a comma; write for example task:a,b"),
        ('x task:"mail', 7, "the quote is not closed"),
        ('"a"b', 0, "behind a quoted value comes a space"),
        ("failed:1h", 0, "it is compared: write for example failed:>1h, with > or <"),
        ("failed:>soon", 0, "'soon' is no time"),
        ("failed:>" + "9" * 400 + "d", 0, "is no time"),
        ("failed:>2030-01-01", 0, "has no time zone"),
        ("run:>x", 0, "'x' is no span of time; write for example run:>2s"),
        ("retries:many", 0, "'many' is no whole number; write for example retries:>2"),
        ("x " * (MOST + 1), MOST * 2, f"a filter has at most {MOST} terms"),
        ("x" * 2001, 2000, "a filter has at most 2000 characters"),
    ],
)
def test_what_is_none_is_refused(text: str, at: int, says: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text)
    assert says in str(refused.value)
    assert refused.value.at == at


def offered(text: str, **known: list[str]) -> list[str]:
    return [each.text for each in offers(text, len(text), known)]


def test_what_one_may_go_on_with() -> None:
    assert offered("x ta") == ["x task:"]
    assert len(offered("")) == len(FIELDS)
    assert offered("-qu") == ["-queue:"]
    assert offered("task:ma", task=["shop.mail", "mail", "other"]) == ["task:mail ", "task:shop.mail "]
    assert offered("state:pa") == ["state:parked "]
    assert offered("-outcome:rev") == ["-outcome:revoked "]
    assert offered("queue:low,h", queue=["high", "low"]) == ["queue:low,high "]
    assert offered("task:s", task=["so, so"]) == ['task:"so, so" ']
    assert offered("failed:>") == ["failed:>5m ", "failed:>1h ", "failed:>1d "]
    assert offered("nofield:x") == []
    made = offers("ta x", 2, {})[0]
    assert (made.text, made.term, made.cursor) == ("task: x", "task:", 5)
    made = offers("state:pa x", 8, {})[0]
    assert (made.text, made.cursor) == ("state:parked x", 12)
