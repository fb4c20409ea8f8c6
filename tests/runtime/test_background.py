"""What a supervisor has done at Redis while it goes on with the rest."""

from __future__ import annotations

import threading

import pytest

from hotqueue.runtime.background import Background


def test_a_job_is_done_beside_and_concluded_by_who_began_it() -> None:
    ended, go_on = threading.Event(), threading.Event()
    background = Background(ended.set)
    told: list[tuple[object, threading.Thread]] = []
    background.begin(lambda: go_on.wait(10), lambda said: told.append((said, threading.current_thread())))
    background.conclude()
    assert (background.is_free, told) == (False, [])
    go_on.set()
    assert ended.wait(10)
    background.conclude()
    assert (background.is_free, told) == (True, [(True, threading.current_thread())])
    assert "hotqueue-background" not in {thread.name for thread in threading.enumerate()}


def test_what_a_job_raises_is_raised_where_it_is_concluded() -> None:
    ended = threading.Event()
    background = Background(ended.set)
    background.begin(lambda: 1 / 0)
    assert ended.wait(10)
    with pytest.raises(ZeroDivisionError):
        background.conclude()
    assert background.is_free
