"""hotqueue schedules: they are listed, paused, resumed, fired and removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue

pytestmark = pytest.mark.servers("server")


def test_schedules_from_end_to_end(make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()
    queue.schedule("tick", 900, "shop.price", (1,))
    where = ("-u", store_url, "-Q", queue.name)
    (row,) = map(json.loads, call("schedules", "--json", *where).lines)
    assert (row["name"], row["task"], row["when"], row["is_paused"]) == ("tick", "shop.price", "every 900 s", False)
    assert call("schedules", *where).lines[1].split()[:5] == ["tick", queue.name, "shop.price", "every", "900"]
    assert call("schedules", "pause", "tick", *where).out == "tick: paused\n"
    assert " paused " in call("schedules", *where).out
    assert call("periodic", *where).out == call("schedules", *where).out  # as some call it
    assert call("schedules", "list", "--json", *where).out == call("schedules", "--json", *where).out != ""
    assert call("schedules", "resume", "tick", *where).out.startswith("tick: resumed; it fires next 2")
    assert call("schedules", "trigger", "tick", *where).out.startswith("tick: sent periodic:tick:now:")
    assert queue.pending() == 1
    done = call("schedules", "remove", "tik", *where, "--yes")
    assert (done.code, done.err) == (2, f"hotqueue: there is no schedule 'tik' in {queue._store}; did you mean 'tick'?\n")
    assert call("schedules", "remove", "tick", *where).code == 2  # nobody to ask
    assert call("schedules", "remove", "tick", *where, "--yes").out == "tick: removed\n"
    assert queue.schedules() == []
    queue.purge()


def test_what_stands_before_the_name_of_a_command_holds_for_it(
    make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any]
) -> None:
    queue = make_queue()
    queue.schedule("tick", 900, "shop.price", (1,))
    assert call("schedules", "-u", store_url, "-Q", queue.name, "pause", "tick").out == "tick: paused\n"
    assert call("--url", store_url, "periodic", "-Q", queue.name, "resume", "tick").out.startswith("tick: resumed;")
    (row,) = map(json.loads, call("-u", store_url, "schedules", "--json", "-Q", queue.name, "list").lines)
    assert (row["name"], row["is_paused"]) == ("tick", False)
    assert call("schedules", "-u", "redis://127.0.0.1:1", "-Q", queue.name, "list", "-u", store_url, "--json").code == 0
    (made,) = queue.schedules()
    made.remove()
