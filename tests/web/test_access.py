"""Who may see the dashboard and do what: tokens and passwords, sessions, few tries."""

from __future__ import annotations

import secrets

import pytest

from hotqueue import ConfigError
from hotqueue.web.access import RIGHTS, STAYS, Access, Viewer, allowed, is_loopback


def test_a_token_and_passwords_are_known_and_nothing_else_is() -> None:
    access = Access(token="t0ken", users={"ann": "pw", "bob": "other"})
    assert access.knows("", "t0ken") == "token"
    assert access.knows("ann", "t0ken") == "token"
    assert access.knows("ann", "pw") == "ann"
    assert [
        access.knows(*pair) for pair in (("ann", "other"), ("bob", "pw"), ("", "pw"), ("", ""), ("ann", ""), ("eve", "pw"))
    ] == [""] * 6
    assert Access(users={"ann": "pw"}).knows("", "") == ""


def test_a_session_is_whose_it_is_until_it_is_over() -> None:
    access = Access(users={"ann": "pw", "bob": "pw"})
    session = access.session("ann", now=1000)
    assert access.of_session(session, now=1000 + STAYS - 1) == "ann"
    assert access.of_session(session, now=1001 + STAYS) == ""
    assert Access(users={"ann": "new"}).of_session(session, now=1001) == ""
    until, seal, _ = session.split(".")
    assert access.of_session(f"{until}.{seal}.{b'bob'.hex()}", now=1001) == ""
    assert access.of_session(f"{int(until) + 1}.{seal}.{b'ann'.hex()}", now=1001) == ""


def test_nobody_seals_a_session_of_somebody_who_is_not_there() -> None:
    forged = Access(users={"eve": ""}).session("eve")  # what is sealed with no secret, as anybody can
    of_a_token = Access(token="t0ken").session("token")
    assert Access(users={"ann": "pw"}).of_session(forged) == ""
    assert Access(users={"ann": "pw", "eve": ""}).of_session(forged) == ""
    assert Access(token="t0ken").of_session(forged) == ""
    assert Access(token="t0ken", users={"ann": "pw"}).of_session(of_a_token) == "token"
    assert Access(users={"ann": "pw"}).of_session(Access().session("token")) == ""


@pytest.mark.parametrize(
    "session", ["", ".", "..", "a.b.c", "9999999999.x.zz", "9999999999.ä.616e6e", "-1.x.", "²²²." + "0" * 64 + ".61"]
)
def test_what_is_no_session_is_nobodys(session: str) -> None:
    assert Access(users={"ann": "pw"}).of_session(session) == ""


def test_rights_are_those_of_the_dashboard_and_of_the_viewer() -> None:
    access = Access(allowed=allowed(False, ["pause", "retry"]))
    assert access.rights(Viewer("ann")) == {"pause", "retry"}
    assert access.rights(Viewer("ann", ["retry", "purge"])) == {"retry"}
    assert allowed(True, ["retry"]) == frozenset()
    assert allowed(False, None) == set(RIGHTS)
    with pytest.raises(ConfigError, match="did you mean 'retry'"):
        allowed(False, ["retyr"])


def test_a_browser_in_which_somebody_was_is_known_of_them_alone() -> None:
    access = Access(token="t0ken", users={"ann": "pw", "bob": "pw"})
    shown = access.device("ann")
    mark = access.of_device(shown, "ann")
    assert mark
    assert [access.of_device(shown, user) for user in ("bob", "", "eve", "token")] == [""] * 4
    assert access.of_device(access.device("token"), "")
    assert Access(users={"ann": "new"}).of_device(shown, "ann") == ""
    assert [access.of_device(each, "ann") for each in ("", ".", "x", f"{mark}.", f"x{shown}")] == [""] * 5


def test_a_browser_that_is_known_is_not_let_in_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(users={"ann": "pw"})
    monkeypatch.setattr(secrets, "token_hex", lambda _size: "9" * 16)  # looks like a time
    mark, _, seal = access.device("ann").partition(".")
    assert access.of_session(f"{mark}.{seal}.{b'ann'.hex()}", now=0) == ""
    until, seal, _ = access.session("ann", now=0).split(".")
    assert access.of_device(f"{until}.{seal}", "ann") == ""


@pytest.mark.parametrize(
    ("host", "is_near"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_an_address_is_of_this_machine_alone(host: str, is_near: bool) -> None:
    assert is_loopback(host) is is_near
