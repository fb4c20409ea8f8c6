"""Metrics as Prometheus reads them: each gauge says what its queue holds, and the text is parsed as what it claims to be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys

pytest.importorskip("prometheus_client")

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.monitor import metrics
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.elsewhere import task_by_name
from tests.support.servers import free_port
from tests.support.trips import counted_trips
from tests.support.waiting import wait_until


def scraped(queue: HotQueue, *names: str) -> dict[tuple[str, ...], float]:
    """Return samples by their names and the values of their labels."""
    body, content_type = metrics.text(queue._store, names or [queue.name])
    assert content_type.startswith("text/plain; version=")
    return {(s.name, *s.labels.values()): s.value for family in parse(body.decode()) for s in family.samples}


def test_each_state_is_counted(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()

    @queue.task
    def nothing() -> None: ...

    nothing.delay()
    nothing.delay()
    nothing.apply_async(countdown=3600)
    queue.put("a message")
    found = scraped(queue)
    of = {state: found["hotqueue_tasks", queue.name, state] for state in metrics.STATES}
    assert of == dict.fromkeys(metrics.STATES, 0) | {"ready": 2, "scheduled": 1}
    assert found["hotqueue_messages", queue.name] == 1
    assert found["hotqueue_workers", queue.name] == 0
    assert found["hotqueue_paused", queue.name] == 0
    queue.pause()
    assert scraped(queue)["hotqueue_paused", queue.name] == 1
    queue.resume()
    queue.purge()
    queue.clear()


def test_what_ends_badly_is_dead_and_a_queue_of_nothing_is_none(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    empty = f"{queue.name}-empty"

    @queue.task
    def fail() -> None:
        raise ValueError

    fail.delay()
    queue.run_worker(burst=True)
    found = scraped(queue, queue.name, empty)
    assert found["hotqueue_tasks", queue.name, "dead"] == 1
    assert {value for (name, *labels), value in found.items() if empty in labels} == {0}
    assert found["hotqueue_server_memory_bytes", "used"] > 0
    queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_what_happened_is_counted_by_name(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    queue.task(name="shop.one")(print).map(range(3))
    waiting = scraped(queue)
    assert waiting["hotqueue_oldest_task_seconds", queue.name] > 0
    assert waiting["hotqueue_tasks_enqueued_total", queue.name, "shop.one"] == 3
    queue.run_worker(burst=True)
    found = scraped(queue)
    assert found["hotqueue_oldest_task_seconds", queue.name] == 0
    for what in ("enqueued", "started", "succeeded"):
        assert found[f"hotqueue_tasks_{what}_total", queue.name, "shop.one"] == 3
    for name in metrics.HISTOGRAMS:
        buckets = [found[f"{name}_bucket", str(bound), queue.name, "shop.one"] for bound in metrics.BOUNDS]
        assert buckets == sorted(buckets)
        assert buckets[-1] == found[f"{name}_bucket", "+Inf", queue.name, "shop.one"] == 3
        assert found[f"{name}_sum", queue.name, "shop.one"] > 0


@pytest.mark.servers("server")
def test_what_has_expired_waits_no_longer_though_there_is_no_worker(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    task = task_by_name(queue, "shop.price")
    task.apply_async((1,), expires=0.05)
    task.apply_async((2,), expires=600)
    wait_until(lambda: scraped(queue)["hotqueue_tasks", queue.name, "ready"] == 1)
    queue.purge()


@pytest.mark.servers("server")
def test_a_worker_counts_as_long_as_it_says_that_it_is_there(make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    queue, other = make_queue(), make_queue(f"{queue_name}-b")
    for name in (queue.name, other.name):
        for worker in ("w-1", "w-2"):
            Session(Broker(queue._store, name), worker, "s").register(60_000, {"host": "h", "pid": "1"})
    key = keys.worker(queue.name, "w-1")
    queue._store.command(key, "DEL", key)  # as by its TTL: it was killed, and there is nobody to put that in order
    found = scraped(queue, queue.name, other.name)
    assert [found["hotqueue_workers", name] for name in (queue.name, other.name)] == [1, 2]
    for each in (queue, other):
        for worker in ("w-1", "w-2"):
            Broker(queue._store, each.name).reap(worker, known_dead=True)
        each.purge()


@pytest.mark.servers("server")
def test_of_a_newer_queue_messages_are_told_and_one_that_cannot_be_read_is_an_error(
    make_queue: Callable[..., HotQueue], queue_name: str
) -> None:
    queue, newer = make_queue(), make_queue(f"{queue_name}-newer")
    key, store = keys.schema(newer.name, keys.SCHEMA + 1), queue._store
    newer.put("x")
    store.command(key, "SET", key, "1", "PX", 60_000)
    found = scraped(queue, newer.name, queue.name)
    assert [found["hotqueue_messages", name] for name in (newer.name, queue.name)] == [1, 0]
    assert ("hotqueue_paused", queue.name) in found
    assert ("hotqueue_paused", newer.name) not in found
    newer.clear()
    for wrong in (keys.dead(queue.name), keys.statistics(queue.name)):
        store.command(wrong, "SET", wrong, "text", "PX", 60_000)
        with pytest.raises(ConfigError, match=queue.name):
            metrics.text(store, [queue.name])
        store.command(wrong, "DEL", wrong)


@pytest.mark.servers("server")
def test_many_queues_cost_a_few_trips(
    make_queue: Callable[..., HotQueue], queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(40)]
    for queue in queues:
        task_by_name(queue, "shop.price").delay(1)
        Session(Broker(queue._store, queue.name), "w-1", "s").register(60_000, {"host": "h", "pid": "1"})
    trips = counted_trips(monkeypatch)
    found = scraped(queues[0], *(queue.name for queue in queues))
    assert len(trips) < 20
    monkeypatch.undo()
    assert {(found["hotqueue_workers", queue.name], found["hotqueue_tasks", queue.name, "ready"]) for queue in queues} == {(1, 1)}
    assert all(found["hotqueue_tasks_enqueued_total", queue.name, "shop.price"] == 1 for queue in queues)
    for queue in queues:
        Broker(queue._store, queue.name).reap("w-1", known_dead=True)
        queue.purge()


@pytest.mark.servers("server")
def test_who_asks_for_openmetrics_gets_that(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    body, content_type = metrics.text(queue._store, [queue.name], "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert {family.name for family in parse_openmetrics(body.decode())} >= {
        *metrics.GAUGES,
        *metrics.COUNTERS,
        *metrics.HISTOGRAMS,
        "hotqueue_build",
    }


@pytest.mark.servers("server")
@pytest.mark.parametrize("name", ['a "quoted" one', "a\\b", "größe"])
def test_a_name_of_any_kind_is_a_label(make_queue: Callable[..., HotQueue], name: str) -> None:
    queue = make_queue()
    assert scraped(queue, name)["hotqueue_messages", name] == 0


def test_a_server_that_is_away_is_an_error() -> None:
    store = Store(resolve(url=f"redis://127.0.0.1:{free_port()}/0", patience=0.1))
    with pytest.raises(ConnectionFailed):
        metrics.text(store, ["any"])
    store.close()


def test_what_a_counter_counts_is_a_sentence() -> None:
    said = {name.removeprefix("hotqueue_tasks_"): text.partition(",")[0] for name, text in metrics.COUNTERS.items()}
    assert (said["succeeded"], said["failed"]) == ("Tasks that succeeded", "Tasks that failed")
    assert (said["lost"], said["enqueued"]) == ("Tasks that were lost", "Tasks that were enqueued")
