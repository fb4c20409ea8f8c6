"""The tasks of many queues on one Cluster."""

import os

from hotqueue import HotQueue
from tests.support.durations import take_time

COUNT = int(os.environ.get("COUNT", "20"))
queues = [HotQueue(f"{os.environ['QUEUE']}-{n}", url=os.environ["STORE"]) for n in range(COUNT)]


def note(what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what}\n")


def _make(queue):
    @queue.task(name="quick")
    def quick(n):
        return n

    @queue.task(name="slow")
    def slow(n, seconds):
        note(f"{queue.name} {n}")
        take_time(seconds)
        return n

    @queue.task(name="aquick")
    async def aquick(n):
        return n

    return quick, slow, aquick


for _n, _queue in enumerate(queues):
    globals()[f"quick{_n}"], globals()[f"slow{_n}"], globals()[f"aquick{_n}"] = _make(_queue)
