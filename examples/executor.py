"""The workers of a queue as a `concurrent.futures` executor, with a bar of progress. Run it with ``python executor.py``."""

import asyncio
import concurrent.futures
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from hotqueue import Executor, HotQueue

queue = HotQueue("executor")
WORKER = Path(sys.executable).with_name("hotqueue-worker")
T = TypeVar("T")


def is_prime(n: int) -> bool:
    """Tell whether a number is a prime, slowly."""
    return n > 1 and all(n % divisor for divisor in range(2, int(n**0.5) + 1))


def progress(results: Iterable[T], total: int) -> Iterable[T]:
    """Show how many have come: with tqdm, where it is installed, and else with what is below."""
    try:
        from tqdm import tqdm
    except ImportError:
        return bar(results, total)
    return tqdm(results, total=total)


def bar(results: Iterable[T], total: int) -> Iterator[T]:
    """Yield what comes, and show how many that are."""
    for n, result in enumerate(results, 1):
        if sys.stderr.isatty():
            print(f"\r[{'#' * (30 * n // total):<30}] {n}/{total}", end="" if n < total else "\n", file=sys.stderr)
        yield result


async def in_a_loop(executor: Executor) -> int:
    """Have an event loop run elsewhere what would block it."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, sum, range(10))


def main() -> None:
    """Send calls in all ways, to a worker that has none of this code."""
    worker = subprocess.Popen([WORKER, "-Q", queue.name, "--quiet", "--processes", "2"])
    try:
        with Executor(queue, retries=1, time_limit=60) as executor:
            print("one call:", executor.submit(pow, 2, 10).result())
            futures = {executor.submit(is_prime, n): n for n in (97, 98, 99)}
            found = {futures[future]: future.result() for future in concurrent.futures.as_completed(futures)}
            print("as they come:", dict(sorted(found.items())))
            numbers = range(1000, 2000)
            primes = sum(progress(executor.map(is_prime, numbers, chunksize=50), len(numbers)))
            print("primes from 1000 to 2000:", primes)
            print("from a loop:", asyncio.run(in_a_loop(executor)))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
