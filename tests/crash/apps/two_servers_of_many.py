"""A queue on one server, ten on another."""

import os

from hotqueue import HotQueue

here = HotQueue("here", url=os.environ["HERE"])


@here.task(name="quick")
def quick(n):
    return n


for n in range(10):
    there = globals()[f"there{n}"] = HotQueue(f"there{n}", url=os.environ["THERE"])
    there.task(quick, name=f"far{n}")
