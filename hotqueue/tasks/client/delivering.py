"""Delivering: what came on a reply list → whoever waits for it. Who reads that list, and asks the server, is in replies.py.

A message may be of a life that its task had before it was put back, or sent anew: where that may be, it is confirmed first. See
docs/decisions/0059.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.answers import Answer, confirmed
from hotqueue.tasks.client.waiters import Waiter, Watches

log = logging.getLogger("hotqueue.worker")


class Delivering:
    """Delivers the messages of one reply list.

    Args:
        end_expired: called with a task's id and how many ms it is past its expiry; ends it if it still waits.
    """

    def __init__(self, broker: Broker, end_expired: Callable[[str, int], None]) -> None:
        self._broker = broker
        self._end_expired = end_expired
        self._watches = Watches()

    def _take_in(self, messages: Sequence[bytes]) -> None:
        """Deliver what came, and then end what has expired, and see to what may be old, which take trips."""
        expired, doubtful = list[tuple[str, int]](), dict[str, Answer]()
        for message in messages:
            head, _, rest = message.partition(b"\0")
            try:
                status, task_id = head[:1].decode(), head[1:].decode()
                number = int(rest) if status in ("E", "B") else 0
            except ValueError:
                status = ""
            if status == "E":
                expired.append((task_id, number))
            elif status in ("D", "U", "B") or (status == "R" and rest):
                answer = Answer(status, rest if status == "R" else b"", number)
                if task_id in self._watches.unread:
                    doubtful[task_id] = answer
                else:
                    self._dispatch(task_id, answer)
            else:
                self._watches.all_due()  # no message of ours, or the mark that some are missing
        for task_id, late_ms in expired:
            self._end_expired(task_id, late_ms)
        if doubtful:
            self._deliver_confirmed(doubtful)

    def _deliver_confirmed(self, answers: dict[str, Answer]) -> None:
        """Deliver answers that may be of tasks' former lives as far as they are so now; ask again about the others."""
        waited_for = {task_id: answer for task_id, answer in answers.items() if task_id in self._watches.tasks}
        found = confirmed(self._broker, waited_for)
        for task_id, answer in found.items():
            self._dispatch(task_id, answer)
        self._watches.expiring(dict.fromkeys(waited_for.keys() - found.keys(), 0))

    def _dispatch(self, task_id: str, answer: Answer) -> None:
        for who in self._watches.take(task_id):
            if isinstance(who, Waiter):
                who.deliver(task_id, answer)
                continue
            try:
                who(task_id, answer)
            except Exception:
                log.exception("task %s has ended, but a callback that waits for it raised", task_id)
