"""What a supervisor tells a process: it arrives as it was said, in its order, however the pipe cuts it up."""

from __future__ import annotations

import os
import threading

import pytest

from hotqueue.tasks.worker.orders import GO, STOP, Adopt, GiveUp, LetGo, Order, packed, received

ORDERS: list[Order] = [
    GO,
    Adopt(65_535, 65_535, 3, "tenant-ü:*"),
    GiveUp(300, 65_535, 12.5),
    LetGo(7, 9),
    Adopt(0, 1, 0, "x" * 5000),
    Adopt(1, 2, 0, "\udcff"),
    STOP,
]


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_orders_arrive(size: int) -> None:
    read, write = os.pipe()
    data = b"".join(map(packed, ORDERS))

    def say() -> None:
        for at in range(0, len(data), size):
            os.write(write, data[at : at + size])
        os.close(write)

    thread = threading.Thread(target=say)
    thread.start()
    assert list(received(read)) == ORDERS
    thread.join()
    os.close(read)


def test_the_end_of_the_pipe_in_an_order_is_the_end() -> None:
    read, write = os.pipe()
    os.write(write, packed(LetGo(1, 2))[:-1])
    os.close(write)
    with pytest.raises(EOFError):
        list(received(read))
    os.close(read)
