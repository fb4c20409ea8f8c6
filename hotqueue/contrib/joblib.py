"""joblib over the workers of a queue: ``import hotqueue.contrib.joblib``, and there is a backend "hotqueue".

Batches of calls are tasks, as long as joblib makes them. What is nested in one runs there, in threads, as elsewhere in joblib:
a task that waited for others of its queue could wait for itself.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib import register_parallel_backend
from joblib.parallel import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend

from hotqueue.contrib.joblib_initializer import Initializer
from hotqueue.errors import ConfigError
from hotqueue.queue import HotQueue
from hotqueue.tasks.context import current_request
from hotqueue.tasks.futures.executor import Executor
from hotqueue.tasks.futures.together import pass_for

NAME = "hotqueue"
DEFAULT_QUEUE = "joblib"
WAITS = 10.0  # seconds for a first worker
_JOBLIBS = {"max_nbytes", "temp_folder", "mmap_mode", "prefer", "require", "verbose", "context"}  # what it gives each backend


class HotQueueBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """What `joblib.parallel_config("hotqueue", queue=queue)` uses.

    Args:
        queue: a HotQueue; None: the one called "joblib" on the default store.
        wait_for_workers_timeout: seconds for which a call without `n_jobs` waits for a first worker.
        initializer: called in each worker process with `initargs`, before the first call of a `Parallel` there.
        **options: further ones of `Executor`: `time_limit`, `retries` …

    Raises:
        TypeError, ValueError: an option that is none.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(
        self,
        queue: HotQueue | None = None,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        wait_for_workers_timeout: float = WAITS,
        **options: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._queue = HotQueue(DEFAULT_QUEUE) if queue is None else queue
        self._patience = wait_for_workers_timeout
        self._options = options
        self._executor, self._initializer = self._made({})  # refuses bad options now

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._queue, self.nesting_level, self._patience, self._options)

    def _made(self, bound: dict[str, Any], given: dict[str, Any] | None = None) -> tuple[Executor, Initializer | None]:
        """Return an executor with the options that it was made with, and those of one `Parallel`; and that one's initializer."""
        options = {**bound, **self._options, **(given or {})}
        function, args = options.pop("initializer", None), options.pop("initargs", ())
        return Executor(self._queue, **options), None if function is None else Initializer(function, args)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls go on at a time: as many as are asked for; of a negative number, by how many slots workers have.

        Raises:
            ValueError: 0 was asked for.
            ConfigError: there is no worker.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if current_request() is not None:
            return 1
        if n_jobs is not None and n_jobs > 0:
            return n_jobs
        return max(1, self._slots() + 1 + (-1 if n_jobs is None else n_jobs))

    def _slots(self) -> int:
        """Return how many calls live workers can run at a time; wait for the first."""
        deadline = time.monotonic() + self._patience
        while True:
            slots = sum(worker.get("kind") == "s" for worker in self._queue.workers())
            if slots:
                return slots
            if time.monotonic() > deadline:
                name = self._queue.name
                raise ConfigError(
                    f"no worker has listened on {self._queue!r} for {self._patience:g} s: start one with "
                    f"hotqueue-worker -Q {name}, or say n_jobs= to send the calls all the same"
                )
            time.sleep(0.05)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Make ready for one `Parallel`; return how many of its calls go on at a time.

        Args:
            **options: what it was given, options of its own first of all.

        Raises:
            TypeError, ValueError: an option that is none.
        """
        jobs = self.effective_n_jobs(n_jobs)
        if jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._given = {name: value for name, value in options.items() if name not in _JOBLIBS}
        bound = {} if n_jobs is None or n_jobs < 0 else {"max_concurrency": jobs, "concurrency_key": f"joblib-{uuid.uuid4().hex}"}
        self._executor, self._initializer = self._made(bound, self._given)
        return jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Send a batch of calls."""
        future = self._executor.submit(_Batch(func, self._initializer))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # of joblib before 1.5

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return the results of a batch, or raise what one of its calls raised."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Take back what no worker has yet."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel, **self._given)

    def terminate(self) -> None:
        """Take no more calls."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.reset_batch_stats()


class _Batch:
    """A batch of calls. It is of this module, so that a worker that gets one knows the backend, should its name be said there.

    Args:
        calls: what joblib gives its backends; it is named as the first function of these is.
        initializer: what has to be called before, once in each process.
    """

    _initializer: Initializer | None = None  # of those that came from a version without

    def __init__(self, calls: Callable[[], Any], initializer: Initializer | None) -> None:
        self._calls, self._initializer = calls, initializer
        items = getattr(calls, "items", None)
        if items:
            pass_for(self, items[0][0])

    def __call__(self) -> Any:
        if self._initializer is not None:
            self._initializer()
        return self._calls()


def _rebuilt(queue: HotQueue, nesting_level: int | None, patience: float, options: dict[str, Any]) -> HotQueueBackend:
    return HotQueueBackend(queue, nesting_level, wait_for_workers_timeout=patience, **options)


register_parallel_backend(NAME, HotQueueBackend)
