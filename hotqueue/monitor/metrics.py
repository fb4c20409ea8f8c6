"""Metrics: what queues hold and what happened there, as Prometheus and OpenMetrics have it. Read anew for each scrape.

Needs the extra ``hotqueue[metrics]``. No task is named by its id, so that there are as many series as queues and names of tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hotqueue import __version__, keys
from hotqueue.errors import ConfigError
from hotqueue.monitor import crowd, each_statistics, finding, inventory, many_statistics, statistics
from hotqueue.monitor.crowd import Glance
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.statistics import Statistics

STATES = ("ready", "blocked", "scheduled", "steps", "parked", "running", "dead")  # of tasks; each is in one of them
GAUGES = {
    "hotqueue_tasks": "Tasks by how they are: ready, blocked at a gate, scheduled, steps behind others, parked, running, dead.",
    "hotqueue_suspects": "Ready tasks that wait for a quarantine process, as a process died with them.",
    "hotqueue_messages": "Raw messages that wait, of queue.put.",
    "hotqueue_workers": "Workers of the queue: one for each thread and event loop.",
    "hotqueue_paused": "1 while the queue is paused.",
    "hotqueue_oldest_task_seconds": "For how long the oldest task waits that could run at once; 0 where none does.",
}
_WERE = {"succeeded": "", "failed": ""}
COUNTERS = {
    f"hotqueue_tasks_{what}": f"Tasks that {_WERE.get(what, 'were ')}{what}, since there are statistics of that name."
    for what in statistics.COUNTS
}
HISTOGRAMS = {
    "hotqueue_process_duration_seconds": "How long runs of tasks took.",
    "hotqueue_wait_duration_seconds": "How long tasks waited, from when they were due until they were started.",
}
BOUNDS = [2.0**n / 1_000_000 for n in range(8, 34, 2)]  # upper ones of buckets, at which ours end as well


class _QueueCollector(Collector):
    """The metrics of some queues of one store.

    Args:
        names: of the queues.
    """

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self._store = store
        self._names = names

    def describe(self) -> Iterable[Metric]:
        """Return nothing: a registry need not ask the server who we are."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what there is.

        Raises:
            ConnectionFailed: the server is away.
            ConfigError: a queue cannot be read.
        """
        build = {"version": __version__, "server": inventory.server_version(self._store)}
        yield InfoMetricFamily("hotqueue_build", "Versions of hotqueue, and of the server.", value=build)
        labels = {name: ("queue", "state") if name == "hotqueue_tasks" else ("queue",) for name in GAUGES}
        gauges = {name: GaugeMetricFamily(name, text, labels=labels[name]) for name, text in GAUGES.items()}
        self._end_expired()
        found = crowd.look(self._store, self._names)
        for glance in found:
            if glance.facts.refused:
                raise ConfigError(glance.facts.refused)
            gauges["hotqueue_messages"].add_metric([glance.facts.name], glance.facts.messages)
        self._add_tasks(gauges, [glance for glance in found if not glance.facts.is_newer])  # of whose tasks we know nothing
        yield from gauges.values()
        yield from _told(self._store, self._names)
        yield _memory(self._store)

    def _end_expired(self) -> None:
        """End what has expired, where no worker does: else it would count as waiting for good."""
        now = int(1000 * Statistics(self._store, self._names[0]).now()) if self._names else 0
        asked = [("ZCOUNT", keys.expiring(name), "-inf", now) for name in self._names]
        counts = crowd.ask(self._store, asked, "looking for tasks that have expired")
        some = [name for name, count in zip(self._names, counts, strict=True) if not isinstance(count, Exception) and count]
        for _ in finding.each(some, lambda name: Broker(self._store, name).expire_all(), []):  # whoever may only read counts them
            pass

    def _add_tasks(self, gauges: dict[str, GaugeMetricFamily], found: Sequence[Glance]) -> None:
        waiting = [glance.facts.name for glance in found if glance.facts.waiting]
        oldest = many_statistics.oldest(self._store, waiting, of_each_priority=True)
        workers = self._workers(found)
        for queue in (glance.facts for glance in found):
            for state in STATES:
                gauges["hotqueue_tasks"].add_metric([queue.name, state], getattr(queue, state))
            gauges["hotqueue_oldest_task_seconds"].add_metric([queue.name], oldest.get(queue.name, 0.0))
            gauges["hotqueue_suspects"].add_metric([queue.name], queue.suspects)
            gauges["hotqueue_workers"].add_metric([queue.name], workers[queue.name])
            gauges["hotqueue_paused"].add_metric([queue.name], int(queue.is_paused))

    def _workers(self, found: Sequence[Glance]) -> dict[str, int]:
        """Return how many live workers each queue has: what one says of itself goes soon after it, its registration may stay."""
        pairs = [(each.facts.name, name) for each in found for name, _ in crowd.registered_in(each.registered)]
        asked = [("EXISTS", keys.worker(queue, keys.text(name))) for queue, name in pairs]
        live = {each.facts.name: 0 for each in found}
        for (queue, _), reply in zip(pairs, crowd.ask(self._store, asked, "asking who works where"), strict=True):
            if isinstance(reply, Exception):
                raise reply
            live[queue] += int(reply)
        return live


def _told(store: Store, names: Sequence[str]) -> Iterator[Metric]:
    """Yield what happened to tasks, by queue and name, as far as there are statistics."""
    labels = ("queue", "task")
    counters = {what: CounterMetricFamily(name, text, labels=labels) for what, (name, text) in _by_count().items()}
    run, wait = (HistogramMetricFamily(name, text, labels=labels) for name, text in HISTOGRAMS.items())
    for series in each_statistics.ever(store, names):
        label, total = [series.queue, series.task], series.total
        for what, counter in counters.items():
            counter.add_metric(label, total.counts[what])
        for family, histogram in ((run, total.run), (wait, total.wait)):
            family.add_metric(label, _buckets(histogram), histogram.total)
    yield from (*counters.values(), run, wait)


def _by_count() -> dict[str, tuple[str, str]]:
    return dict(zip(statistics.COUNTS, COUNTERS.items(), strict=True))


def _buckets(histogram: statistics.Histogram) -> list[tuple[str, float]]:
    """Return how many values are in each bucket or below, with its upper bound as text."""
    found = [(str(bound), sum(n for upper, n in histogram.buckets if upper <= bound * 1.0001)) for bound in BOUNDS]
    return [*found, ("+Inf", histogram.count)]


def _memory(store: Store) -> Metric:
    found = GaugeMetricFamily(
        "hotqueue_server_memory_bytes", "What the server takes, of which it may take at most max.", labels=["kind"]
    )
    reply = store.command(keys.PREFIX, "INFO", "memory", doing="asking the server for its memory").decode()
    said = dict(line.split(":", 1) for line in reply.splitlines() if ":" in line)
    for kind, field in (("used", "used_memory"), ("max", "maxmemory")):
        found.add_metric([kind], int(said.get(field, 0)))
    return found


def text(store: Store, names: Sequence[str], accept: str = "") -> tuple[bytes, str]:
    """Return what is to be answered to a scrape, and its content type.

    Args:
        accept: the header of that name: whoever asks for OpenMetrics gets that.
    """
    registry = CollectorRegistry()
    registry.register(_QueueCollector(store, names))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
