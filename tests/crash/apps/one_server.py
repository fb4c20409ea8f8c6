"""Tasks of one queue."""

import os

from hotqueue import HotQueue

here = HotQueue("here", url=os.environ["HERE"])


@here.task(name="quick")
def quick(n):
    return n
