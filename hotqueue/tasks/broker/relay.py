"""Relay: brings what is in a queue's outbox to the queues that it is for. Anybody may, and any number side by side.

1. read: what is left for a queue, from the lowest number on; 2. received: the queue stores it, with a receipt for each; 3. struck
out of the outbox; 4. told: the queue forgets those receipts; 5. the outbox forgets the queue. Whoever dies after any of these
leaves it to the next, who begins at 1: what came already has a receipt, or a number that is too low. See docs/decisions/0050.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile

from hotqueue import keys
from hotqueue.errors import HotQueueError, SerializationError
from hotqueue.tasks.broker import crossing
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.posting import NEW, STALE, Posted

STEPS = ("read", "received", "struck", "told")
DAY = 86_400_000  # ms for which another queue is remembered from which nothing comes

Passed = Callable[[str], object]


def relay(source: Broker, passed: Passed = lambda step: None, most: int = 10) -> int:
    """Bring what is in the outbox of a queue to others; return how many tasks, or messages, were new there.

    What these have to answer at once is brought back, and what they have posted for others upon it is brought on: a step in a
    third queue would else wait until a supervisor of the one in between looks.

    Args:
        passed: called with the name of each step that was done.
        most: trips for one of the other queues.

    Raises:
        HotQueueError: the first that went wrong; the other queues have theirs.
    """
    brought, told, failed = 0, [], []
    for name in source.targets():
        target = Broker(source.store, name)
        try:
            found, has_answers, has_others = _relay_to(source, target, passed, most)
            brought += found + (_relay_to(target, source, passed, most)[0] if has_answers else 0)
            told += [target] if has_others else []
        except HotQueueError as error:
            failed.append(error)
    for target in told:  # only now: what stands still behind one of them keeps none of ours waiting
        with suppress(HotQueueError):
            brought += _bring_on(target, source, passed, most)
    if failed:
        raise failed[0]
    return brought


def _bring_on(middle: Broker, source: Broker, passed: Passed, most: int) -> int:
    """Bring what a queue that was told something has for others; return how many were new. What fails its supervisors do."""
    brought = 0
    for name in middle.targets():
        if name != source.name:
            with suppress(HotQueueError):
                brought += _relay_to(middle, Broker(middle.store, name), passed, most)[0]
    return brought


def _relay_to(source: Broker, target: Broker, passed: Passed, most: int) -> tuple[int, bool, bool]:
    """Bring what is for one queue; return how many were new there, and whether it has posted something for us, for others."""
    brought, has_answers, has_others = 0, False, False
    for _ in range(most):
        floor, some = source.posted(target.name)
        passed("read")
        left = 0
        if some:
            if crossing.is_message(some[0]):
                came, stale, heard = _tell(source, target, some)
                highest, has_answers, has_others = heard.highest, has_answers or heard.has_posted, heard.has_others
            else:
                came, stale, highest = _bring(source, target, some)
            brought += sum(answer == NEW for _, answer in came)
            passed("received")
            if stale:
                source.renumber(target.name, stale, highest)
            floor, left = source.strike(target.name, [each for each, _ in came])
            passed("struck")
        if not left:
            target.told(source.name, floor)
            passed("told")
            if source.strike(target.name, (), told=floor)[1] == 0:
                break
    return brought, has_answers, has_others


def _tell(source: Broker, target: Broker, some: list[Posted]) -> tuple[list[tuple[Posted, int]], list[Posted], crossing.Heard]:
    """Have a queue do what was posted, up to a task; return as `_bring` does, with all of what it said."""
    some = [*takewhile(crossing.is_message, some[: crossing.HEARD_AT_ONCE])]
    needs = [crossing.needs_of(each) for each in some]
    count = len(some)
    while count > 1 and len({task_id for ids in needs[:count] for task_id in ids}) > crossing.RECORDS_AT_ONCE:
        count //= 2
    some, needs = some[:count], needs[:count]
    ids = list(dict.fromkeys(task_id for each in needs for task_id in each))
    last, part = max(0, len(ids) - 1) // crossing.RECORDS_AT_ONCE, 0
    for n in range(last + 1):  # several: of a single step
        inputs = source.inputs(ids[n * crossing.RECORDS_AT_ONCE : (n + 1) * crossing.RECORDS_AT_ONCE])
        heard = target.hear(source.name, some, needs, inputs, part, has_more=n < last)
        part += bool(inputs)
        if heard.answers[0] != NEW:
            break
    pairs = list(zip(some, heard.answers, strict=True))
    stale = [each for each, answer in pairs if answer == STALE]
    return [pair for pair in pairs if pair[1] != STALE], stale, heard


def _bring(source: Broker, target: Broker, some: list[Posted]) -> tuple[list[tuple[Posted, int]], list[Posted], int]:
    """Have a queue store what was read; return what it has, what it takes for struck long ago, and its highest number."""
    some = [*takewhile(lambda each: not crossing.is_message(each), some)]
    try:
        answers, highest = target.receive(source.name, some)
    except SerializationError:  # together they are too large for what is in between, or one of them is
        if len(some) == 1:
            raise
        some = some[:1]
        answers, highest = target.receive(source.name, some)
    pairs = list(zip(some, answers, strict=True))
    return [pair for pair in pairs if pair[1] != STALE], [each for each, answer in pairs if answer == STALE], highest


def forget_sources(target: Broker, now: int) -> int:
    """Forget other queues from which nothing came for a day, if there is nothing for this one in their outboxes; return how many.

    Args:
        now: server time in ms.
    """
    forgotten = 0
    for name, (seen, heard) in target.sources().items():
        if now - heard < DAY:
            continue
        outbox = keys.outbox(name)
        if target.store.command(outbox, "HEXISTS", outbox, keys.raw(target.name)):
            target.told(name, 0)
        else:
            forgotten += target.drop_source(name, seen)
    return forgotten
