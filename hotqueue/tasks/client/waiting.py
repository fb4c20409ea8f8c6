"""Waiting for tasks of one queue: a thread's way, logged where it waits for itself, and a coroutine's.

How often the server is asked again is in waiters.py, what blocks on the reply list in replies.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hotqueue.errors import STORE_ERRORS
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.explain import why
from hotqueue.tasks.client.handle import Handle, answer_in
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.context import current_request

log = logging.getLogger("hotqueue.worker")
FIRST_LOOK = 1.0  # seconds after which a coroutine that waits sees whether its answers can come at all
LOG_AFTER = 5.0  # seconds after which it is logged that a task waits for itself


def answers(one: Handle[Any], ids: list[str], allowed: float | None, until_error: bool = False) -> dict[str, Answer]:
    """Wait for tasks of one queue, or until one of them fails; one that waits for itself, without an end or a long one, is to
    be seen in the log."""
    replies = one.replies
    caller = current_request()
    if caller is None or (allowed is not None and allowed <= LOG_AFTER):
        return replies.wait(ids, allowed, until_error)
    found = replies.wait(ids, LOG_AFTER, until_error)
    left = [task_id for task_id in ids if task_id not in found]
    if not left or (until_error and any(answer.is_error for answer in found.values())):
        return found
    try:
        found_out = why(one.broker, left[0])
        if found_out.reason == "waits_for_itself":
            log.warning("no result of task %s within %g s: %s", left[0], LOG_AFTER, found_out)
    except STORE_ERRORS:  # a store that is away just now: it is waited for all the same
        pass
    return found | replies.wait(left, None if allowed is None else allowed - LOG_AFTER, until_error)


async def awaited(handle: Handle[Any], allowed: float | None) -> Answer:
    """Return the answer, once the task has ended.

    Raises:
        NoThread: the program ends, and nothing can wait beside the loop any more.
        ResultTimeout: not in time.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def note(_id: str, answer: Answer) -> None:
        try:
            loop.call_soon_threadsafe(_set_once, future, answer)
        except RuntimeError:
            pass  # that loop was closed, and nobody waits in it any more

    replies = handle.replies
    replies.watch(handle.id, note)
    try:
        return await _delivered(handle, future, replies, allowed)
    finally:
        replies.unwatch(handle.id, note)


async def _delivered(handle: Handle[Any], future: asyncio.Future[Answer], replies: Replies, allowed: float | None) -> Answer:
    """Wait for what the thread that reads the replies delivers; where it has no connection, look now and then."""
    loop = asyncio.get_running_loop()
    deadline, pause = None if allowed is None else loop.time() + allowed, FIRST_LOOK
    await replies.aask([handle.id])
    while True:
        left = None if deadline is None else max(0.0, deadline - loop.time())
        await asyncio.wait({future}, timeout=pause if left is None else min(pause, left))
        if future.done():
            return future.result()
        if replies.trouble or (left is not None and left <= pause):
            looked = await handle.alook()
            if (answer := answer_in(looked)) is not None:
                return answer
            if left is not None and left <= pause:
                raise await in_thread(handle.timeout_error, allowed)
        pause = FIRST_LOOK if replies.trouble else min(2 * pause, 30.0)


def _set_once(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
