"""joblib over a queue: what a user of its other backends expects, nested calls, errors and scikit-learn among it."""

from __future__ import annotations

import multiprocessing
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joblib import Parallel, delayed, effective_n_jobs, parallel_config

from hotqueue import ConfigError, HotQueue
from hotqueue.contrib.joblib import HotQueueBackend
from tests.support.durations import take_time
from tests.support.generic_worker import THREADS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


def test_calls_are_made_by_the_workers_of_a_queue(queue: HotQueue) -> None:
    import os

    with parallel_config("hotqueue", queue=queue):
        assert Parallel()(delayed(pow)(n, 2) for n in range(50)) == [n**2 for n in range(50)]
        assert os.getpid() not in Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(4))
        offset = 100
        assert Parallel(n_jobs=-1)(delayed(lambda n: n + offset)(n) for n in range(3)) == [100, 101, 102]


def test_without_a_number_as_many_go_on_as_workers_have_slots(queue: HotQueue) -> None:
    with parallel_config("hotqueue", queue=queue):
        wait_until(lambda: effective_n_jobs() == THREADS)
        assert effective_n_jobs(-2) == THREADS - 1
        assert effective_n_jobs(7) == 7
        with pytest.raises(ValueError, match="n_jobs == 0"):
            Parallel(n_jobs=0)([delayed(abs)(1)])


def test_no_more_go_on_than_are_asked_for(queue: HotQueue) -> None:
    def span() -> tuple[float, float]:
        began = time.time()
        take_time(0.02)
        return began, time.time()

    with parallel_config("hotqueue", queue=queue):
        spans = Parallel(n_jobs=2, batch_size=1, pre_dispatch="all")(delayed(span)() for _ in range(12))
    assert max(sum(began <= start < ended for began, ended in spans) for start, _ in spans) == 2


@pytest.mark.parametrize("kind", ["generator", "generator_unordered"])
def test_results_may_come_one_by_one(queue: HotQueue, kind: str) -> None:
    with parallel_config("hotqueue", queue=queue):
        found = Parallel(n_jobs=2, return_as=kind)(delayed(abs)(n) for n in range(20))
        assert sorted(found) == list(range(20))


def test_what_a_call_raises_ends_it_and_the_next_goes_well(queue: HotQueue) -> None:
    with parallel_config("hotqueue", queue=queue), Parallel(n_jobs=2) as parallel:
        with pytest.raises(ZeroDivisionError):
            parallel(delayed(divmod)(1, n) for n in (1, 2, 0, 3))
        assert parallel(delayed(abs)(n) for n in range(5)) == list(range(5))
    wait_until(lambda: queue.pending() == queue.running() == 0)


def test_calls_inside_of_calls_wait_for_no_worker(queue: HotQueue) -> None:
    """There are fewer threads than calls that would wait for others: each would wait for ever."""

    def inner(n: int, backend: str | None) -> int:
        return sum(Parallel(n_jobs=2, backend=backend)(delayed(abs)(m) for m in range(n)))

    with parallel_config("hotqueue", queue=queue):
        for backend in (None, "hotqueue"):
            found = Parallel(n_jobs=8, timeout=60)(delayed(inner)(n, backend) for n in range(12))
            assert found == [sum(range(n)) for n in range(12)]


def test_calls_that_are_alike_share_nothing(queue: HotQueue) -> None:
    """Neither their arguments nor what calls inside of them are spread by, which is for one of them at a time."""

    def inner(found: list[int]) -> int:
        found.extend(Parallel(n_jobs=2)(delayed(abs)(1) for _ in range(2)))
        return len(found)

    with parallel_config("hotqueue", queue=queue):
        assert (
            Parallel(n_jobs=THREADS, batch_size=1, pre_dispatch="all", timeout=60)(delayed(inner)([]) for _ in range(100))
            == [2] * 100
        )


def test_who_has_no_worker_is_told_so(make_queue: Callable[..., HotQueue]) -> None:
    unserved = make_queue()
    with (
        parallel_config("hotqueue", queue=unserved, wait_for_workers_timeout=0.1),
        pytest.raises(ConfigError, match=f"no worker.*hotqueue-worker -Q {unserved.name}"),
    ):
        Parallel()([delayed(abs)(1)])
    with parallel_config("hotqueue", queue=unserved), pytest.raises(multiprocessing.TimeoutError):
        Parallel(n_jobs=2, timeout=0.1)(delayed(abs)(n) for n in range(5))
    assert unserved.pending() == 0


def test_options_are_those_of_an_executor(queue: HotQueue) -> None:
    with pytest.raises(TypeError, match=r"unknown option 'time_limits'.*time_limit"), parallel_config("hotqueue", time_limits=1):
        pass
    with parallel_config("hotqueue", queue=queue), pytest.raises(TypeError, match=r"unknown option 'time_limits'"):
        Parallel(n_jobs=2, time_limits=1)(delayed(abs)(n) for n in range(4))


@pytest.mark.parametrize("is_of_parallel", [False, True])
def test_a_call_that_fails_is_tried_again(queue: HotQueue, tmp_path: Path, is_of_parallel: bool) -> None:
    options = {"retries": 1, "retry_backoff": False, "default_retry_delay": 0}
    given, own = ({}, options) if is_of_parallel else (options, {})

    def second_time(name: str) -> str:
        with (tmp_path / name).open("a+") as file:
            file.write("x")
        if len((tmp_path / name).read_text()) < 2:
            raise OSError("not yet")
        return name

    with parallel_config("hotqueue", queue=queue, **given):
        assert Parallel(n_jobs=2, batch_size=1, **own)(delayed(second_time)(name) for name in "abc") == ["a", "b", "c"]


def test_a_backend_travels(queue: HotQueue) -> None:
    found = pickle.loads(pickle.dumps(HotQueueBackend(queue, nesting_level=1, retries=2)))
    assert found._queue.name == queue.name
    assert (found.nesting_level, found._options) == (1, {"retries": 2})


def test_scikit_learn_searches_with_it(queue: HotQueue) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier

    samples, classes = datasets.load_iris(return_X_y=True)
    with parallel_config("hotqueue", queue=queue):
        search: Any = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 5, 9]}, n_jobs=-1).fit(samples, classes)
    assert search.best_score_ > 0.95
