"""The options by which tasks are chosen mean the same in every command that has them."""

from __future__ import annotations

import click
import pytest

from hotqueue.cli.admin import hotqueue
from hotqueue.cli.filtering import wanted_of
from hotqueue.monitor.filter_text import written

OPTIONS = {"task", "names", "since", "older", "match", "filtered"}


@pytest.mark.parametrize("command", ["tasks", "retry", "discard", "revoke"])
def test_each_of_them_has_all(command: str) -> None:
    found = hotqueue.get_command(click.Context(hotqueue), command)
    assert found is not None
    assert {each.name for each in found.params} >= OPTIONS


def test_each_says_a_term_of_the_filter() -> None:
    wanted = wanted_of("shop.*", "2h", "2030-01-31T12:00:00Z", "x y", "-queue:low arg:4")
    assert written(wanted) == '-queue:low arg:4 task:shop.* age:<2h age:<2030-01-31T12:00:00Z "x y"'
    assert written(wanted_of(since="2030-01-31T12:00:00Z", older="2h")) == "age:>2030-01-31T12:00:00Z age:>2h"
    with pytest.raises(click.UsageError, match="'soon' is no time"):
        wanted_of(older="soon")
    with pytest.raises(click.UsageError, match="--filter: 'stat:dead', at 1: there is no field 'stat'; did you mean 'state'"):
        wanted_of(filtered="stat:dead")
