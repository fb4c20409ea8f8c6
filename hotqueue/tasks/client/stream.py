"""Stream: the items of a task that yields, for whoever reads them in a thread. In asyncio: async_stream.py.

What was read is kept in reading.py; where it comes from: broker/streams.py, and before that worker/outlet.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeVar

from hotqueue.errors import ConnectionFailed, NoThread, StreamGap, StreamRestarted
from hotqueue.tasks.broker.streams import BLOCK
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.reading import PAUSE, Reading
from hotqueue.tasks.client.waiting import answers

Y = TypeVar("Y")


class _End:
    """What is known of a task's end. The replies hold this one, so that a stream nobody holds on to is let go of."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.wait: Any = None

    def note(self, _id: str, answer: Answer) -> None:
        """Take an answer; for any thread."""
        self.answer = answer
        if (wait := self.wait) is not None:
            wait.wake()


class Stream(Reading[Y]):
    """The items of a task, in order; ends when the task has ended, and raises what that raised.

    1. `AsyncResult.stream()` returns it; nothing is read before the first item is asked for.
    2. Each item comes once. Where the task runs again meanwhile, `StreamRestarted` is raised, and the items come anew.
    3. `value` is what the task returned, once its items have come.

    Attributes:
        value: what the task returned, once the stream has ended.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.value: Any = None
        self._end = _End()

    def __iter__(self) -> Iterator[Y]:
        return self

    def __next__(self) -> Y:
        if not self._ready and not self._is_over:
            self._fill()
        if not self._ready:
            raise StopIteration(self.value)
        if self._is_to_say:
            self._said_at = time.monotonic()
            self._handle.broker.stream_read(self._handle.id, self._place, portion=0)
        return self._next()

    def _fill(self) -> None:
        """Read until there are items, or the task has ended."""
        handle, began = self._handle, time.monotonic()
        try:
            if self._holds_up:
                self._watch_end()
            while not self._ready:
                try:
                    some = handle.broker.stream_read(handle.id, self._place)
                except ConnectionFailed as error:
                    if not self._outlasts(error, self._left(began)):
                        raise
                    time.sleep(PAUSE)
                    continue
                self._take_in(some)
                if self._ready:
                    return
                if not some.is_open:
                    self._conclude()
                    return
                left = self._left(began)
                if left == 0.0:
                    raise handle.timeout_error(self._allowed)
                self._end.answer = None  # of an end before this read, after which somebody revived the task
                self._wait_for_more(BLOCK if left is None else left)
        except (StreamRestarted, StreamGap):
            raise
        except BaseException:
            self.close()
            raise

    def _conclude(self) -> None:
        """Keep what the task returned, or raise what it raised."""
        handle, answer = self._handle, self._end.answer
        if not handle.has_outcome() and answer is None:
            answer = answers(handle, [handle.id], self._allowed).get(handle.id) or handle.last_look(self._allowed)
        self._is_over = True
        self.close()
        self.value = handle.outcome(None if handle.has_outcome() else answer, True)

    def _wait_for_more(self, left: float) -> None:
        end = self._end
        if end.wait is not None:
            end.wait.wait(self._place, left)
            return
        end.wait = self._handle.broker.stream_wait(self._handle.id)
        self._watch_end()  # and look once more: it may have come meanwhile

    def _watch_end(self) -> None:
        """Have the end noted, by a thread that also says that this one has left, should nobody else do so."""
        replies = self._handle.replies
        if self._replies is None:
            try:
                replies.subscribe(self._handle.id, self._end.note)
                self._replies = replies
            except NoThread:
                pass  # the program ends: it is looked now and then

    def close(self) -> None:
        """Read no more for now; whoever holds the task up does so no more."""
        self._let_go()
        self._replies = None
        if self._leaves():
            self._handle.broker.stream_read(self._handle.id, self._place, 0, leaves=True)

    def _let_go(self) -> None:
        end, self._end = self._end, _End()
        if self._replies is not None:
            self._replies.unwatch(self._handle.id, end.note)
        if end.wait is not None:
            end.wait.close()

    def __enter__(self) -> Stream[Y]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self._leave_later()
            self._let_go()
        except Exception:  # of a program that ends, or one that was refused
            pass
