"""Chains, groups and chords; what a failure does. Run it with ``python workflows.py``."""

import subprocess
import sys
from pathlib import Path

from hotqueue import HotQueue
from hotqueue.tasks import chain, chord, group

queue = HotQueue("workflows")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task
def words(text: str) -> int:
    """Count the words of a text."""
    if not text:
        raise ValueError("a text without words")
    return len(text.split())


@queue.task
def total(counts: list[int]) -> int:
    """Add up what others have counted."""
    return sum(counts)


@queue.task
def sentence(count: int, what: str) -> str:
    """Say it."""
    return f"{count} words in {what}"


@queue.task
def book(lines: list[str]):
    """Count the words of as many lines as there are: the workflow that it returns takes its place."""
    return chord([words.s(line) for line in lines], total.s())


@queue.task
def note(request, error, traceback: str) -> str:
    """Be told of a failure."""
    return f"{request.task} failed: {error!r}"


TEXTS = ["to be or not to be", "that is the question", "whether tis nobler"]


def main() -> None:
    """Send workflows, have a worker run them, print what became of each."""
    one = (words.s(TEXTS[0]) | sentence.s("a line")).delay()
    many = group(words.s(text) for text in TEXTS).delay()
    summed = chord([words.s(text) for text in TEXTS], total.s()).delay()
    nested = chain(group(words.s(text) for text in TEXTS), total.s(), sentence.s("all")).delay()
    grown = chain(book.s(TEXTS), sentence.s("the book")).delay()
    failed = chain(words.s(""), sentence.s("nothing")).on_error(note.s().set(task_id="note")).delay()
    subprocess.run([WORKER, "workflows", "--burst", "--quiet", "--processes", "2"], cwd=HERE, check=True)
    print(one.get(timeout=10))
    print(many.get(timeout=10), many.completed_count())
    print(summed.get(timeout=10), summed.parent.get(timeout=10))
    print(nested.get(timeout=10))
    print(grown.get(timeout=10))
    try:
        failed.get(timeout=10)
    except ValueError as error:
        print("failed:", error)
    print(queue.result("note").get(timeout=10))
    for node in queue.workflow(failed.id).nodes:
        print(node.task, node.state.value)


if __name__ == "__main__":
    main()
