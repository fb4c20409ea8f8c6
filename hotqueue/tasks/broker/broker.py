"""Broker: a queue's tasks as clients see them: enqueue, wait for a result, look at a task, forget it.

What ends tasks that wait is in revoking.py, what operators ask in inspector.py, what keeps a queue in order in maintenance.py,
how long results stay in owning.py, what runs leave in checkpointing.py; a queue as one worker sees it, fenced: session.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, DuplicateTask, QueueFull, SerializationError
from hotqueue.runtime.ending import in_thread
from hotqueue.sizes import LARGE
from hotqueue.store.packing import PackedCall, PackedKeys
from hotqueue.store.scripts import Script
from hotqueue.store.store import Store
from hotqueue.tasks.broker import duplicates, scripts
from hotqueue.tasks.broker.checkpointing import Checkpointing
from hotqueue.tasks.broker.crossing import Crossing
from hotqueue.tasks.broker.discarding import Discarding
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.inspector import Inspector
from hotqueue.tasks.broker.listing import Listing
from hotqueue.tasks.broker.maintenance import Maintenance
from hotqueue.tasks.broker.ordering import Ordering
from hotqueue.tasks.broker.owning import Owning
from hotqueue.tasks.broker.posting import Posting
from hotqueue.tasks.broker.records import Records
from hotqueue.tasks.broker.reply_connection import ReplyConnection
from hotqueue.tasks.broker.scheduling import Scheduling
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.broker.streams import Streaming
from hotqueue.tasks.broker.workflows import Workflows
from hotqueue.tasks.rules.history import History, json_object
from hotqueue.tasks.rules.history import decode as decode_history
from hotqueue.tasks.wire import task_names
from hotqueue.tasks.wire.envelope import ASYNC, GATED

if TYPE_CHECKING:
    from hotqueue.store.exchange import Sent  # imports redis

AT_ONCE = 0.1  # seconds for which a loop tries
LOOKING, LOOKS = "looking at a task", 3  # it may be parked anew between a look and what follows


@dataclass(slots=True)
class Looked:
    """What is known of one task: where it is, its record, history, envelope and progress."""

    where: str
    record: bytes
    history: History
    detail: float
    envelope: bytes
    progress: dict[str, Any] | None


class Broker(
    Checkpointing,
    Crossing,
    Discarding,
    Inspector,
    Listing,
    Maintenance,
    Ordering,
    Owning,
    Posting,
    Records,
    Scheduling,
    Streaming,
    Workflows,
):
    """One queue's tasks. A task goes through these steps:

    1. `enqueue`: a client has its envelope stored under its id, placed or scheduled, and the bell rung.
    2. `wait`: a client that wants its result registers for it, and blocks at its reply list (`reply_connection`).
    3. `promote` (maintenance.py): a task that was scheduled becomes ready at its time.
    4. `Session.step` (session.py): a worker fetches it, and settles how it ended; whoever waits is sent that.
    5. Or `revoke` and `expire` (revoking.py) end it where it waits, or `reap` (maintenance.py) puts it back: its worker died.
    6. `record`, `look`: a client reads what became of it; `forget` (owning.py) removes that.
    7. Had it failed for good, it is in the dead list (inspector.py), until it is revived or discarded.
    """

    is_in_place = False

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store, name)
        self._enqueue_one = [self._packed_enqueue(is_async) for is_async in (False, True)]

    # --- enqueueing ----------------------------------------------------------------------------------------------

    def enqueue(self, tasks: Sequence[Encoded], *, patience: float | EllipsisType | None = ...) -> list[bool | str]:
        """Store tasks; those whose id is known already stay as they are.

        Args:
            tasks: at most BULK.
            patience: see `Store.repeat`.

        Returns:
            One bool a task: True when it is new; or the id of the one that is there with its unique key: then it is not stored.

        Raises:
            ConnectionFailed: after 5 s; then it is unknown what was stored, and repeating with the same ids is safe.
            QueueFull: the server is out of memory.
            SerializationError: the server takes nothing as large; NotTaken where others of `tasks` were stored.
            DuplicateTask: some are unique, and there already; nothing was stored, as far as it does not say otherwise.
        """
        if len(tasks) == 1 and _is_plain(*tasks[0]):
            return [self.enqueue_one(tasks[0].id, tasks[0].envelope)]
        return self._enqueue_together(tasks, patience)

    def enqueue_unique(self, tasks: Sequence[Encoded]) -> list[str]:
        """Store tasks as `enqueue`; return the id under which each is known now.

        That is its own, or that of the one with the same unique key that was there before it.
        """
        return duplicates.ids_of(self.enqueue(tasks), tasks)

    def _enqueue_together(self, tasks: Sequence[Encoded], patience: float | EllipsisType | None = ...) -> list[bool | str]:
        try:
            return self.store.repeat(lambda: self._enqueue_once(tasks), patience=patience)
        except SerializationError:
            if len(tasks) == 1:
                raise
        return self._enqueue_apart(tasks)

    def _enqueue_apart(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        """Store tasks one by one, after a refusal of all that was because of some."""
        stored: list[bool | str] = []
        refused: dict[str, SerializationError] = {}
        for task in tasks:
            try:
                stored += self.enqueue([task])
            except SerializationError as error:
                refused[task.id] = error
            except (QueueFull, DuplicateTask) as error:
                raise duplicates.partly_stored(error, len(stored), len(tasks)) from error
        if refused:
            raise duplicates.not_taken(refused, len(tasks))
        return stored

    def enqueue_one(self, task_id: str, envelope: bytes, line: bytes = b"") -> bool:
        """Store a task that may run at once, unless its id is known, as `enqueue`; `line`: its name, see `task_names.line_of`."""
        if envelope[3] >= GATED:
            return self.enqueue([Encoded(task_id, "", "", envelope)])[0] is True
        raw_id = keys.raw(task_id)
        line = line or task_names.lines_of([envelope])[:-1]
        return self._enqueue_one[envelope[1] == ASYNC](self.results + raw_id, raw_id, line, envelope)

    def begin_enqueue(self, tasks: Sequence[Encoded]) -> Callable[[], list[bool | str]]:
        """Send tasks as `enqueue` does, and do not wait for the answer: what is returned does, and has to be called."""
        if self.store.is_hasty:
            stored = self.enqueue(tasks)
            return lambda: stored
        patience = self.store.patience
        deadline = None if patience is None else time.monotonic() + patience
        sent = self._sent(tasks)

        def end() -> list[bool | str]:
            try:
                if sent is not None:
                    return self._stored(sent.receive(), tasks)
            except SerializationError:
                pass  # as a whole; `enqueue` asks for one after the other
            except ConnectionFailed:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            return self.enqueue(tasks, patience=left)  # those whose ids are there already stay as they are

        return end

    def _sent(self, tasks: Sequence[Encoded]) -> Sent | None:
        """Return a call of the script that is on its way; None where it could not be sent."""
        script, every_key, args = self._enqueue_args(tasks)
        packed = PackedKeys(script, [keys.raw(key) for key in every_key])
        size = sum([len(part) for part in args])
        try:
            call = [packed.call((), args)] if size < LARGE else packed.parts((), args)
            return self.store.send(script, packed.keys, args, "enqueueing", call)
        except (ConnectionFailed, SerializationError):
            return None

    def _packed_enqueue(self, is_async: bool) -> PackedCall:
        own = [keys.raw(key) for key in self.script_keys.enqueue_one(is_async)]
        return PackedCall(self.store, scripts.ENQUEUE_ONE, own, "enqueueing")

    def _enqueue_once(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        script, every_key, args = self._enqueue_args(tasks)
        return self._stored(self.store.run(script, every_key, args, "enqueueing", repeatable=True), tasks)

    async def aenqueue(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        """Asyncio twin of `enqueue`."""
        if len(tasks) == 1 and _is_plain(*tasks[0]):
            task_id, envelope = keys.raw(tasks[0].id), tasks[0].envelope
            line = task_names.lines_of([envelope])[:-1]
            return [await self._enqueue_one[envelope[1] == ASYNC].acall(self.results + task_id, task_id, line, envelope)]
        return await self._aenqueue_together(tasks)

    async def aenqueue_unique(self, tasks: Sequence[Encoded]) -> list[str]:
        """Asyncio twin of `enqueue_unique`."""
        return duplicates.ids_of(await self.aenqueue(tasks), tasks)

    async def _aenqueue_together(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        script, every_key, args = self._enqueue_args(tasks)
        try:
            answer = await self.store.arepeat(lambda: self.store.arun(script, every_key, args, doing="enqueueing"))
        except SerializationError:
            if len(tasks) == 1:
                raise
            return await in_thread(self._enqueue_apart, tasks)
        return self._stored(answer, tasks)

    def _stored(self, answer: Sequence[Any], tasks: Sequence[Encoded]) -> list[bool | str]:
        """Return what the script says of each task."""
        return duplicates.stored(answer, tasks)

    def _enqueue_args(self, tasks: Sequence[Encoded]) -> tuple[Script, list[str], list[Any]]:
        ids = "\n".join([task[0] for task in tasks]) + "\n"
        are_plain = {task[1:3] for task in tasks} == {("", "")}  # due at once, and never too late
        times = "" if are_plain else "".join([f"{due} {expires}\n" for _, due, expires, _ in tasks])
        envelopes = [task[3] for task in tasks]
        script = scripts.enqueueing(envelopes)
        return script, self.script_keys.enqueue(), [task_names.lines_of(envelopes), keys.raw(ids), times.encode(), *envelopes]

    # --- waiting for results -------------------------------------------------------------------------------------

    def wait(self, ids: Sequence[str], client: str) -> dict[str, int]:
        """Have the ends of tasks sent to a client's reply list, now or later; return in how many ms those expire that may."""
        every_key, args = self._wait_args(ids, client)
        return self.expiring(self.store.run(scripts.WAIT, every_key, args, doing="waiting for a result"))

    @staticmethod
    def expiring(answer: Sequence[Any]) -> dict[str, int]:
        """Return what `wait` answers: id → ms until it expires, of tasks that are still to come."""
        return {keys.text(task_id): ms for task_id, ms in zip(answer[::2], answer[1::2], strict=True)}

    def _wait_args(self, ids: Sequence[str], client: str) -> tuple[list[str], list[Any]]:
        return self.script_keys.wait(client, ids), list(ids)

    async def await_reply(self, ids: Sequence[str], client: str) -> dict[str, int]:
        """Asyncio twin of `wait`, without its patience: a loop that gets no connection asks in another way."""
        every_key, args = self._wait_args(ids, client)
        ask = partial(self.store.arun, scripts.WAIT, every_key, args, doing="waiting for a result")
        return self.expiring(await self.store.arepeat(ask, patience=AT_ONCE))

    def reply_connection(self, client: str, longest: float) -> ReplyConnection:
        """Return a connection that blocks some seconds, at most `longest`, for the next message of a client's reply list."""
        return ReplyConnection(self.store, keys.reply(self.name, client), self.script_keys.wait(client), self.results, longest)

    def replies_now(self, client: str) -> list[bytes]:
        """Return what is in a client's reply list, over the connection of any command: for want of one that can block."""
        key = keys.reply(self.name, client)
        found: list[bytes] | None = self.store.command(key, "LPOP", key, BULK, doing="waiting for a result")
        return found or []

    # --- looking at tasks ----------------------------------------------------------------------------------------

    def look(self, task_id: str) -> Looked:
        """Return what is known of a task; one that waits past its expiry is ended first, as no worker may be there to."""
        for _ in range(LOOKS):
            ask = partial(self.store.run, scripts.LOOK, self.script_keys.look(task_id), [task_id], doing=LOOKING)
            found = self.store.repeat(ask)
            looked = self._looked(found)
            if not found[6] or not self.expire([(task_id, looked.history.need)]):
                break
        return looked

    async def alook(self, task_id: str) -> Looked:
        """Asyncio twin of `look`, without its patience: see `await_reply`."""
        ask = partial(self.store.arun, scripts.LOOK, self.script_keys.look(task_id), [task_id], doing=LOOKING)
        found = await self.store.arepeat(ask, patience=AT_ONCE)
        return await in_thread(self.look, task_id) if found[6] else self._looked(found)

    def _looked(self, found: list[Any]) -> Looked:
        where, record, history, detail, envelope, progress = found[:6]
        return Looked(where.decode(), record, decode_history(history), float(detail), envelope, json_object(progress))

    def unique_holder(self, envelope: bytes) -> str:
        """Return the id of the task that has the unique key of a call; "" where none has it, or the call has none."""
        unique_key, own = duplicates.key_of(envelope), keys.unique(self.name)
        if unique_key is None:
            return ""
        found = self.store.repeat(lambda: self.store.command(own, "HGET", own, unique_key))
        return keys.text(found or b"").partition("\n")[0].partition(" ")[2]


def _is_plain(_: str, due: str, expires: str, envelope: bytes) -> bool:
    """Tell whether `enqueue_one` takes a task."""
    return not (due or expires or envelope[3] >= GATED)
