"""Tasks that are called by themselves, at their times, by whichever workers there are. Run it with ``python schedules.py``."""

import subprocess
import sys
import time
from pathlib import Path

from hotqueue import HotQueue
from hotqueue.tasks import Schedule, crontab

queue = HotQueue("schedules")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.periodic(0.5, name="pulse")
def pulse() -> str:
    """Be called twice a second, once each time, however many workers there are."""
    return "alive"


@queue.periodic("0 3 * * *", tz="Europe/Paris", name="report", args=("daily",), misfire="once")
@queue.periodic(crontab(minute=0, hour=4, day_of_week="mon"), name="weekly report", args=("weekly",))
@queue.task(retries=3)
def report(kind: str) -> str:
    """Be called at three in the morning, and on Mondays at four once more."""
    return f"the {kind} report"


def find(name: str) -> Schedule:
    """Return the schedule of a name."""
    return next(each for each in queue.schedules() if each.name == name)


def main() -> None:
    """Have two workers fire, look at what they fire, and make a schedule at run time."""
    workers = [subprocess.Popen([WORKER, "schedules", "--quiet", "--processes", "1"], cwd=HERE) for _ in range(2)]
    try:
        while find("pulse").last_result is None or len(find("pulse").declared_by) < 2:
            time.sleep(0.05)
        print("the pulse:", find("pulse").last_result.get(timeout=10))
        print("asked for now:", find("report").trigger().get(timeout=10))
        cleanup = queue.schedule("cleanup", "*/5 * * * *", lambda: "clean", overlap="skip")
        print(cleanup.when, "by hand:", cleanup.trigger().get(timeout=10))
        cleanup.update(when=60, misfire="skip")
        cleanup.pause()
        print([(each.name, each.when, each.is_paused) for each in queue.schedules()])
        cleanup.remove()
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


if __name__ == "__main__":
    main()
