"""What is measured, and how: each measure takes a bench and a contender and returns figures by name.

A figure that a contender cannot give, or not within its time, is left out. Nothing here knows any contender. How many tasks
a contender is given is found in its first round, so that its rate is taken over two seconds or more; it then stays the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import quantiles

from bench import processes
from bench.field import Bench, Contender
from bench.ticks import WARM_TRIPS, WARM_UP

Figures = dict[str, float]

SECONDS = 2.0  # of a rate, at least
TRIPS = 2_000  # at most
SLEEPS = 1_000
JOBS = 20_000  # of the load test
AHEAD = 60_000  # tasks drained with others behind them
DEEPEST = 6  # 10⁶ waiting tasks


def sized(bench: Bench, key: str, first: int, most: int, go: Callable[[int], float], seconds: float = SECONDS) -> int:
    """Call `go` with as many as make its seconds long enough; return that number.

    The number is kept, and made smaller for the next time where it took more than twice as long as it has to.
    """
    wanted = seconds * bench.scale
    count = bench.sizes.get(key, first)
    while True:
        took = go(count)
        factor = min(20.0, 1.1 * wanted / max(took, 1e-3))
        if took >= 0.9 * wanted or count >= most:
            bench.sizes[key] = max(10, int(count * factor)) if took > 2 * wanted else count
            return count
        count = min(most, int(count * factor) + 1)


# --- enqueue -----------------------------------------------------------------------------------------------------


def enqueue(bench: Bench, contender: Contender) -> Figures:
    """One at a time, one after the other."""
    found = _sent(bench, contender, "one", 1_000, 50_000)
    return {f"one{name}": value for name, value in found.items()}


def together(bench: Bench, contender: Contender) -> Figures:
    """From 50 coroutines of one event loop."""
    return {"together": _sent(bench, contender, "together", 1_000, 100_000)[""]} if contender.is_async else {}


def bulk(bench: Bench, contender: Contender) -> Figures:
    """The fastest way there is to send many calls."""
    found = _sent(bench, contender, "bulk", 2_000, 400_000)
    return {f"bulk{name}": value for name, value in found.items()}


def _sent(bench: Bench, contender: Contender, action: str, first: int, most: int) -> Figures:
    found: Figures = {}

    def go(count: int) -> float:
        bench.clear(count)
        before = bench.server.work()
        told = bench.produce(contender, action, "noop", count)
        calls = count + (1 if action == "bulk" else WARM_UP)
        found.update({f"_{name}": value / calls for name, value in bench.server.since(before).items()})
        found.update({"": count / told["seconds"], "_cpu": told["cpu"] / count * 1e6})
        return float(told["seconds"])

    sized(bench, f"{action} {contender.name}", first, most, go)
    return found


# --- drains ------------------------------------------------------------------------------------------------------


def drain(bench: Bench, contender: Contender) -> Figures:
    """Bulk enqueue, then one process that runs it all: no-op tasks with results."""
    return _drain(bench, contender, "one", "noop")


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
    found: Figures = {}

    def go(count: int) -> float:
        _fill(bench, contender, task, count)
        found.update(_drained(bench, contender, kind, count))
        return bench.ticks.span(count)

    if contender.has(kind, task):
        sized(bench, f"drain {kind} {contender.name}", 500, 400_000, go)
    return {f"drain_{kind}{name}": value for name, value in found.items()}


def _fill(bench: Bench, contender: Contender, task: str, count: int) -> None:
    bench.clear(count)
    bench.produce(contender, "bulk", task, count)


def _drained(bench: Bench, contender: Contender, kind: str, count: int) -> Figures:
    before = bench.server.work()
    with bench.workers(contender, kind) as workers:
        bench.await_tasks(1)
        seen, started = bench.ticks.count(count), processes.cpu(workers.pids())  # starting up is not the tasks' cost
        bench.await_tasks(count)
        used, peak = processes.cpu(workers.pids()), workers.peak()
        time.sleep(0.05)  # for the last results
        work = bench.server.since(before)
        kept = bench.server.memory() - bench.empty
    if repeated := bench.ticks.repeated(count):
        bench.note(f"{contender.name} ran {repeated} of {count:,} tasks twice; last in its log: {bench.last_words()}")
    return {
        "": bench.ticks.rate(count),
        "_cpu": (used - started) / (count - seen + 1) * 1e6,
        "_peak": peak,
        "_kept": kept / count,
        **{f"_{name}": value / count for name, value in work.items()},
    }


# --- round trips, and idling -------------------------------------------------------------------------------------


def latency(bench: Bench, contender: Contender) -> Figures:
    """Round trips from call to value, to a worker that is idle, and then to one that gets 200 other calls a second."""
    bench.clear(TRIPS, spare=20_000)
    bench.produce(contender, "one", "noop", 20, "latency")
    with bench.workers(contender, "one", "latency") as workers:
        bench.await_tasks(20)
        time.sleep(0.5)  # until all that a worker does at its start is done
        before, used = bench.server.work(), processes.precise_cpu(workers.pids())
        ms = bench.produce(contender, "trips", "noop", TRIPS, "latency")["ms"]
        used, work = processes.precise_cpu(workers.pids()) - used, bench.server.since(before)
        trips = len(ms) + WARM_TRIPS
        figures = {
            **_percentiles("", ms),
            "trip_requests": work["requests"] / trips,
            "trip_redis_cpu": work["redis_cpu"] / trips,
            "trip_worker_cpu": used / trips * 1e6,
        }
        with bench.producing(contender, "steadily", "noop", TRIPS + WARM_UP, 8_000, "latency") as load:
            assert load.stdout is not None
            load.stdout.readline()  # it has begun
            ms = bench.produce(contender, "trips", "noop", TRIPS, "latency")["ms"]
        return {**figures, **_percentiles("loaded_", ms)}


def _percentiles(prefix: str, ms: list[float]) -> Figures:
    cuts = quantiles(ms, n=100)
    return {f"{prefix}p{p}": cuts[p - 1] for p in (50, 95, 99)}


def idle(bench: Bench, contender: Contender) -> Figures:
    """How soon after its command a worker runs its first task; then, what it takes while nothing comes."""
    bench.clear(20)
    bench.produce(contender, "one", "noop", 20, "idle")
    began = time.monotonic()
    with bench.workers(contender, "one", "idle") as workers:
        bench.await_tasks(20)
        figures = {"start": min(at for at in bench.ticks.started[:20] if at) - began}
        time.sleep(1.0)
        pids = workers.pids()
        memory = {pid: processes.memory(pid) for pid in pids}
        used, before, began = processes.precise_cpu(pids), bench.server.work(), time.monotonic()
        time.sleep(5.0 * bench.scale)
        took = time.monotonic() - began
        used, requests = processes.precise_cpu(pids) - used, bench.server.since(before)["requests"]
        children = [pid for pid in pids if pid != workers.first]
        worker = max(children or pids, key=lambda pid: memory[pid]["rss"])
        figures |= {
            "idle_rss": memory[worker]["rss"],
            "idle_total": sum(each["pss"] for each in memory.values()),
            "idle_cpu": used / took * 100,
            "idle_requests": requests / took,
        }
        return {**figures, "idle_parent": memory[workers.first]["rss"]} if children else figures


# --- tasks that take time ----------------------------------------------------------------------------------------


def sleeps(bench: Bench, contender: Contender) -> Figures:
    """1,000 sleeps of 0.1 s, 100 at once: 1.0 s is ideal."""
    figures = {}
    for kind in ("sleep", "asleep"):
        if contender.has(kind, kind):
            _fill(bench, contender, kind, SLEEPS)
            with bench.workers(contender, kind) as workers:
                bench.await_tasks(SLEEPS)
                figures |= {kind: bench.ticks.span(SLEEPS), f"{kind}_peak": workers.peak()}
    return figures


def spin1_one(bench: Bench, contender: Contender) -> Figures:
    """Tasks of 1 ms of CPU on one process, against the ideal."""
    return _spins(bench, contender, "spin1_one", "spin1", "one", 1, 1000)


def spin1(bench: Bench, contender: Contender) -> Figures:
    """The same on two processes."""
    return _spins(bench, contender, "spin1", "spin1", "two", 2, 2000)


def spin10(bench: Bench, contender: Contender) -> Figures:
    """Tasks of 10 ms of CPU on two processes, against the ideal."""
    return _spins(bench, contender, "spin10", "spin10", "two", 2, 200)


def _spins(bench: Bench, contender: Contender, name: str, task: str, kind: str, processes: int, rate: int) -> Figures:
    if not contender.has(kind, task):
        return {}

    def go(count: int) -> float:
        _fill(bench, contender, task, count)
        with bench.workers(contender, kind):
            bench.await_tasks(count)
        return bench.ticks.span(count)

    count = sized(bench, f"{name} {contender.name}", int(rate * SECONDS * bench.scale), 20 * rate, go)
    return {name: 100 * bench.ticks.rate(count) / rate, f"{name}_own": 100 * bench.ticks.own(count) / processes}


def payloads(bench: Bench, contender: Contender) -> Figures:
    """Arguments and results of 100 KB."""
    if not contender.has("one", "payload"):
        return {}

    def go(count: int) -> float:
        _fill(bench, contender, "payload", count)
        with bench.workers(contender, "one"):
            bench.await_tasks(count)
        return bench.ticks.span(count)

    count = sized(bench, f"payload {contender.name}", 300, 4_000, go)
    return {"payload": bench.ticks.rate(count)}


def ten(bench: Bench, contender: Contender) -> Figures:
    """20,000 waiting tasks and ten workers: from their command to the last task.

    One that would take long is given fewer; the others are added at the rate of the second half of what it ran.
    """
    if not contender.has("ten", "noop"):
        return {}
    jobs, figures = int(JOBS * bench.scale), {}

    def go(count: int) -> float:
        _fill(bench, contender, "noop", count)
        began = time.monotonic()
        with bench.workers(contender, "ten") as workers:
            bench.await_tasks(count)
            figures["ten_peak"] = workers.peak()
        wall = max(bench.ticks.started) - began
        figures["ten"] = wall + (jobs - count) / bench.ticks.rate(count, skip=0.5)
        return wall

    count = sized(bench, f"ten {contender.name}", min(2_000, jobs), jobs, go, seconds=6.0)
    if count < jobs:
        bench.note(f"load test: {contender.name} ran fewer than {jobs:,} tasks; the others are added at its rate")
    return figures


# --- growth ------------------------------------------------------------------------------------------------------


def growth(bench: Bench, contender: Contender) -> Figures:
    """What a call, and a task, cost while a thousand to a million others wait."""
    figures: Figures = {}
    deepest = DEEPEST if bench.scale == 1 else DEEPEST - 1
    for power in range(3, deepest + 1):
        figures |= _at_depth(bench, contender, power)
    for name in ("deep_one", "deep_drain"):
        figures[name] = figures[f"{name}_{deepest}"] / figures[f"{name}_3"]
    return figures


def _at_depth(bench: Bench, contender: Contender, power: int) -> Figures:
    depth, ahead = 10**power, int(AHEAD * bench.scale)
    calls = ahead // 20
    bench.clear(depth + ahead)
    bench.produce(contender, "bulk", "noop", depth)
    size = (bench.server.memory() - bench.empty) / depth
    called = bench.produce(contender, "one", "noop", calls, first=depth)["seconds"] / calls
    there = depth + calls + WARM_UP
    bench.produce(contender, "bulk", "noop", depth + ahead - there, first=there)
    with bench.workers(contender, "one"):
        bench.await_tasks(ahead)
        return {"deep_bytes": size, f"deep_one_{power}": called * 1e6, f"deep_drain_{power}": 1e6 / bench.ticks.rate(ahead)}


Measure = Callable[[Bench, Contender], Figures]
