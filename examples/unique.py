"""One task for each key at a time, debounce and throttle. Run it with ``python unique.py``."""

import subprocess
import sys
from pathlib import Path

from hotqueue import DuplicateTask, HotQueue

queue = HotQueue("unique")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task(unique="user-{user}")
def digest(user: int, kind: str = "daily") -> str:
    """Send a user one digest at a time."""
    return f"{kind} digest for user {user}"


@queue.task(unique="{page}", on_conflict="replace")
def reindex(page: str, text: str) -> str:
    """Debounce: index what a page says once nobody has changed it for a moment."""
    return f"{page}: {text}"


@queue.task(unique="{city}", on_conflict="ignore", unique_until="started")
def weather(city: str) -> str:
    """Throttle: ask for the weather of a city once in a while, however often somebody wants to know."""
    return f"sun over {city}"


def main() -> None:
    """Send calls, have a worker run what is left of them, print what became of each."""
    first = digest.delay(7)
    try:
        digest.delay(7, kind="weekly")
    except DuplicateTask as error:
        print("the first is there:", error.task_id == first.id)
    texts = [reindex.apply_async(("home", text), countdown=0.2) for text in ("He", "Hell", "Hello")]
    asked = [weather.apply_async(("Paris",), countdown=0.2) for _ in range(5)]
    subprocess.run([WORKER, "unique", "--burst", "--quiet", "--processes", "2"], cwd=HERE, check=True)
    print(first.get(timeout=10))
    print([result.state.value for result in texts], texts[-1].get(timeout=10))
    print(f"{len(asked)} asked, {len(set(asked))} task:", asked[0].get(timeout=10))


if __name__ == "__main__":
    main()
