"""Tasks that go on where an earlier run of theirs got to; each notes what it does with which item, and in which run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "checkpoints"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


def die_once(folder: str, item: int) -> None:
    """Kill this process, if a file says so, which only one run finds."""
    try:
        Path(folder, str(item)).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@queue.task(max_deliveries=20)
def walk(items: int, pause: float, folder: str) -> int:
    before: int = current_task.resumed or 0
    note("run", current_task.request.id, os.getpid(), current_task.request.deliveries)
    done = before
    for item in current_task.iterate(range(items)):
        note("item", current_task.request.id, item)
        die_once(folder, item)
        take_time(pause)
        done += 1
        current_task.checkpoint(done)
    return done


@queue.task(max_deliveries=2)
def stumble(items: int, folder: str) -> None:
    note("run", current_task.request.id, os.getpid(), current_task.request.deliveries)
    for item in current_task.iterate(range(items)):
        note("item", current_task.request.id, item)
        die_once(folder, item)
        if item == items // 2:
            os.kill(os.getpid(), signal.SIGKILL)


@queue.task(max_deliveries=20)
async def awalk(items: int, pause: float, folder: str) -> int:
    before: int = current_task.resumed or 0
    note("run", current_task.request.id, os.getpid(), current_task.request.deliveries)
    done = before
    async for item in current_task.iterate(range(items)):
        note("item", current_task.request.id, item)
        die_once(folder, item)
        await atake_time(pause)
        done += 1
        await current_task.acheckpoint(done)
    return done
