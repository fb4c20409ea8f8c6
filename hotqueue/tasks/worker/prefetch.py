"""How many tasks a worker fetches at once: about 10 ms of work at the length lately seen. Pure."""

from __future__ import annotations

TARGET = 0.010  # seconds of work in one batch
MOST = 256


class Prefetch:
    """Adapts the size of a worker's batches; exactly one for tasks that are long, or of unknown length."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._last = 1

    def room(self) -> int:
        """Return how many tasks to fetch."""
        if self._mean is None or self._mean > TARGET / 2:
            self._last = 1
        else:
            self._last = max(1, min(MOST, 2 * self._last, int(TARGET / max(self._mean, 1e-7))))
        return self._last

    def ran(self, seconds: float) -> None:
        """Note how long a task took: a longer one counts at once, shorter ones little by little."""
        mean = self._mean
        self._mean = seconds if mean is None or seconds > mean else 0.8 * mean + 0.2 * seconds
