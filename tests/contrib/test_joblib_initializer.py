"""Initializers: called once in each process of a worker, for one `Parallel`, before all of its calls there."""

from __future__ import annotations

from pathlib import Path

import pytest
from joblib import Parallel, delayed, parallel_config

from hotqueue import HotQueue
from hotqueue.contrib.joblib_initializer import KEPT, Initializer
from tests.support.generic_worker import THREADS

pytestmark = pytest.mark.servers("server")


def test_it_is_called_once_before_all_calls(queue: HotQueue, tmp_path: Path) -> None:
    def begin(file: Path) -> None:
        with file.open("a") as opened:
            opened.write("x")

    started = tmp_path / "started"
    calls = [delayed(started.read_text)() for _ in range(30)]
    with parallel_config("hotqueue", queue=queue, initializer=begin, initargs=(started,)):
        assert Parallel(n_jobs=THREADS, batch_size=1)(calls) == ["x"] * 30
        assert Parallel(n_jobs=THREADS, batch_size=1)(calls) == ["xx"] * 30
    with parallel_config("hotqueue", queue=queue):
        assert Parallel(n_jobs=2, initializer=begin, initargs=(started,))(calls) == ["xxx"] * 30


def test_what_it_raises_the_call_raises_and_the_next_tries_again() -> None:
    found: list[int] = []

    def second_time(file: list[int]) -> None:
        file.append(1)
        if len(file) == 1:
            raise OSError("not yet")

    initializer = Initializer(second_time, [found])
    with pytest.raises(OSError, match="not yet"):
        initializer()
    initializer()
    initializer()
    assert found == [1, 1]


def test_a_process_remembers_so_many() -> None:
    found: list[int] = []
    first, *rest = [Initializer(found.append, [n]) for n in range(KEPT + 1)]
    for each in (first, *rest, *rest):
        each()
    assert len(found) == KEPT + 1
    first()
    assert found[-1] == 0
