"""Measures a queue in which very many tasks wait: memory, what enqueueing and fetching cost, how long upkeep holds Redis up.

python -m bench.backlog [--sizes 10000,100000] [--scheduled] [--expired] [--json]

For each size a private redis-server is filled by `task.map` with calls of a task that does nothing; ten million of them take some
four gigabytes and minutes. Redis's CPU is its main thread's, as INFO says it, beside a queue in which a thousand wait, in turns.
How long an operation holds Redis up is read in its slow log, in which every command stands with the time it took; the requests
and commands of one beat of a supervisor, of one question of a user's, are counted by INFO.

- memory: of Redis, a waiting task, its keys included.
- enqueue, bulk and one at a time; fetch and finish, 100 in a trip: µs of Redis a task, and the median of the ratios to the small
  queue.
- upkeep: what a supervisor's beats do, and what people ask, one row each.
- `--scheduled`: all tasks wait for a time that is far away; then that time comes for all of them at once.
- `--expired`: all have an `expires`, and it comes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from bench import servers
from hotqueue import HotQueue
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.client.explain import explain
from hotqueue.tasks.wire.settlement import Settlement

PORTION = 100_000  # calls that are made at once: their handles take memory here
SAMPLE = 20_000  # tasks of which the cost is measured
AT_ONCE = 100  # tasks in a trip of a worker
TURNS = 3  # of each operation: what others on this machine did meanwhile is not ours
FEW, ROUNDS = 1000, 5  # tasks in the queue beside which costs are measured, and how often
LATER = 7 * 86_400  # seconds
NOTED = 100  # µs from which a command is: noting those of a script would make it longer
LOGGED = 100_000  # commands of which the slow log keeps how long they took


@dataclass
class Held:
    """How long something held Redis up.

    Attributes:
        what: was done.
        requests: how many were sent.
        commands: how many Redis carried out, those in scripts too.
        longest: ms of the longest.
        sent: KB that Redis answered.
    """

    what: str
    requests: int
    commands: int
    longest: float
    sent: float


def nothing(_n: int) -> None:
    """Do nothing: the task."""


class Backlog:
    """One queue with many tasks in it, on a server of its own."""

    def __init__(self, server: servers.Server) -> None:
        self.server = server
        self.queue = HotQueue("backlog", url=server.url)
        self.task = self.queue.task(name="nothing", ignore_result=True)(nothing)
        self.broker = Broker(self.queue._store, "backlog")
        self.audit = Audit(self.broker)
        server.client.config_set("slowlog-max-len", LOGGED)

    def fill(self, size: int, **options: Any) -> float:
        """Enqueue so many calls; return bytes of Redis a task."""
        before = self.server.memory()
        numbers = iter(range(size))
        while some := list(islice(numbers, PORTION)):
            with self.queue.batch():
                for n in some if options else ():
                    self.task.apply_async((n,), **options)
            if not options:
                self.task.map(some)
        return (self.server.memory() - before) / size

    def cpu(self) -> float:
        """Return the µs of CPU that the server's main thread has taken."""
        info = self.server.client.info("cpu")
        return 1e6 * float(info["used_cpu_user_main_thread"] + info["used_cpu_sys_main_thread"])

    def costs(self) -> dict[str, float]:
        """Return µs of Redis a task for each way of enqueueing one, and for fetching and finishing it."""
        found = {}
        for what, send in (("enqueue, bulk", self._in_bulk), ("enqueue, one at a time", self._one_by_one)):
            before = self.cpu()
            send()
            found[what] = (self.cpu() - before) / SAMPLE
        session = Session(self.broker, "bench", "s")
        session.register(600_000, {"kind": "s"})
        settled: list[Settlement] = []
        before, done = self.cpu(), 0
        while done < SAMPLE:
            stepped = session.step(AT_ONCE, settled)
            settled = [Settlement(each.id, each.number, "X", b"", 0, "") for each in stepped.deliveries]
            done += len(settled)
        found["fetch and finish"] = (self.cpu() - before) / done
        session.settle(settled)
        self.broker.reap("bench", known_dead=True)
        return found

    def _in_bulk(self) -> None:
        self.task.map(range(SAMPLE))

    def _one_by_one(self) -> None:
        for n in range(SAMPLE):
            self.task.delay(n)

    # --- how long Redis is held up -------------------------------------------------------------------------------

    def _held(self, what: str, run: Callable[[], object]) -> Held:
        client = self.server.client
        client.config_set("slowlog-log-slower-than", NOTED)
        client.slowlog_reset()
        before = client.info("stats")
        run()
        after = client.info("stats")
        client.config_set("slowlog-log-slower-than", -1)
        ours = ("SLOWLOG", "CONFIG", "INFO")
        took = [
            each["duration"] / 1000
            for each in client.slowlog_get(LOGGED)
            if not each["command"].decode(errors="replace").upper().startswith(ours)
        ]
        requests, commands, sent = (
            after[name] - before[name] - own
            for name, own in (("total_reads_processed", 1), ("total_commands_processed", 1), ("total_net_output_bytes", 0))
        )
        return Held(what, requests, commands, max(took, default=0.0), sent / 1024)

    def held_up(self, operations: dict[str, Callable[[], object]], times: int = TURNS) -> list[Held]:
        """Return how long each of some operations holds Redis up; of several times, the one that was disturbed the least."""
        found = []
        for what, run in operations.items():
            found.append(min((self._held(what, run) for _ in range(times)), key=lambda turn: turn.longest))
        return found

    def upkeep(self) -> dict[str, Callable[[], object]]:
        """Return what supervisors do at a queue again and again, and what people ask about it."""
        broker, queue = self.broker, self.queue
        last = self.task.delay(0).id
        return {
            "sweep": lambda: broker.sweep(15_000, ["bench"]),
            "audit": self.audit.portion,
            "promote": lambda: many_queues.promote([broker]),
            "expire": broker.expire_all,
            "trim": lambda: broker.trim_stats(0),
            "look at the last task": lambda: broker.look(last),
            "why it waits": lambda: explain(broker, last),
            "pending()": queue.pending,
            "running()": queue.running,
            "workers()": queue.workers,
            "dead()": lambda: list(queue.dead()),
            "revoke the last task": lambda: queue.result(last).revoke(),
        }

    def trouble(self, scheduled: bool, expired: bool) -> dict[str, Callable[[], object]]:
        """Return beats in which there is very much to do; each brings about what the next one finds."""
        client, key = self.server.client, "{hotqueue:backlog}:"
        later = time.monotonic() + 60
        if scheduled:
            client.zunionstore(key + "scheduled", {key + "scheduled": 0.001})
            return {"a beat, when all are due": lambda: many_queues.promote([self.broker], later)}
        if expired:
            self.fill(PORTION, expires=LATER)  # of a small queue all have been fetched by now
            client.zunionstore(key + "expiring", {key + "expiring": 0.001})
            self._age()
            return {
                "a beat, when all have expired": self.broker.expire_all,
                "pending(), when all have": self.queue.pending,
            }
        client.zpopmax(key + "ready")  # as only somebody else at our keys does
        return {"a beat's audit, one is lost": self.audit.portion}

    def _age(self) -> None:
        """Have the `expires` of all tasks be long ago, which the script looks at too."""
        client, key, cursor = self.server.client, "{hotqueue:backlog}:attempts", 0
        while True:
            cursor, found = client.hscan(key, cursor, count=10_000)
            if found:
                client.hset(key, mapping=dict.fromkeys(found, b"0 0 - 1000000000000 -"))
            if cursor == 0:
                return


def compared(small: Backlog, large: Backlog) -> dict[str, dict[str, float]]:
    """Return what a task costs in a large queue, and the median of the ratios to what it costs in a small one."""
    rounds = []
    for n in range(ROUNDS + 1):
        first, second = (small, large) if n % 2 else (large, small)
        costs = {first: first.costs(), second: second.costs()}
        rounds.append((costs[small], costs[large]))
    del rounds[0]  # in it, scripts are loaded
    return {
        what: {"µs": median(its[what] for _, its in rounds), "ratio": median(its[what] / few[what] for few, its in rounds)}
        for what in rounds[0][0]
    }


def measure(size: int, scheduled: bool, expired: bool) -> dict[str, Any]:
    """Return everything about a queue of one size."""
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.run("redis-server", Path(folder) / "small") as beside,
        servers.run("redis-server", Path(folder) / "large") as server,
    ):
        small, backlog = Backlog(beside), Backlog(server)
        small.fill(FEW)
        began = time.monotonic()
        options = {**({"countdown": LATER} if scheduled else {}), **({"expires": LATER} if expired else {})}
        found: dict[str, Any] = {"size": size, "server": server.version, "bytes a task": backlog.fill(size, **options)}
        found["seconds to fill"] = time.monotonic() - began
        found["costs"] = compared(small, backlog)
        backlog.held_up(backlog.upkeep())  # loads the scripts
        held = backlog.held_up(backlog.upkeep())
        held += backlog.held_up(backlog.trouble(scheduled, expired), times=1)
        found["held up"] = [asdict(each) for each in held]
        return found


def shown(found: dict[str, Any]) -> Iterator[str]:
    """Yield lines for people."""
    yield f"{found['size']:,} waiting tasks, {found['server']}: {found['bytes a task']:.0f} bytes of Redis each"
    for what, cost in found["costs"].items():
        yield f"  {what:30} {cost['µs']:8.2f} µs of Redis a task, {cost['ratio']:.2f} × as in a small queue"
    yield f"  {'':30} {'requests':>8} {'commands':>9} {'longest ms':>11} {'KB back':>10}"
    for each in found["held up"]:
        longest = max(each["longest"], NOTED / 1000)
        yield f"  {each['what']:30} {each['requests']:8} {each['commands']:9} {longest:11.1f} {each['sent']:10.1f}"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.backlog", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="10000,100000", help="how many tasks wait, one measurement each")
    parser.add_argument("--scheduled", action="store_true", help="for a time far away, which then comes for all at once")
    parser.add_argument("--expired", action="store_true", help="each with an expires")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for size in map(int, given.sizes.split(",")):
        found = measure(size, given.scheduled, given.expired)
        print(json.dumps(found) if given.json else "\n".join(shown(found)), flush=True)


if __name__ == "__main__":
    main()
