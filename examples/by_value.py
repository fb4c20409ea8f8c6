"""Code by value, as from a prompt or a notebook. Run it with ``python by_value.py``.

The worker is started in an empty folder, with a queue's name and no module: it has none of the code that it runs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from hotqueue import HotQueue

queue = HotQueue("by-value")
WORKER = Path(sys.executable).with_name("hotqueue-worker")


class Point:
    """A class that only this program knows."""

    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y


def main() -> None:
    """Send a lambda, a closure, a recursive function and a task of a function's own; print what comes back."""
    factor = 10

    def scaled(point: Point) -> Point:
        return Point(point.x * factor, point.y * factor)

    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    @queue.task(retries=2)
    def shout(text: str) -> str:
        return text.upper() + "!"

    results = [
        queue.submit(lambda a, b: a + b, 40, 2),
        queue.submit(lambda point: (point.x, point.y), Point(1, 2)),
        queue.submit(factorial, 20),
        shout.delay("by value"),
    ]
    moved = queue.submit(scaled, Point(1, 2))
    with tempfile.TemporaryDirectory() as empty:
        subprocess.run([WORKER, "-Q", queue.name, "--burst", "--quiet", "-p", "1"], cwd=empty, check=True)
    print([result.get(timeout=10) for result in results])
    point = moved.get(timeout=10)
    print(type(point).__name__, point.x, point.y)


if __name__ == "__main__":
    main()
