"""The tasks that supervisord.conf and hotqueue.service run a worker for."""

from hotqueue import HotQueue

queue = HotQueue("myqueue")  # where: $HOTQUEUE_URL, else your own embedded server


@queue.task(retries=3)
def square(n: int) -> int:
    """Return n squared."""
    return n * n


if __name__ == "__main__":
    print(square.delay(4).get(timeout=10))
