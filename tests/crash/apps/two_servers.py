"""Tasks of two queues, each on a server of its own."""

import os

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time

here = HotQueue("here", url=os.environ["HERE"])
there = HotQueue(os.environ.get("NAME_THERE", "there"), url=os.environ["THERE"])


def note(what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what}\n")


@here.task(name="quick")
def quick(n):
    return n


@here.task(name="aquick")
async def aquick(n):
    return n


@here.task(name="slow")
def slow(n, seconds):
    note(n)
    take_time(seconds)
    note(f"{n} done")
    return n


@there.task(name="die")
def die():
    os._exit(9)


@there.task(name="far")
def far(n):
    note(n)
    return n


@there.task(name="afar")
async def afar(n, seconds=0.0):
    note(n)
    await atake_time(seconds)
    return n
