"""Names: what a queue may be called, and that a key of nobody names none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hotqueue import ConfigError, names


@pytest.mark.parametrize("key", ["", "other", "{other}:x", "{hotqueue:q}", "session:{hotqueue:q}:x"])
def test_a_key_of_nobody_names_no_queue(key: str) -> None:
    assert names.name_of(key) == ""


@pytest.mark.parametrize("name", ["q", "a:b", "ü", " "])
def test_a_key_names_the_queue_whose_it_is(name: str) -> None:
    assert names.key_of(name, "ready:async") == f"{{hotqueue:{name}}}:ready:async"
    assert names.name_of(names.key_of(name, "ready:async")) == name


def test_many_keys_name_each_queue_once() -> None:
    some = ["", "other", "{other}:x", "{hotqueue:q}", "session:{hotqueue:q}:x", "hotqueue:", "{hotqueue:}:x", "hotqueue:plain"]
    some += [names.key_of(name, thing) for name in ("q", "a:b", "ü", " ", "two\nlines") for thing in ("tasks", "held:w}:x", "")]
    found = names.names_of(key.encode() for key in some)
    assert found == {names.name_of(key) for key in some} - {""} == {"q", "a:b", "ü", " ", "two\nlines", "plain"}
    assert names.names_of([b"hotqueue:\xff"]) == {"\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "non-empty str"),
        (None, "non-empty str"),
        (b"q", "non-empty str"),
        ("a{b}", "may not contain { or }"),
        ("{a}", "may not contain { or }"),
        ("clicks{3}", "a part of queue 'clicks' is to be called; name the queue itself"),
        ("clicks{}", "a part of queue 'clicks' is to be called; name the queue itself"),
        ("\ud800", "UTF-8"),
        (SimpleNamespace(name="jobs"), "did you mean 'jobs'?"),
    ],
)
def test_what_cannot_be_a_name_is_refused(name: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        names.check_name(name, "queue=")
    assert str(caught.value).startswith("queue= ")
    assert said in str(caught.value)


def test_a_name_may_be_anything_else() -> None:
    assert names.check_name("Grüße: 1/2 *") == "Grüße: 1/2 *"
