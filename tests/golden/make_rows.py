"""Writes what stands in Redis of unfinished tasks: a queue with a row of every form that the version on the path has.

    python tests/golden/make_rows.py FILE

Run with the hotqueue of that schema, whose own operations it calls; see README.md. What it makes: tasks that wait, are
scheduled, parked, suspected, limited, large, may expire, at gates of every kind, the only ones of theirs, paused; held in
every way by workers that are gone, with gaps, revoked, with an outcome that comes apart; histories of every form; results,
waiters, owners, the dead; what goes to another queue, and what came from one; schedules.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hotqueue import HotQueue, Reject, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.broker.posting import NEW
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.rules.history import LOST
from hotqueue.tasks.wire.outgoing import Outgoing, packed
from hotqueue.tasks.wire.settlement import Settlement

NAME = "golden"
TARGET, SOURCE = "golden-target", "golden-source"  # queues that it sends to, and that send to it
DAY = 86_400_000  # ms
GATED = {"max_concurrency": 2, "concurrency_key": "c", "rate_limit": "1000/s", "rate_limit_key": "r", "fair_key": "f-{value}"}
ECHO = "golden.echo"
SCHEDULES: dict[str, tuple[Any, ...]] = {
    "cron": ("30 4 1 1 *", ECHO, ("by cron",), {"tz": "Europe/Paris", "misfire": "all", "jitter": 5}),
    "seconds": (
        9e6,
        ECHO,
        ("each",),
        {"overlap": "skip", "misfire": "skip", "priority": 3, "until": datetime(2999, 1, 1, tzinfo=UTC)},
    ),
    "paused": ("@yearly", ECHO, ("not yet",), {"retries": 2}),
}


def echo(value: Any) -> Any:
    """Return a value."""
    return value


async def aecho(value: Any) -> Any:
    """Return a value."""
    return value


def refuse(why: str) -> None:
    """Go to the dead list."""
    raise Reject(why)


def define(queue: HotQueue) -> dict[str, Any]:
    """Return the tasks of the queue, by what they do; they go by name."""
    made = {
        "echo": queue.task(name="golden.echo")(echo),
        "aecho": queue.task(name="golden.aecho")(aecho),
        "quiet": queue.task(name="golden.quiet", ignore_result=True)(echo),
        "limited": queue.task(name="golden.limited", max_concurrency=2)(echo),
        "refuse": queue.task(name="golden.refuse")(refuse),
        "gated": queue.task(name="golden.gated", **GATED)(echo),
        "agated": queue.task(name="golden.agated", **GATED)(aecho),
        "rated": queue.task(name="golden.rated", rate_limit="2/s", rate_limit_key="r-{value}")(echo),
        "fair": queue.task(name="golden.fair", fair_key="f-{value}")(echo),
        "once": queue.task(name="golden.once", unique="u-{value}")(echo),
        "newest": queue.task(name="golden.newest", unique=True, unique_for=9e6, on_conflict="replace")(echo),
        "begun": queue.task(name="golden.begun", unique="b-{value}", unique_until="started")(echo),
        "unlike": queue.task(name="golden.unlike", unique="d-{why}")(refuse),
        "paused": queue.task(name="golden.paused")(echo),
    }
    for task in made.values():
        definition_of(task).by_value = False
    return made


class Maker:
    """Makes the rows of a queue.

    Attributes:
        ids: the tasks, by what became of them.
    """

    def __init__(self, queue: HotQueue, broker: Broker) -> None:
        self.queue, self.broker = queue, broker
        self.tasks = define(queue)
        self.ids: dict[str, str] = {}

    def send(self, *names: str, task: str = "echo", **options: Any) -> list[str]:
        """Send a task for each name; return their ids."""
        for name in names:
            self.ids[name] = self.tasks[task].apply_async((name,), **options).id
        return [self.ids[name] for name in names]

    def held(self, worker: str, *names: str, task: str = "echo", kind: str = "s", **options: Any) -> Session:
        """Have a worker fetch tasks that are sent for it; return its session."""
        self.send(*names, task=task, **options)
        session = Session(self.broker, worker, kind)
        session.register(DAY, {"host": "gone", "folder": "/gone", "kind": kind})
        assert len(session.step(len(names)).deliveries) == len(names), names
        return session

    def ended(self) -> None:
        """Tasks that have ended, in every way."""
        self.send("value")
        self.send("quiet", task="quiet")
        self.send("dead", "dead too", task="refuse")
        self.send("dead and unique", task="unlike")
        self.queue.run_worker(burst=True)
        self.broker.report(self.ids["value"], {"done": 1, "total": 2})

    def tried(self) -> None:
        """Tasks to which something has happened."""
        line = '{"at":1,"kind":"lost","error":"gone"}'
        self.held("w1", "suspected alone")
        self.broker.reap("w1", known_dead=True, charge=Charge(line, [self.ids["suspected alone"]]))
        self.held("w2", "lost with its host")
        self.broker.reap("w2", known_dead=True, charge=Charge(line, [self.ids["lost with its host"]], LOST))
        lost = Session(self.broker, "w3", "s")
        lost.register(DAY, {"host": "gone"})
        assert len(lost.step(1).deliveries) == 1
        lost.settle([(self.ids["lost with its host"], 1, "K", b"", 0, "task:golden.quiet")])  # parked: out of the way
        several = [f"suspected with others {n}" for n in range(3)]
        for worker in ("w4", "w5"):
            if worker == "w4":
                self.held(worker, *several)
            else:
                again = Session(self.broker, worker, "s")
                again.register(DAY, {"host": "gone"})
                assert len(again.step(3).deliveries) == 3
            self.broker.reap(worker, known_dead=True, charge=Charge(line, [self.ids[name] for name in several], ran=8))
        retried = self.held("w6", "retried later", "retried at once", "parked")
        failed = '1 0 - - -\n{"at":1,"kind":"retry","error":"OSError: not yet"}'
        retried.settle(
            [(self.ids["retried later"], 1, "R", b"", 200, failed), (self.ids["parked"], 1, "K", b"", 0, "task:golden.aecho")]
        )
        self.broker.reap("w6", known_dead=True)

    def in_hand(self) -> None:
        """Tasks that workers hold, in every form."""
        self.broker.pause()  # what lies in `ready` is not to be fetched by these
        ready = taken_aside(self.broker)
        self.broker.resume()
        names = [f"held {n}" for n in range(8)]
        session = self.held("gone", *names)
        ids = [self.ids[name] for name in names]
        session.settle([(ids[0], 1, "X", b"", 0, "")])  # from the front
        session.settle([(ids[2], 1, "P", b"", 0, "")])  # a gap
        session.settle([(ids[3], 1, "L", b"", 0, "")])  # comes apart
        self.ids["held and ended"] = self.ids.pop("held 0")
        self.queue.result(ids[5]).revoke(terminate=True)
        self.ids["held and revoked"] = self.ids.pop("held 5")
        self.broker.wait([ids[4]], "client")
        ready += taken_aside(self.broker)
        self.held("gone too", "async held", "async held too", task="aecho", kind="a")
        self.held("of a lane", "limited and held", task="limited")
        many = self.held("of many", *(f"one of many {n}" for n in range(120)))  # more than one record
        many.settle([(self.ids["one of many 119"], "1:1", "P", b"", 0, "")])
        put_back(self.broker, ready)

    def owning(self) -> None:
        """Results that are owned, in every form."""
        owner, *_ = self.send("owner", "owned")
        assert self.broker.own(owner, [self.ids["value"], self.ids["owned"]])[1]
        ended, *_ = self.send("owner that ended")
        assert self.broker.own(ended, [f"unknown {n}" for n in range(250)], must_exist=False)[1]
        self.queue.result(ended).revoke()  # more than it lets go of at once
        with aside(self.broker):
            late = self.held("w7", "owned and without", task="quiet")
            assert self.broker.own(owner, [self.ids["owned and without"]], part=1)[1]
            late.settle([(self.ids["owned and without"], 1, "X", b"", 0, "")])
            self.broker.reap("w7", known_dead=True)

    def sent_on(self) -> None:
        """Tasks that go to another queue, and some that came from one, of which that does not know yet."""
        for name, source, target in (("posted", NAME, TARGET), ("received", SOURCE, NAME)):
            broker = Broker(self.broker.store, source)
            definition, some = definition_of(self.tasks["echo"]), []
            for n, (due, expires) in enumerate((("", ""), ("+200", ""), ("", "+900000000000"))):
                task_id = self.ids[f"{name} {n}"] = f"{name}-{n}"
                call = definition.encode(task_id, (f"{name} {n}",), {}, definition.options, target)
                some.append(Outgoing(target, task_id, due, expires, call))
            self.post(broker, some)
            if source == SOURCE:
                _, read = broker.posted(NAME)
                assert self.broker.receive(SOURCE, read)[0] == [NEW] * 3

    def post(self, broker: Broker, some: list[Outgoing]) -> None:
        """End a task of a queue that sends these."""
        with aside(broker):
            quiet = definition_of(self.tasks["quiet"])
            assert broker.enqueue_one("sender", quiet.encode("sender", (1,), {}, quiet.options, broker.name))
            session = Session(broker, "w8", "s")
            session.register(DAY, {"host": "gone"})
            assert len(session.step(1).deliveries) == 1
            assert session.settle([Settlement("sender", "*", "X", b"", 0, packed(some))]).gone == []
            broker.reap("w8", known_dead=True)

    def waiting(self) -> None:
        """Tasks that wait."""
        self.send("waits", priority=7)
        self.send("async waits", task="aecho")
        self.send("may expire", expires=9e8)
        self.send("scheduled", countdown=0.3)
        self.send("limited 1", "limited 2", "limited 3", task="limited")
        self.ids["large"] = self.tasks["echo"].delay("x" * 20_000).id

    def at_gates(self) -> None:
        """Tasks with gates of every kind, that wait at them and have slots of them."""
        with aside(self.broker):
            self.held("w9", "gated and held", task="gated")
            self.held("w10", "gated, async and held", task="agated", kind="a")
            self.send(*(f"gated {n}" for n in range(4)), task="gated")
            self.send("gated and async", task="agated")
        with aside(self.broker):
            for n in range(3):  # the third waits for the rate
                self.ids[f"rated {n}"] = self.tasks["rated"].delay("one").id
            started = Session(self.broker, "w11", "s")
            started.register(DAY, {"host": "gone"})
            assert [len(started.step(1).deliveries) for _ in range(2)] == [1, 1]
        with aside(self.broker):
            for n in range(3):
                self.ids[f"fair {n}"] = self.tasks["fair"].apply_async(("one",), priority=n % 2).id
        self.queue.pause(key="c")

    def only_ones(self) -> None:
        """Unique tasks, and what waits behind them."""
        with aside(self.broker):
            self.held("w12", "newest and held", task="newest")
            self.ids["newest behind"] = self.tasks["newest"].delay("newest and held").id
        with aside(self.broker):
            self.held("w13", "begun", task="begun")
        self.send("once", task="once")
        self.send("once, later", task="once", countdown=0.2)

    def set_aside(self) -> None:
        """Tasks of a name that is paused."""
        with aside(self.broker):
            self.send("paused", "paused too", task="paused")
            self.queue.pause(task="golden.paused")
            looking = Session(self.broker, "w14", "s")
            looking.register(DAY, {"host": "gone"})
            assert looking.step(2).deliveries == []

    def scheduled(self) -> None:
        """Schedules of every form, one paused."""
        for name, (when, task, args, options) in SCHEDULES.items():
            self.queue.schedule(name, when, task, args, **options)
        next(each for each in self.queue.schedules() if each.name == "paused").pause()


def taken_aside(broker: Broker) -> list[bytes]:
    """Take what is ready out of the way; return it."""
    key, ask = keys.ready(broker.name), broker.store.command
    found: list[bytes] = ask(key, "ZRANGE", key, 0, -1, "WITHSCORES")
    ask(key, "DEL", key)
    return found


def put_back(broker: Broker, ready: list[bytes]) -> None:
    """Put it back."""
    pairs = [part for member, score in zip(ready[::2], ready[1::2], strict=True) for part in (score, member)]
    if pairs:
        broker.store.command(keys.ready(broker.name), "ZADD", keys.ready(broker.name), *pairs)


@contextmanager
def aside(broker: Broker) -> Iterator[None]:
    """Have nothing be ready but what comes meanwhile."""
    ready = taken_aside(broker)
    yield
    put_back(broker, ready)


READ: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda ask, key: ask(key, "GET", key),
    b"list": lambda ask, key: ask(key, "LRANGE", key, 0, -1),
    b"set": lambda ask, key: sorted(ask(key, "SMEMBERS", key)),
    b"hash": lambda ask, key: ask(key, "HGETALL", key),
    b"zset": lambda ask, key: ask(key, "ZRANGE", key, 0, -1, "WITHSCORES"),
}


def main(file: Path) -> None:
    """Write the file: ids by what became of the tasks, and all keys, each with its type and value."""
    with tempfile.TemporaryDirectory() as place, HotQueue(NAME, dbfilename=f"{place}/q.rdb") as queue:
        broker = Broker(queue._store, NAME)  # type: ignore[attr-defined]
        maker = Maker(queue, broker)
        flow = maker.only_ones, maker.at_gates, maker.set_aside
        for part in (maker.ended, maker.tried, maker.in_hand, *flow, maker.waiting, maker.owning, maker.sent_on, maker.scheduled):
            part()
        ask = broker.store.command
        found = {key: bytes(ask(key, "TYPE", key)) for key in sorted(ask(queue.key, "KEYS", "*hotqueue:*"))}
        rows = {key: (kind, READ[kind](ask, key)) for key, kind in found.items()}
        file.write_bytes(pickle.dumps({"ids": maker.ids, "keys": rows}, 5))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
