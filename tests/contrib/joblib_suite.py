"""joblib's own tests of `Parallel`, with our backend in the place of loky's: ``python -m tests.contrib.joblib_suite``.

They are those of the joblib that is installed; what is ours in them is a name. They sleep, and so take minutes: no part of
`make test`. What cannot hold stands below with its reason; whatever else fails is new, and fails the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import joblib.test.test_parallel
import pytest

from hotqueue import HotQueue
from tests.support import processes
from tests.support.servers import Servers
from tests.support.waiting import wait_until

NAME = "test_parallel_with_hotqueue"
PROCESSES, THREADS = 4, 40  # of workers: calls that nobody waits for any more sleep on

# In joblib's text, where it says loky and means processes.
PUT_FOR = {
    '"loky"': '"hotqueue"',
    "    LokyBackend,\n": "",
    "import joblib\n": "import joblib\nfrom hotqueue.contrib.joblib import HotQueueBackend as LokyBackend\n",
    'backend.title() + "Backend"': "BACKENDS[backend].__name__",
}

# In every process: the import that a user would write, and what forked ones have of their parent, the key of its Manager.
EVERYWHERE = """
import multiprocessing
multiprocessing.current_process().authkey = b"joblib"
import joblib
from hotqueue.contrib.joblib import HotQueueBackend
joblib.register_parallel_backend("hotqueue", HotQueueBackend, make_default=True)
"""

ONE_MACHINE = "an array mapped into memory is of one machine"
GOES_ON = "loky says that its processes are taken; ours are there for both"
OTHERS_INSIDE = "loky warns inside of another backend, and makes one call after the other; ours go to the workers from everywhere"
INNER = "how many threads BLAS takes is said to the worker: OPENBLAS_NUM_THREADS=1 hotqueue-worker ..."
ONE_EACH = "expects processes of one call each; workers have threads"
AS_MANY = "without a number as many go on as workers have threads, where loky makes one at a time"
CANNOT = {  # the beginnings of their names
    "test_nested_parallel_warnings[multiprocessing-hotqueue": OTHERS_INSIDE,
    "test_nested_parallel_warnings[threading-hotqueue": OTHERS_INSIDE,
    "test_nested_loop[hotqueue-back_compat_backend]": "calls go by value: no worker imports the file that registers it",
    "test_parallel_pickling": "says SerializationError, which names the culprit, where loky says PicklingError",
    "test_error_capture[hotqueue]": "what asks a program to stop (KeyboardInterrupt) is not raised in another: RemoteError",
    "test_error_in_task_iterator[hotqueue]": "rarely: joblib misses the error when all else ends within its 10 ms of sleep",
    "test_parallel_with_interactively_defined_bound_method_loky": "looks for LokyProcess in what is logged",
    "test_auto_memmap_on_arrays_from_generator[hotqueue]": ONE_MACHINE,
    "test_memmapping_leaks[hotqueue]": ONE_MACHINE,
    "test_multiple_generator_call_separated_gc[generator-generator-hotqueue-True]": GOES_ON,
    "test_multiple_generator_call_separated_gc[generator-generator_unordered-hotqueue-True]": GOES_ON,
    "test_multiple_generator_call_separated_gc[generator_unordered-generator-hotqueue-True]": GOES_ON,
    "test_multiple_generator_call_separated_gc[generator_unordered-generator_unordered-hotqueue-True]": GOES_ON,
    "test_backend_hinting_and_constraints[": "prefer='processes' is loky, whatever the default is",
    "test_threadpool_limitation_in_child": INNER,
    "test_effective_n_jobs_None[None-": AS_MANY,
    "test_nested_backend_in_sequential[": AS_MANY,
    "test_initializer_reused": ONE_EACH,
    "test_initializer_not_reused": ONE_EACH,
}
LOKYS = ("test_loky_reuse_workers", "test_default_mp_context")  # ask loky and multiprocessing themselves


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave those away that are of other backends than ours; expect those to fail that cannot hold."""
    others = [item for item in items if not _is_ours(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
    for item in items:
        for name, reason in CANNOT.items():
            if item.name.startswith(name):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


def _is_ours(item: pytest.Item) -> bool:
    """Tell whether a test is given our backend; or none, which makes it the default one, so ours."""
    if item.name.startswith(LOKYS):
        return False
    given: dict[str, Any] = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    named = [value for name, value in given.items() if "backend" in name]
    return not named or any(each in ("hotqueue", None) or type(each).__name__ == "HotQueueBackend" for each in named)


def main(args: list[str]) -> int:
    """Run them, with further arguments for pytest; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        place, servers = Path(folder), Servers(Path(folder))
        (place / "sitecustomize.py").write_text(EVERYWHERE)
        (place / f"{NAME}.py").write_text(_theirs())
        env = {
            "HOTQUEUE_URL": servers.url("server"),
            "PYTHONPATH": os.pathsep.join([folder, str(processes.ROOT)]),
        }
        worker = processes.start_command("hotqueue-worker", "-Q", "joblib", "-p", PROCESSES, "-t", THREADS, "-q", env=env)
        try:
            with HotQueue("joblib", url=env["HOTQUEUE_URL"]) as queue:
                wait_until(lambda: sum(found["kind"] == "s" for found in queue.workers()) == PROCESSES * THREADS)
            plugins = ["-p", "tests.contrib.joblib_suite", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", folder]
            return subprocess.run(
                [sys.executable, "-m", "pytest", *plugins, place / f"{NAME}.py", "-c", os.devnull, *args],
                env={**os.environ, **env},
                check=False,
            ).returncode
        finally:
            worker.kill()
            worker.communicate()
            servers.stop()


def _theirs() -> str:
    """Return the text of joblib's tests, of our backend."""
    text = Path(joblib.test.test_parallel.__file__).read_text()
    for old, new in PUT_FOR.items():
        if old not in text:
            raise SystemExit(f"joblib's tests say {old!r} no more: read them, and change PUT_FOR")
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
