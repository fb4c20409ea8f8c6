"""Metrics: what the queues of a store hold, as Prometheus and OpenMetrics have it. Read anew for each scrape; nothing is kept.

Needs the extra ``hotqueue[metrics]``. No task is named by its id, so that there are as many series as queues and names of tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hotqueue import __version__, keys
from hotqueue.errors import NewerQueue
from hotqueue.monitor import inventory
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker

STATES = ("ready", "blocked", "scheduled", "steps", "parked", "running", "dead")  # of tasks; each is in one of them
GAUGES = {
    "hotqueue_tasks": "Tasks by how they are: ready, blocked at a gate, scheduled, steps behind others, parked, running, dead.",
    "hotqueue_suspects": "Ready tasks that wait for a quarantine process, as a process died with them.",
    "hotqueue_messages": "Raw messages that wait, of queue.put.",
    "hotqueue_workers": "Workers of the queue: one for each thread and event loop.",
    "hotqueue_paused": "1 while the queue is paused.",
}


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
        """
        build = {"version": __version__, "server": inventory.server_version(self._store)}
        yield InfoMetricFamily("hotqueue_build", "Versions of hotqueue, and of the server.", value=build)
        labels = {name: ("queue", "state") if name == "hotqueue_tasks" else ("queue",) for name in GAUGES}
        gauges = {name: GaugeMetricFamily(name, text, labels=labels[name]) for name, text in GAUGES.items()}
        for name in self._names:
            gauges["hotqueue_messages"].add_metric([name], inventory.messages(self._store, name))
            with suppress(NewerQueue):  # of whose tasks this version knows nothing
                self._add_tasks(gauges, name)
        yield from gauges.values()
        yield _memory(self._store)

    def _add_tasks(self, gauges: dict[str, GaugeMetricFamily], name: str) -> None:
        broker = Broker(self._store, name)
        counts = broker.counts()
        counts["running"] = max(0, counts["unfinished"] - counts["waiting"])
        workers = len(broker.workers())
        is_paused = broker.is_paused()
        for state in STATES:
            gauges["hotqueue_tasks"].add_metric([name, state], counts[state])
        gauges["hotqueue_suspects"].add_metric([name], counts["suspects"])
        gauges["hotqueue_workers"].add_metric([name], workers)
        gauges["hotqueue_paused"].add_metric([name], int(is_paused))


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
