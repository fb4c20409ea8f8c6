"""TaskFuture: who completes it, and who takes its task back, on every kind of store; each is done once, whoever comes first."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import ConnectionFailed, Executor, HotQueue
from hotqueue.tasks.futures.future import TaskFuture
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]


def test_it_is_completed_or_taken_back_wherever_its_queue_is(make_queue: MakeQueue) -> None:
    queue = make_queue()
    executor = Executor(queue)
    future, other = executor.submit(abs, -1), executor.submit(abs, -2)
    assert other.cancel()
    queue.run_worker(burst=True)
    assert future.result(10) == 1
    assert other.cancelled()
    executor.shutdown()


@pytest.mark.servers("server")
def test_many_who_cancel_it_agree_and_tell_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for _ in range(10):
        future = Executor(queue).submit(abs, -1)
        told: list[object] = []
        future.add_done_callback(told.append)
        answers: list[bool] = []
        threads = [threading.Thread(target=lambda: answers.append(future.cancel())) for _ in range(5)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (answers, told) == ([True] * 5, [future])


@pytest.mark.servers("server")
def test_the_end_of_a_task_and_its_cancelling_at_once_leave_one_of_them(make_queue: MakeQueue) -> None:
    queue = make_queue()
    executor = Executor(queue)
    futures = [executor.submit(abs, n) for n in range(40)]
    worker = threading.Thread(target=queue.run_worker, kwargs={"burst": True})
    worker.start()
    taken_back = [future for future in futures if future.cancel()]
    worker.join()
    concurrent.futures.wait(futures, 20)
    assert [future for future in futures if future.cancelled()] == taken_back
    assert all(future.result(0) == n for n, future in enumerate(futures) if future not in taken_back)


def test_what_was_sent_while_the_answer_got_lost_is_completed_later(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("futures", url=server.url) as queue, server.client() as client, Executor(queue) as executor:
        future = executor.submit(abs, -1)
        client.client_kill_filter(skipme=True, _type="normal")
        queue.run_worker(burst=True)
        assert future.result(20) == 1


def _cancelled(future: TaskFuture[Any]) -> bool:
    try:
        return future.cancel()
    except ConnectionFailed:  # a busy machine may take longer than the queue's patience
        return False


def test_a_server_that_cannot_be_asked_is_the_callers_to_know(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("futures", url=server.url, patience=0.2) as queue:
        executor = Executor(queue)
        future = executor.submit(abs, -1)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(ConnectionFailed):
                future.cancel()
            with pytest.raises(ConnectionFailed):
                executor.submit(abs, -2)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert not future.done()
        wait_until(lambda: _cancelled(future))
        executor.shutdown()  # what was not sent, as far as is known, is not waited for
