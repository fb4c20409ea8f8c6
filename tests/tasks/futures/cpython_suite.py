"""CPython's own tests of executors, with ours as the executor under test: ``python -m tests.tasks.futures.cpython_suite``.

They are those of the Python that runs this, where it brings them (`test.test_concurrent_futures`, 3.12 and later; Debian's and
slim images leave them out). What cannot hold stands below with its reason; whatever else fails is new.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from hotqueue import HotQueue
from tests.support import processes
from tests.support.servers import Servers
from tests.support.waiting import wait_until

NAME = "test_executors"
OURS = """
import os, unittest
from hotqueue import Executor, HotQueue
from test.test_concurrent_futures import executor, test_as_completed, test_shutdown, test_wait, util

class HotQueueMixin(util.ExecutorMixin):
    @staticmethod
    def executor_type(max_workers):
        return Executor(HotQueue("executors"))

for tests in (executor.ExecutorTest, test_as_completed.AsCompletedTests, test_wait.WaitTests, test_shutdown.ExecutorShutdownTest):
    util.create_executor_tests(globals(), tests, executor_mixins=(HotQueueMixin,))
"""
SCRIPTS = "a script of theirs asks the end of a program by Executor(5)"
CANNOT = {
    "test_max_workers_negative": "it has no workers of its own, and so no max_workers",
    "test_interpreter_shutdown": SCRIPTS,
    "test_submit_after_interpreter_shutdown": SCRIPTS,
    "test_hang_gh83386": SCRIPTS,
}


def main(args: list[str]) -> int:
    """Run them, with further arguments for unittest; return an exit code: 0 where all hold but those that cannot."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        (Path(folder) / f"{NAME}.py").write_text(OURS)
        env = {"HOTQUEUE_URL": servers.url("server"), "PYTHONPATH": os.pathsep.join([folder, str(processes.ROOT)])}
        worker = processes.start_command("hotqueue-worker", "-Q", "executors", "-p", "1", "-t", "5", "-q", env=env)
        try:
            with HotQueue("executors", url=env["HOTQUEUE_URL"]) as queue:
                wait_until(lambda: len(queue.workers()) > 0)
            code = f"from tests.tasks.futures.cpython_suite import run; run({NAME!r}, {args!r})"
            return subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, check=False).returncode
        finally:
            worker.kill()
            worker.communicate()
            servers.stop()


def run(name: str, args: list[str]) -> None:
    """Run the tests of a module, and exit."""
    found = unittest.main(name, argv=["python", *args], exit=False).result
    failed = {test.id().rpartition(".")[2] for test, _ in [*found.failures, *found.errors]}
    new = failed - CANNOT.keys()
    print(f"{found.testsRun - len(failed)} of {found.testsRun} hold; new: {sorted(new) or 'none'}")
    sys.exit(bool(new))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
