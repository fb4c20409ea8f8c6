"""How fast a stream is: items a second to one reader, the memory of all three, and how soon a lone item comes.

``python -m bench.streams [items] [bytes of an item]``; it needs the package's embedded server alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

TASKS = """
import os, time
from hotqueue import HotQueue
queue = HotQueue("bench-streams", dbfilename=os.environ["BENCH_FILE"])

@queue.task
def many(count, size):
    item = b"x" * size
    for _ in range(count):
        yield item

@queue.task
def slow(count):
    for _ in range(count):
        time.sleep(0.02)
        yield time.time()
"""


def memory_of(pid: int) -> float:
    """Return how many MB a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(queue: Any, tasks: Any, count: int, size: int, **options: Any) -> None:
    """Print one run: items a second, and memory after each quarter of it."""
    client = queue._store.client()
    worker = next(int(line["pid"]) for line in queue.workers())
    began, seen, memory = time.perf_counter(), 0, []
    for _ in tasks.many.delay(count, size).stream(**options):
        seen += 1
        if seen % (count // 4) == 0:
            server = client.info("memory")["used_memory"] / 2**20
            memory.append(f"{memory_of(os.getpid()):.0f}/{memory_of(worker):.0f}/{server:.0f}")
    assert seen == count
    rate = count / (time.perf_counter() - began)
    print(f"{count:,} items of {size:,} bytes {options or ''}: {rate:,.0f}/s; MB of reader/worker/server: {', '.join(memory)}")


def main() -> None:
    """Run a worker, and read what its tasks yield."""
    count, size = (int(arg) for arg in (*sys.argv[1:], *("100000", "100")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_stream_tasks.py").write_text(TASKS)
        os.environ |= {"BENCH_FILE": f"{folder}/queue.rdb", "PYTHONPATH": os.pathsep.join([folder, *sys.path])}
        sys.path.insert(0, folder)
        import bench_stream_tasks as tasks  # type: ignore[import-not-found]

        command = "from hotqueue.cli.worker import main; main()"
        with Popen([sys.executable, "-c", command, "bench_stream_tasks", "-p1", "-q"], stdout=PIPE) as worker:
            try:
                list(tasks.many.delay(1, 1).stream(timeout=60))
                for options in ({}, {"backpressure": True}):
                    for _ in range(3):
                        measure(tasks.queue, tasks, count, size, **options)
                late = sorted(time.time() - at for at in tasks.slow.delay(100).stream())
                print(f"a lone item is there after {late[50] * 1000:.1f} ms (median), {late[95] * 1000:.1f} ms (95 of 100)")
            finally:
                worker.terminate()
        tasks.queue.close()


if __name__ == "__main__":
    main()
