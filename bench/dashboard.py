"""What pages of the dashboard cost where there is a lot: 1,000 queues, 500 workers, a million tasks.

``python -m bench.dashboard`` starts a server of its own, fills it, and says of each page how long it took, how many trips to
Redis and how many commands it was, and how large it is: first by a dashboard that has just been started and has read nothing
(cold), then with nothing that is fresh, then as the second viewer sees it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

import hotqueue.web
from hotqueue import HotQueue, keys
from hotqueue.store import pipeline
from hotqueue.store.exchange import Exchange
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.broker.statistics import field_of
from hotqueue.tasks.rules.tally import Tally
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer

PAGES = (
    *("/", "/?span=month", "/queues", "/queues?page=9&sort=name", "/queues/{queue}", "/workers", "/workers/{program}"),
    *("/names", "/names/one?queue={queue}&task=shop.price", "/new?queue={queue}", "/new"),
    *("/api/info", "/api/queues?page=9", "/api/tasks?f=state:waiting", "/api/workers", "/api/stats"),
)


def fill(url: str, queues: int, workers: int, tasks: int, places: int) -> list[str]:
    """Fill a store; return the names of its queues.

    Args:
        places: at how many queues each worker works.
    """
    names = [f"tenant-{n:04}" for n in range(queues)]
    made = [HotQueue(name, url=url) for name in names]
    each = tasks // queues
    for queue in made:
        price = task_by_name(queue, "shop.price")
        with queue.batch():
            for n in range(each):
                price.delay(n)
    store = made[0]._store
    for n in range(workers):
        for k in range(places):
            queue = names[(n * places + k) % queues]
            session = Session(Broker(store, queue), f"worker-{n}", "s")
            about = {"host": f"host-{n // 8}", "pid": str(1000 + n), "name": f"web-{n // 8}", "supervisor": f"boss-{n // 8}"}
            session.register(3_600_000, about)
            if k == 0:
                session.step(room=2)
    for queue in made[1:]:
        queue.close()
    return names


def count(url: str, names: Sequence[str]) -> None:
    """Have the statistics of each queue say that it was busy in each minute, hour and day."""
    client, rng, now = HotQueue("filled", url=url)._store.client(), random.Random(1), int(time.time())
    rows = {step: [_tally(rng, number) for _ in range(50)] for step, number in ((60, 20), (3600, 500), (86400, 2000))}
    for name in names:
        fields: dict[Any, Any] = {"task names": "shop.price", "version": 1}
        for step, spans in ((60, 120), (3600, 48), (86400, 31)):
            for span in range(now // step - spans + 1, now // step + 1):
                row = rng.choice(rows[step]).encode(span)
                fields |= {field_of(step, number, span): row for number in (0, 1)}
        client.hset(keys.statistics(name), mapping=fields)


def _tally(rng: random.Random, number: int) -> Tally:
    tally = Tally({"enqueued": number, "started": number, "succeeded": number - number // 20, "failed": number // 20})
    tally.ran(rng.lognormvariate(-3, 1) for _ in range(number))
    tally.waited(rng.lognormvariate(-4, 1.5) for _ in range(number))
    tally.attempts[1] = number
    return tally


class Counted:
    """How many trips were made to the server, in this process."""

    def __init__(self) -> None:
        self.trips = 0
        ask, exchange = Exchange.ask, pipeline._exchange

        def asked(exchange_: Exchange, *args: Any, **options: Any) -> Any:
            self.trips += 1
            return ask(exchange_, *args, **options)

        def exchanged(*args: Any, **options: Any) -> Any:
            self.trips += 1
            return exchange(*args, **options)

        Exchange.ask = asked  # type: ignore[method-assign]
        pipeline._exchange = exchanged


class Cost:
    """What something costs: time, CPU seconds here and of the server, trips, commands."""

    def __init__(self, client: Any, counted: Counted) -> None:
        self._client, self._counted = client, counted

    def now(self) -> tuple[float, ...]:
        """Return how much it was so far."""
        info = self._client.info()
        of_server = info["used_cpu_user"] + info["used_cpu_sys"]
        return time.monotonic(), time.process_time(), of_server, self._counted.trips, info["total_commands_processed"]

    def of(self, do: Callable[[], Any]) -> tuple[float, ...]:
        """Return what it costs to do something."""
        before = self.now()
        at = time.monotonic(), time.process_time()
        do()
        seconds = time.monotonic() - at[0], time.process_time() - at[1]
        after = self.now()
        return *seconds, *(after[n] - before[n] for n in (2, 3)), after[4] - before[4] - 1


def main() -> None:
    """Fill a store and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--places", type=int, default=20, help="queues at which each worker works")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis")
        try:
            began = time.monotonic()
            names = fill(server.url, given.queues, given.workers, given.tasks, given.places)
            what = f"{given.queues:,} queues, {given.workers:,} workers, {given.tasks:,} tasks"
            count(server.url, names)
            print(f"{what}: filled in {time.monotonic() - began:.0f} s")
            measure(server.url, names)
        finally:
            server.stop()


def asking(url: str) -> TestClient:
    """Return what asks a dashboard that has been started just now."""
    app = hotqueue.web.app(url)
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), headers={"accept-encoding": "identity"})


def _get(asked: TestClient, address: str) -> None:
    asked.get(address).raise_for_status()


def _let_end() -> None:
    """Wait until nothing goes on in the background: it is not the next one's."""
    time.sleep(0.5)
    for thread in threading.enumerate():
        if thread.name in ("hotqueue-history", "hotqueue-listing"):
            thread.join()


def measure(url: str, names: Sequence[str]) -> None:
    """Say what each page costs: the median of five."""
    counted = Counted()
    watched = HotQueue("watched", url=url)
    cost = Cost(watched._store.client(), counted)
    first_heads = f"{'cold':>8} {'CPU here':>9} {'of Redis':>9} {'trips':>6}"
    print(f"{'page':42} {first_heads} {'later':>8} {'CPU here':>9} {'trips':>6} {'commands':>9} {'second':>9} {'KB':>5}")
    asked = asking(url)
    asked.get("/")  # imports
    for path in PAGES:
        address = path.format(queue=names[0], program="boss-0")
        colds, firsts, others = [], [], []
        for _ in range(5):
            colds.append(cost.of(partial(_get, asking(url), address)))
            _let_end()
        for _ in range(5):
            time.sleep(3.1)  # until nothing that was read is fresh
            firsts.append(cost.of(partial(_get, asked, address)))
            others.append(cost.of(partial(_get, asked, address)))
        cold, first = ([statistics.median(column) for column in zip(*costs, strict=True)] for costs in (colds, firsts))
        second = statistics.median(each[0] for each in others)
        times = f"{1000 * cold[0]:5.0f} ms {1000 * cold[1]:6.0f} ms {1000 * cold[2]:6.0f} ms {cold[3]:6.0f}"
        later = f"{1000 * first[0]:5.0f} ms {1000 * first[1]:6.0f} ms {first[3]:6.0f} {first[4]:9.0f}"
        size = len(asked.get(address).content) / 1024
        print(f"{path:42} {times} {later} {1000 * second:6.0f} ms {size:5.0f}", flush=True)
    watched.close()


if __name__ == "__main__":
    main()
