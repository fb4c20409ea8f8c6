"""Unique: what the options may be, what a call says on the wire, and that it is read as it was written."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hotqueue.tasks.rules import options, unique


def call(user_id: int, kind: str = "mail", **more: Any) -> None: ...


def made(key: Any, *args: Any, how: tuple[str, str, float | None] = ("raise", "ended", None), **kwargs: Any) -> str:
    return unique.of_call(key, *how, "shop.mail", inspect.signature(call), args, kwargs).decode()


def test_a_call_says_how_and_under_which_key() -> None:
    assert made("user-{user_id}-{kind}", 7) == made("user-{user_id}-{kind}", kind="mail", user_id=7) == "re shop.mail:user-7-mail"
    assert made(lambda user_id, kind, **more: f"{kind}{user_id}", 7) == "re shop.mail:mail7"
    assert made("{user_id}", 7, how=("ignore", "started", 60)) == "is60000 shop.mail:7"
    assert made("{user_id}", 7, how=("replace", "ended", 0.0001)) == "pe1 shop.mail:7"


def test_true_is_all_arguments_defaults_included() -> None:
    assert made(True, 7) == made(True, user_id=7.0, kind="mail")
    assert made(True, 7).startswith("re shop.mail(")
    assert len({made(True, 7), made(True, 8), made(True, 7, "sms"), made(True, 7, x=1)}) == 4
    with pytest.raises(
        TypeError, match=r"shop.mail: unique=True compares the arguments of calls, but argument 'user_id' is.*lambda"
    ):
        made(True, lambda: 0)


@pytest.mark.parametrize(
    ("key", "error"), [("{user_id}", ValueError), (lambda *_, **__: 7, TypeError), ("{user_id.x}", ValueError)]
)
def test_arguments_that_make_no_key_are_refused(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="mail: unique="):
        made(key, "x" * 300)


@pytest.mark.parametrize("how", [("raise", "ended", None), ("ignore", "started", 1.5), ("replace", "ended", 3600)])
def test_what_is_written_is_read(how: tuple[str, str, float | None]) -> None:
    found = unique.read(made("{kind}", 7, how=how).encode())
    assert found == unique.Read(how[0], how[1], int((how[2] or 0) * 1000), "shop.mail:mail")
    assert unique.shown("shop.mail", found.key) == "the unique key 'mail'"
    assert unique.shown("shop.mail", "shop.mail(0123)") == "the same arguments"


@pytest.mark.parametrize("text", [b"", b"re", b"xe k", b"rx k", b"re1.5 k", b"re ", b"re a\nb"])
def test_what_is_of_another_form_is_not_known(text: bytes) -> None:
    assert unique.read(text) is None


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"unique": 7}, TypeError, r"@queue.task unique= takes True, a template such as 'user-{id}', or a callable.*not 7"),
        ({"unique": ""}, TypeError, "unique= takes True, a template"),
        ({"unique": True, "on_conflict": "skip"}, ValueError, "on_conflict= takes 'raise', 'ignore' or 'replace', not 'skip'"),
        ({"unique": True, "on_conflict": "replac"}, ValueError, "did you mean 'replace'"),
        ({"unique": True, "on_conflict": None}, TypeError, "on_conflict= takes 'raise', 'ignore' or 'replace', not None"),
        ({"unique": True, "unique_until": "done"}, ValueError, "unique_until= takes 'ended' or 'started', not 'done'"),
        ({"unique": True, "unique_for": -1}, ValueError, "unique_for= takes seconds"),
        ({"unique": True, "unique_for": 0}, ValueError, "unique_for= is 0, but a task is there for some time"),
        ({"unique": True, "unique_for": "1m"}, TypeError, "unique_for= takes seconds"),
        ({"unique_for": 5}, TypeError, "got unique_for=, but no unique=; say by what a task is the only one"),
        ({"on_conflict": "ignore"}, TypeError, "got on_conflict=, but no unique="),
        ({"uniqe": True}, TypeError, "did you mean 'unique'"),
    ],
)
def test_options_that_are_none(given: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        options.make(given, "@queue.task")


def test_one_call_has_its_own_and_may_have_none() -> None:
    own = options.make({"unique": "{x}", "unique_for": 5, "on_conflict": "ignore"}, "@queue.task")
    assert options.override(own, {"on_conflict": "replace"}, "f").on_conflict == "replace"
    without = options.override(own, {"unique": False}, "f")
    assert (without.unique, without.unique_for, without.on_conflict) == (False, None, "raise")
    assert options.override(own, {"unique": None}, "f").unique is False
    assert own.travelling() == {}  # it is spent when the task is sent
