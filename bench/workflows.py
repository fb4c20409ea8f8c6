"""Measures workflows: a chain of a thousand steps, a chord of ten thousand, and the bytes of six chords of ten in a chain.

python -m bench.workflows [--steps 1000] [--members 10000]

A private redis-server, one worker of one process, tasks that do nothing. Times are also given as ratios, to a plain round trip
and to draining as many plain tasks, which are measured just before; on a machine that others use, only those say anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import servers
from hotqueue import HotQueue
from hotqueue.tasks import chain, chord

TRIPS = 300  # plain round trips
QUEUE, LONGEST = "workflows", 120.0  # seconds to wait for anything
queue = HotQueue(QUEUE, url=os.environ.get("BENCH_URL", "redis://localhost"))


@queue.task(name="nothing")
def nothing(*_: Any) -> int:
    """Do nothing."""
    return 1


@queue.task(name="moment")
def moment(*_: Any) -> float:
    """Return when it ran: seconds since the epoch."""
    return time.time()


@queue.task(name="since")
def since(moments: list[float]) -> tuple[float, float]:
    """Return when it ran, and how long that was after the last of these moments; seconds."""
    now = time.time()
    return now, now - max(moments)


def kilobytes(client: Any) -> float:
    """Return what all keys take."""
    return sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter("*")) / 1024


def six_chords() -> float:
    """Return the KB that six chords of ten in a chain take, while nobody works at them."""
    client = queue._store.client()
    before = kilobytes(client)
    steps = [chord([nothing.s(n) for n in range(10)], nothing.s()) for _ in range(6)]
    result = chain(*steps).delay()
    taken = kilobytes(client) - before
    result.revoke()
    queue.purge()
    return taken


def round_trip() -> float:
    """Return the seconds of a plain round trip."""
    for _ in range(20):
        nothing.delay().get(timeout=LONGEST)
    began = time.perf_counter()
    for _ in range(TRIPS):
        nothing.delay().get(timeout=LONGEST)
    return (time.perf_counter() - began) / TRIPS


def long_chain(steps: int) -> float:
    """Return the seconds of a step of a chain."""
    workflow = chain(*[nothing.s() for _ in range(steps)])
    began = time.perf_counter()
    workflow.delay().get(timeout=LONGEST)
    return (time.perf_counter() - began) / steps


def drained(tasks: int) -> float:
    """Return in how many seconds plain tasks are drained, all of which wait at the beginning."""
    queue.pause()
    results = nothing.map(range(tasks))
    began = time.perf_counter()
    queue.resume()
    results.get(timeout=LONGEST)
    return time.perf_counter() - began


def wide_chord(members: int) -> tuple[float, float]:
    """Return the seconds from where a chord begins to be sent to where its body runs, and from its last member to there."""
    workflow = chord([moment.s(1) for _ in range(members)], since.s())
    began = time.time()
    ran, late = workflow.delay().get(timeout=LONGEST)
    return ran - began, late


@contextmanager
def worker() -> Iterator[None]:
    """Run a worker of one process."""
    command = [Path(sys.executable).with_name("hotqueue-worker"), "bench.workflows", "-p", "1", "-q"]
    running = subprocess.Popen(command)
    try:
        yield
    finally:
        running.terminate()
        running.wait()


def measure(steps: int, members: int) -> None:
    """Measure, and print."""
    print(f"six chords of ten in a chain: {six_chords():.1f} KB")
    with worker():
        trip = round_trip()
        step = long_chain(steps)
        print(f"chain of {steps}: {1e6 * step:.0f} us a step, {step / trip:.2f} of a round trip of {1e6 * trip:.0f} us")
        plain = drained(members)
        chorded, late = wide_chord(members)
        share = chorded / plain
        print(f"chord of {members}: {chorded:.2f} s to its body, {share:.2f} of draining as many plain tasks")
        print(f"its body ran {1e3 * late:.0f} ms after the last member")
    queue.close()


def main() -> None:
    """Run a server, and measure in a process of its own, whose queue is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10_000)
    options = parser.parse_args()
    if "BENCH_URL" in os.environ:
        measure(options.steps, options.members)
        return
    with tempfile.TemporaryDirectory() as folder, servers.run("redis-server", Path(folder) / "server") as server:
        command = [sys.executable, "-m", "bench.workflows", *sys.argv[1:]]
        subprocess.run(command, env={**os.environ, "BENCH_URL": server.url}, check=True)


if __name__ == "__main__":
    main()
