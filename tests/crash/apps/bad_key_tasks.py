"""A queue of tasks of all kinds, into whose keys a test puts what does not belong there."""

import os

from hotqueue import HotQueue

queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])


@queue.task(name="plain")
def plain(n):
    return n


@queue.task(name="aplain")
async def aplain(n):
    return n


@queue.task(name="named")
def named(n):
    return n


@queue.task(name="other")
def other(n):
    return n


@queue.task(name="gated", max_concurrency=1, concurrency_key="{key}")
def gated(n, key):
    return n


@queue.task(name="rated", rate_limit="1000/s", rate_limit_key="{key}")
def rated(n, key):
    return n


@queue.task(name="fair", fair_key="{key}")
def fair(n, key):
    return n


@queue.task(name="once", unique="{key}")
def once(n, key):
    return n


@queue.periodic(3600, name="hourly")
def hourly():
    return None
