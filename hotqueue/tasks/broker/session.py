"""Session: one queue as one worker sees it; fenced by its incarnation and the numbers of its fetches."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from hotqueue import keys
from hotqueue.errors import ConnectionFailed
from hotqueue.sizes import LARGE, READ_BYTES
from hotqueue.store.packing import PackedKeys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import STAYS
from hotqueue.tasks.wire.settlement import CHUNK, Delivery, Settlement, runs

if TYPE_CHECKING:
    from hotqueue.store.blocking import Blocking
    from hotqueue.store.exchange import Sent

NAMES, MORE = 1000, "…"  # characters of the names that a worker announces; and what stands for more
ALONE = -1  # see `Session.width`
_MOST_BYTES = b"%d" % READ_BYTES
POSTED = 10  # above all others that it says: something was posted for other queues
FOLLOWS = 5  # what step.lua says where it is for the script that knows of steps
DOING, RECOVERING = "finishing and fetching tasks", "recovering after an error"


@dataclass(slots=True)
class Stepped:
    """What `Session.step` returns.

    Attributes:
        now: server time in ms.
        due: ms until the next scheduled task, -1 when there is none.
        alive: False when this worker was given up.
        others: tasks ready for workers of the other kind.
        suspects: tasks that wait for a quarantine process.
        needs: what parked tasks wait for, how many such needs.
        left: tasks of our kind that are still ready after a fetch.
        gone: ids that were not this worker's any more, so that their outcome was dropped.
        revoked: ids in this worker's hand that are not to be started any more.
        paused: names of tasks that are not to start, those in hand among them.
        newer: the queue's schema, where the fetch was refused because this version does not know it; else 0.
    """

    now: int
    due: int
    alive: bool
    others: int
    suspects: int
    needs: int
    left: int
    gone: list[str]
    deliveries: list[Delivery]
    revoked: list[str] = field(default_factory=list)
    newer: int = 0
    paused: Sequence[str] = ()


class Step:
    """A step that was sent.

    Attributes:
        number: of its fetch.
        room: how many tasks it may bring.
        actions: what it carries; to be settled again if it fails.
        sent_at: not after it was (monotonic); of one that Redis carries out whenever a bell rings, long before.
    """

    def __init__(
        self,
        session: Session,
        args: list[bytes],
        sent: Sent,
        number: int,
        room: int,
        actions: Sequence[Settlement],
        sent_at: float = 0.0,
    ) -> None:
        self._session, self._args = session, args
        self._sent = sent
        self.sent_at = sent_at
        self.number = number
        self.room = room
        self.actions = actions

    def end(self) -> Stepped:
        """Wait for what it brings."""
        reply = self._sent.receive()
        if reply[2] == FOLLOWS:
            reply = self._session.follow(self._args)
        now, due, alive, others, suspects, needs, left, gone, revoked = reply[:9]
        if alive >= POSTED:
            alive -= POSTED
            self._session.posted()
        if alive == 2:
            raise ConnectionFailed("a fetch arrived late and was refused")
        paused = [keys.text(name) for name in reply.pop()] if alive == 4 else ()
        deliveries = _deliveries(self.number, reply[9:])
        missing, stopped = [keys.text(task_id) for task_id in gone], [keys.text(task_id) for task_id in revoked]
        if alive == 3:
            return Stepped(int(now), -1, True, 0, 0, 0, 0, missing, [], stopped, newer=left)
        return Stepped(int(now), due, alive != 0, others, suspects, needs, left, missing, deliveries, stopped, paused=paused)

    @property
    def is_answered(self) -> bool:
        """True once somebody has seen that it has answered."""
        return self._sent.is_answered

    def has_answered(self, seconds: float) -> bool:
        """Wait so long at most until what it brings begins to come, or its connection has ended."""
        return self._sent.has_answered(seconds)

    def fileno(self) -> int:
        """Return what can be read as soon as it has answered."""
        return self._sent.fileno()

    def abandon(self) -> None:
        """Give it up; `recover` finds out what it brought."""
        self._sent.abandon()


class Session:
    """One queue as one worker sees it; numbers its fetches.

    1. `register`: it announces itself, with a lease that its supervisor renews.
    2. `step`: it settles what it has done, and fetches what it has room for, in one trip; `begin` does not wait for the reply,
       `begin_behind` has it come as soon as a bell rings.
    3. `settle`: it settles and fetches nothing, as any of its threads may.
    4. `recover`: after an error it asks what it holds and does not know of; replies that come late are refused from then on.
    5. Its leaving is `deregister` (many_queues.py), its death `Broker.reap`.

    Args:
        worker: the worker's incarnation.
        kind: "s" or "a": which tasks it fetches; "x": suspects.
        known: the names of the tasks that it can run by name.

    Attributes:
        follows: whether steps of workflows have waited here.
        posted: called where a step has posted something for other queues, which may be in any thread.
        account: returns what is told of settlements, to be counted.
        width: fetch suspects, which run side by side with so many; 0: fetch ordinary tasks; ALONE: any suspect, which runs alone.
    """

    def __init__(self, broker: Broker, worker: str, kind: str, known: Collection[str] = ()) -> None:
        self.broker = broker
        self._known = known
        self.worker = worker
        self.kind = kind
        self._kind = b"a" if kind == "a" else b"s"
        self.width = 0
        self.posted: Callable[[], None] = _nothing
        self.account: Callable[[Sequence[Settlement]], bytes] = _no_account
        self.number = 0
        self.follows = False
        self._store = broker.store
        self._step = PackedKeys(scripts.STEP, [key.encode() for key in broker.script_keys.step(worker)])
        self._worker = worker.encode()
        self._ends = [_MOST_BYTES, keys.result(broker.name, "").encode(), keys.parked(broker.name, "").encode()]

    def register(self, lease_ms: int, about: dict[str, str], stay_ms: int = STAYS) -> None:
        """Announce this worker.

        Args:
            lease_ms: of its leases, while it holds something.
            stay_ms: for how long it counts as registered while it holds nothing.
        """
        self._store.run(scripts.REGISTER, *self.register_call(lease_ms, about, stay_ms), doing="registering a worker")

    def register_call(self, lease_ms: int, about: dict[str, str], stay_ms: int = STAYS) -> tuple[list[str], list[Any]]:
        """Return the keys and arguments of `register`."""
        args: list[Any] = [self.worker, lease_ms, stay_ms, "schema", keys.SCHEMA, "tasks", self._names()]
        for pair in about.items():
            args += pair
        return self.broker.script_keys.register(self.worker), args

    def _names(self) -> str:
        """Return the names of known tasks, for people; of very many, some."""
        names = " ".join(sorted(self._known))
        return names if len(names) <= NAMES else f"{names[:NAMES].rpartition(' ')[0]} {MORE}"

    def step(self, room: int, actions: Sequence[Settlement] = ()) -> Stepped:
        """Carry out `actions` and fetch up to `room` tasks, in one trip.

        Safe to send again with the same actions: what was carried out is then *gone*. The fetch is not: call `recover`.

        Raises:
            ConnectionFailed: no answer; call `recover`.
        """
        return self.begin(room, actions).end()

    def begin(self, room: int, actions: Sequence[Settlement] = ()) -> Step:
        """Send a step and do not wait for what it brings."""
        if room == 0:
            return self._send(0, 0, actions)
        self.number += 1
        return self._send(self.number, room, actions)

    def settle(self, actions: Sequence[Settlement]) -> Stepped:
        """Carry out actions and fetch nothing; unlike the others for any thread, since it has no number."""
        return self._send(0, 0, actions).end()

    def _send(self, number: int, room: int, actions: Sequence[Settlement]) -> Step:
        sent_at = time.monotonic()
        args = self._head(number, room)
        if actions:
            args.append(self.account(actions))
            args += runs(sorted(actions, key=_comes_later) if self.follows else actions)
        step, size = self._step, sum([len(action[3]) for action in actions])
        call = [step.call((), args)] if size < LARGE else step.parts((), args)
        sent = self._store.send(step.script, step.keys, args, DOING, call)
        return Step(self, args, sent, number, room, actions, sent_at)

    def follow(self, args: list[bytes]) -> Any:
        """Make a step that was refused, as steps of workflows wait here, by the script that knows of these; so from now on."""
        self.know_steps()
        step = self._step
        return self._store.run(step.script, [keys.text(key) for key in step.keys], args, doing=DOING)

    def know_steps(self) -> None:
        """Step by the script that knows of steps of workflows, from now on: some come to wait here."""
        if not self.follows:
            self.follows = True
            self._step = PackedKeys(scripts.STEP_FOLLOWING, self._step.keys)

    def begin_behind(self, first: bytes, connection: Blocking, room: int) -> Step:
        """Send a command that blocks, packed, and a fetch behind it, which Redis carries out in the moment in which that ends.

        It brings no tasks with a rate limit: how long it takes until they start, nobody could say.
        The caller receives the reply of the first from the connection, then that of the step.
        """
        self.number += 1
        args = self._head(self.number, -room)
        step = self._step
        connection.send_packed(first + step.call((), args))
        whole = (b"EVAL", step.script.text, len(step.keys), *step.keys, *args)
        return Step(self, args, connection.last(whole, DOING), self.number, room, ())

    def _head(self, number: int, room: int) -> list[bytes]:
        return [self._worker, b"%d" % number, b"%d" % room, self._kind, b"%d" % self.width, *self._ends]

    def checkpoint(self, delivery: Delivery, data: bytes, patience: float | EllipsisType, is_further: bool = False) -> bool:
        """Keep what a task in hand leaves for its next run; False when it is in hand no more. For any thread."""
        return self.broker.keep_checkpoint(self.worker, delivery, data, patience, is_further)

    async def acheckpoint(self, delivery: Delivery, data: bytes, is_further: bool = False) -> bool:
        """Asyncio twin of `checkpoint`."""
        return await self.broker.akeep_checkpoint(self.worker, delivery, data, is_further)

    def recover(self, in_hand: Sequence[str]) -> list[Delivery] | None:
        """After an error: return what this worker holds but has not in hand; None when it was given up."""
        return self.recovered(self._store.run(scripts.RECOVER, *self.recover_call(in_hand), doing=RECOVERING))

    def recover_call(self, in_hand: Sequence[str]) -> tuple[list[str], list[Any]]:
        """Return the keys and arguments of `recover`, which takes the number of a fetch."""
        self.number += 1
        return self.broker.script_keys.recover(self.worker), [self.worker, self.number, *in_hand]

    def recovered(self, reply: Any) -> list[Delivery] | None:
        """Return what the reply of `recover` says."""
        return None if reply[0] == 0 else _deliveries(self.number, reply[2:])


def _nothing() -> None:
    pass


def _no_account(_actions: Sequence[Settlement]) -> bytes:
    return b""


def _comes_later(action: Settlement) -> bool:
    """Tell what does not come before others: all but those that are replaced, see step.lua."""
    return action.code != "N"


def _deliveries(number: int, reply: Sequence[Any]) -> list[Delivery]:
    """Return what a fetch brought: ids, each with a newline behind it, their sets, their histories if any has one, envelopes."""
    if not reply:
        return []
    ids, origins, histories, *envelopes = reply
    names, sets = keys.text(ids).split("\n"), origins.decode()
    held_as: Iterable[int | str] = repeat(0)
    if len(envelopes) > CHUNK:
        held_as = [number if n < CHUNK else f"{number}:{n // CHUNK}" for n in range(len(envelopes))]
    parts = zip(names, repeat(number), sets, histories or repeat(b""), envelopes, held_as, strict=False)
    return [Delivery(*each) for each in parts]
