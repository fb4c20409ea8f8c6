"""The options by which tasks are chosen mean the same in every command that has them."""

from __future__ import annotations

import time

import click
import pytest

from hotqueue.cli.admin import hotqueue
from hotqueue.cli.filtering import wanted_of

OPTIONS = {"task", "names", "since", "older", "match"}


@pytest.mark.parametrize("command", ["tasks", "retry", "discard", "revoke"])
def test_each_of_them_has_all(command: str) -> None:
    found = hotqueue.get_command(click.Context(hotqueue), command)
    assert found is not None
    assert {each.name for each in found.params} >= OPTIONS


def test_ages_are_counted_from_now() -> None:
    wanted = wanted_of("shop.*", "2h", "", "x")
    assert (wanted.task, wanted.older, wanted.match) == ("shop.*", None, "x")
    assert wanted.since is not None
    assert abs(wanted.since / 1000 - (time.time() - 7200)) < 60
    with pytest.raises(click.UsageError, match="'soon' is no time"):
        wanted_of("", "", "soon", "")
