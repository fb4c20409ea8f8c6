"""Schedules of the crash tests: how often they fire, what they do and which there are is for the environment to say."""

import os
import time

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.notes import Notes

queue = HotQueue(os.environ["CRASH_QUEUE"], url=os.environ["CRASH_URL"], secret_key=os.environ.get("SECRET"))
notes = Notes(os.environ.get("CRASH_NOTES"))


def note(what="fired"):
    notes.write(what, current_task.request.id, f"{time.time():.3f}", os.environ.get("CODE", ""))


@queue.task
def noted(what="fired"):
    note(what)


if "EVERY" in os.environ:
    queue.periodic(float(os.environ["EVERY"]), name="beat", kwargs={"what": "beat"}, ignore_result=True)(note)
if "FAR" in os.environ:
    queue.periodic(float(os.environ["FAR"]), name="far", queue=f"{queue.name}-far")(lambda: note("far"))
