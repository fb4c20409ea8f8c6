"""``@queue.worker``: two processes share the messages of a queue. Run it with ``python worker_decorator.py``.

Started without an argument it puts messages and starts two copies of itself with the argument ``work``.
"""

import os
import subprocess
import sys

from hotqueue import HotQueue

numbers = HotQueue("worker-decorator-numbers")
squares = HotQueue("worker-decorator-squares")


@numbers.worker(timeout=1)  # ends when nothing has come for a second; without it, never
def square(number: int) -> None:
    """Put the square of a number on the other queue."""
    squares.put((os.getpid(), number, number * number))


def main() -> None:
    """Put numbers, start the workers, print what they made of them."""
    numbers.clear()
    squares.clear()
    numbers.put(*range(20))
    workers = [subprocess.Popen([sys.executable, __file__, "work"]) for _ in range(2)]
    for worker in workers:
        worker.wait()
    made = list(squares.consume(block=False))
    print(f"{len(made)} squares, made by {len({pid for pid, _, _ in made})} of 2 workers:")
    print(sorted(square for _, _, square in made))


if __name__ == "__main__":
    square() if sys.argv[1:] == ["work"] else main()
