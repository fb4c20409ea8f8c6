"""What is measured, and how: each measure takes a bench and a contender and returns figures by name.

A figure that a contender cannot give, or not within its time, is left out. Nothing here knows any contender.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles

from bench import processes
from bench.field import Bench, Contender

Figures = dict[str, float]

TASKS = 20_000
CALLS = 3_000
TRIPS = 500
FEW, MANY = 10_000, 1_000_000  # waiting tasks
PATIENCE = 60.0  # seconds for one drain


@dataclass(frozen=True)
class Figure:
    """How a figure is shown.

    Attributes:
        title: of the column.
        less_is_better: False for rates.
    """

    title: str
    less_is_better: bool = True


FIGURES = {
    "one": Figure("enqueue, calls/s", False),
    "one_cpu": Figure("client CPU µs"),
    "bulk": Figure("bulk, calls/s", False),
    "together": Figure("50 coroutines, calls/s", False),
    "drain_one": Figure("drain, tasks/s", False),
    "drain_one_cpu": Figure("worker CPU µs a task"),
    "drain_one_redis_cpu": Figure("Redis CPU µs a task"),
    "drain_one_trips": Figure("requests a task"),
    "drain_one_bytes": Figure("bytes a task"),
    "drain_one_peak": Figure("peak RSS MiB"),
    "drain_two": Figure("2 processes", False),
    "drain_threads8": Figure("8 threads", False),
    "drain_async": Figure("async", False),
    "p50": Figure("p50 ms"),
    "p95": Figure("p95 ms"),
    "p99": Figure("p99 ms"),
    "loaded_p50": Figure("loaded p50 ms"),
    "loaded_p95": Figure("loaded p95 ms"),
    "loaded_p99": Figure("loaded p99 ms"),
    "start": Figure("start to first task s"),
    "idle_rss": Figure("worker RSS MiB"),
    "idle_pss": Figure("worker PSS MiB"),
    "idle_parent": Figure("parent RSS MiB"),
    "idle_total": Figure("all PSS MiB"),
    "idle_cpu": Figure("idle CPU %"),
    "idle_requests": Figure("idle requests/s"),
    "sleep": Figure("1,000 sleeps, threads, s"),
    "asleep": Figure("1,000 sleeps, async, s"),
    "spin1": Figure("1 ms tasks, % of ideal", False),
    "spin10": Figure("10 ms tasks, % of ideal", False),
    "payload": Figure("100 KB, tasks/s", False),
    "deep_bytes": Figure("bytes a waiting task"),
    "deep_enqueue": Figure("cost of a call, 10⁶ to 10⁴ waiting"),
    "deep_drain": Figure("cost of a task, 10⁶ to 10⁴ waiting"),
    "ten": Figure("20,000 tasks, 10 workers, s"),
}


# --- enqueue -----------------------------------------------------------------------------------------------------


def enqueue(bench: Bench, contender: Contender) -> Figures:
    """One at a time, one after the other."""
    bench.clear(CALLS)
    found = bench.produce(contender, "one", "noop", CALLS)
    return {"one": CALLS / found["seconds"], "one_cpu": found["cpu"] / CALLS * 1e6}


def together(bench: Bench, contender: Contender) -> Figures:
    """From 50 coroutines of one event loop."""
    if not contender.is_async:
        return {}
    bench.clear(CALLS)
    found = bench.produce(contender, "together", "noop", CALLS)
    return {"together": CALLS / found["seconds"]}


# --- drains ------------------------------------------------------------------------------------------------------


def drain(bench: Bench, contender: Contender) -> Figures:
    """Bulk enqueue, then one process that runs it all: no-op tasks with results."""
    return {**_filled(bench, contender, "noop", TASKS), **_drained(bench, contender, "one", TASKS)}


def drain_two(bench: Bench, contender: Contender) -> Figures:
    """The same with two processes."""
    return _drain(bench, contender, "two", "noop")


def drain_threads(bench: Bench, contender: Contender) -> Figures:
    """The same with one process of eight threads."""
    return _drain(bench, contender, "threads8", "noop")


def drain_async(bench: Bench, contender: Contender) -> Figures:
    """The same with `async def` tasks."""
    return _drain(bench, contender, "async", "anoop")


def _drain(bench: Bench, contender: Contender, kind: str, task: str) -> Figures:
    if kind not in contender.workers:
        return {}
    _filled(bench, contender, task, TASKS)
    found = _drained(bench, contender, kind, TASKS)
    return {name: value for name, value in found.items() if name == f"drain_{kind}"}


def _filled(bench: Bench, contender: Contender, task: str, count: int) -> Figures:
    bench.clear(count)
    found = bench.produce(contender, "bulk", task, count)
    return {"bulk": count / found["seconds"]}


def _drained(bench: Bench, contender: Contender, kind: str, count: int) -> Figures:
    before = bench.server.info()
    with bench.workers(contender, kind) as workers:
        bench.await_tasks(1, PATIENCE)
        seen, started = bench.ticks.count(count), processes.cpu(workers.pids())  # starting up is not the tasks' cost
        if not bench.await_tasks(count, PATIENCE):
            return {}
        pids = workers.pids()
        used, peak = processes.cpu(pids), sum(processes.peak(pid) for pid in pids)
        time.sleep(0.05)  # for the last results
        after = bench.server.info()
    repeated = bench.ticks.repeated(count)
    if repeated:
        bench.note(f"{contender.name} ran {repeated} of {count:,} tasks twice")
    redis_cpu = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
    return {
        f"drain_{kind}": (count - 1) / bench.ticks.span(count),
        f"drain_{kind}_cpu": (used - started) / (count - seen + 1) * 1e6,
        f"drain_{kind}_redis_cpu": redis_cpu / count * 1e6,
        f"drain_{kind}_trips": (after["total_reads_processed"] - before["total_reads_processed"]) / count,
        f"drain_{kind}_bytes": (after["total_net_input_bytes"] - before["total_net_input_bytes"]) / count,
        f"drain_{kind}_peak": peak,
    }


# --- round trips, and idling -------------------------------------------------------------------------------------


def latency(bench: Bench, contender: Contender) -> Figures:
    """Round trips to an idle worker, from call to value."""
    bench.clear(TRIPS)
    with bench.workers(contender, "one", "latency"):
        return _percentiles("", bench.produce(contender, "trips", "noop", TRIPS, "latency")["ms"])


def latency_loaded(bench: Bench, contender: Contender) -> Figures:
    """The same while another producer sends 200 calls a second."""
    bench.clear(TRIPS, spare=10_000)
    with bench.workers(contender, "one", "latency"):
        with bench.producing(contender, "steadily", "noop", TRIPS + 1000, 4000, "latency"):
            found = bench.produce(contender, "trips", "noop", TRIPS, "latency")
        return _percentiles("loaded_", found["ms"])


def _percentiles(prefix: str, ms: list[float]) -> Figures:
    cuts = quantiles(ms, n=100)
    return {f"{prefix}p{p}": cuts[p - 1] for p in (50, 95, 99)}


def idle(bench: Bench, contender: Contender) -> Figures:
    """What a worker that has run a few tasks takes while nothing comes."""
    bench.clear(100)
    bench.produce(contender, "one", "noop", 100)
    with bench.workers(contender, "one") as workers:
        bench.await_tasks(100, 20)
        time.sleep(1.0)
        pids = workers.pids()
        memory = {pid: processes.memory(pid) for pid in pids}
        used, requests, began = processes.cpu(pids), bench.requests(), time.monotonic()
        time.sleep(5.0)
        took = time.monotonic() - began
        largest = max(pids, key=lambda pid: memory[pid]["rss"])
        figures = {
            "idle_rss": memory[largest]["rss"],
            "idle_pss": memory[largest]["pss"],
            "idle_total": sum(each["pss"] for each in memory.values()),
            "idle_cpu": (processes.cpu(pids) - used) / took * 100,
            "idle_requests": max(0, bench.requests() - requests - 1) / took,
        }
        return figures if largest == workers.first else {**figures, "idle_parent": memory[workers.first]["rss"]}


def start(bench: Bench, contender: Contender) -> Figures:
    """From the worker's command to its first task."""
    bench.clear(1)
    bench.produce(contender, "one", "noop", 1)
    began = time.monotonic()
    with bench.workers(contender, "one"):
        bench.await_tasks(1, 20)
        return {"start": bench.ticks.started[0] - began} if bench.ticks.started[0] else {}


# --- tasks that take time ----------------------------------------------------------------------------------------


def sleeps(bench: Bench, contender: Contender) -> Figures:
    """1,000 sleeps of 0.1 s, 100 at once: 1.0 s is ideal."""
    figures = {}
    for kind in ("sleep", "asleep"):
        if kind in contender.workers:
            _filled(bench, contender, kind, 1000)
            with bench.workers(contender, kind):
                if bench.await_tasks(1000, PATIENCE):
                    figures[kind] = bench.ticks.span(1000)
    return figures


def spins(bench: Bench, contender: Contender) -> Figures:
    """Tasks of 1 and 10 ms of CPU on two processes, against the ideal."""
    figures = {}
    for task, seconds, count in (("spin1", 0.001, 2000), ("spin10", 0.010, 300)):
        if not contender.has("two", task):
            continue
        _filled(bench, contender, task, count)
        with bench.workers(contender, "two"):
            if bench.await_tasks(count, PATIENCE):
                figures[task] = 100 * count * seconds / 2 / bench.ticks.span(count)
    return figures


def payloads(bench: Bench, contender: Contender) -> Figures:
    """Arguments and results of 100 KB."""
    if not contender.has("one", "payload"):
        return {}
    _filled(bench, contender, "payload", 500)
    with bench.workers(contender, "one"):
        return {"payload": 499 / bench.ticks.span(500)} if bench.await_tasks(500, PATIENCE) else {}


def ten(bench: Bench, contender: Contender) -> Figures:
    """20,000 waiting tasks and ten workers: from their command to the last task."""
    if "ten" not in contender.workers:
        return {}
    _filled(bench, contender, "noop", TASKS)
    began = time.monotonic()
    with bench.workers(contender, "ten"):
        return {"ten": max(bench.ticks.started) - began} if bench.await_tasks(TASKS, 180) else {}


def growth(bench: Bench, contender: Contender) -> Figures:
    """What a million waiting tasks change; left out for contenders that take minutes to enqueue them."""
    rate, enqueue_few, drain_few, _ = _at_depth(bench, contender, FEW)
    if rate < MANY / 100:
        return {}
    _, enqueue_many, drain_many, size = _at_depth(bench, contender, MANY)
    return {"deep_bytes": size, "deep_enqueue": enqueue_many / enqueue_few, "deep_drain": drain_few / drain_many}


def _at_depth(bench: Bench, contender: Contender, depth: int) -> tuple[float, float, float, float]:
    """Return bulk calls/s; then, with that many waiting, seconds of 1,000 calls, tasks/s of a drain, bytes a task."""
    bench.clear(depth, spare=10_000)
    empty = bench.server.info()["used_memory"]
    rate = depth / bench.produce(contender, "bulk", "noop", depth)["seconds"]
    size = (bench.server.info()["used_memory"] - empty) / depth
    calls = bench.produce(contender, "one", "noop", 1000, first=depth + 2000)["seconds"]
    with bench.workers(contender, "one"):
        bench.await_tasks(FEW, PATIENCE)
        return rate, calls, (FEW - 1) / bench.ticks.span(FEW), size


Measure = Callable[[Bench, Contender], Figures]
THROUGHPUT: list[Measure] = [enqueue, drain]
LATENCY: list[Measure] = [latency, start, idle]
EVERYTHING: list[Measure] = [
    *(enqueue, together, drain, drain_two, drain_threads, drain_async, latency, latency_loaded, start, idle),
    *(sleeps, spins, payloads, ten, growth),
]
QUICK: list[Measure] = [enqueue, drain, latency]
