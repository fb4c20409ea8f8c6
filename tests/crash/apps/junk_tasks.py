"""A queue into whose keys a test writes junk, and one beside it on the same server."""

import os

from hotqueue import HotQueue

junk = HotQueue("junk", url=os.environ["STORE"])
good = HotQueue("good", url=os.environ["STORE"])


@junk.task(name="any")
def any_task(n):
    return n


@good.task(name="quick")
def quick(n):
    return n
