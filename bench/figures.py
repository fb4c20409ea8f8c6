"""The figures that measures give: their titles, the tables they stand in, and what hotqueue is held to."""

from __future__ import annotations

from dataclasses import dataclass


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
    "one": Figure("one at a time, calls/s", False),
    "together": Figure("async, 50 coroutines, calls/s", False),
    "bulk": Figure("bulk, calls/s", False),
    "one_cpu": Figure("one: client CPU µs"),
    "bulk_cpu": Figure("bulk: client CPU µs"),
    "drain_one": Figure("1 process", False),
    "drain_two": Figure("2 processes", False),
    "drain_threads8": Figure("8 threads", False),
    "drain_async": Figure("async", False),
    "drain_one_cpu": Figure("worker CPU µs"),
    "drain_one_redis_cpu": Figure("Redis CPU µs"),
    "drain_async_cpu": Figure("async: worker CPU µs"),
    "drain_one_peak": Figure("peak RSS MiB"),
    "drain_two_peak": Figure("2 processes: peak RSS MiB, all"),
    "drain_one_kept": Figure("Redis bytes a kept result"),
    "p50": Figure("p50 ms"),
    "p95": Figure("p95 ms"),
    "p99": Figure("p99 ms"),
    "loaded_p50": Figure("loaded: p50 ms"),
    "loaded_p95": Figure("loaded: p95 ms"),
    "loaded_p99": Figure("loaded: p99 ms"),
    "trip_requests": Figure("requests a trip"),
    "trip_redis_cpu": Figure("Redis CPU µs a trip"),
    "trip_worker_cpu": Figure("worker CPU µs a trip"),
    "sleep": Figure("sleeps, threads, s"),
    "sleep_peak": Figure("threads: peak RSS MiB"),
    "asleep": Figure("sleeps, async, s"),
    "asleep_peak": Figure("async: peak RSS MiB"),
    "spin1_one": Figure("1 ms, 1 process, % of ideal", False),
    "spin1_one_own": Figure("1 ms, 1 process, % the tasks' own", False),
    "spin1": Figure("1 ms, 2 processes, % of ideal", False),
    "spin1_own": Figure("1 ms, 2 processes, % the tasks' own", False),
    "spin10": Figure("10 ms, 2 processes, % of ideal", False),
    "spin10_own": Figure("10 ms, 2 processes, % the tasks' own", False),
    "payload": Figure("100 KB, tasks/s", False),
    "ten": Figure("wall s"),
    "ten_peak": Figure("peak RSS MiB, all"),
    "start": Figure("command to first task, s"),
    "idle_requests": Figure("idle: requests/s"),
    "idle_cpu": Figure("idle: CPU %"),
    "idle_rss": Figure("worker RSS MiB"),
    "idle_parent": Figure("parent RSS MiB"),
    "idle_total": Figure("all PSS MiB"),
    "one_requests": Figure("enqueue: requests"),
    "one_commands": Figure("enqueue: commands"),
    "one_bytes": Figure("enqueue: bytes"),
    "one_redis_cpu": Figure("enqueue: Redis CPU µs"),
    "bulk_bytes": Figure("bulk: bytes"),
    "bulk_redis_cpu": Figure("bulk: Redis CPU µs"),
    "drain_one_requests": Figure("execute + result: requests"),
    "drain_one_commands": Figure("execute + result: commands"),
    "drain_one_bytes": Figure("execute + result: bytes"),
    "deep_bytes": Figure("Redis bytes a waiting task"),
    "deep_one_3": Figure("call, 10³ waiting, µs"),
    "deep_one_4": Figure("10⁴"),
    "deep_one_5": Figure("10⁵"),
    "deep_one_6": Figure("10⁶"),
    "deep_one": Figure("10⁶ ÷ 10³"),
    "deep_drain_3": Figure("task, 10³ waiting, µs"),
    "deep_drain_4": Figure("10⁴"),
    "deep_drain_5": Figure("10⁵"),
    "deep_drain_6": Figure("10⁶"),
    "deep_drain": Figure("10⁶ ÷ 10³"),
}


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        title: its heading.
        figures: its columns.
        about: one sentence under the heading.
    """

    title: str
    figures: tuple[str, ...]
    about: str = ""


TABLES = (
    Table("Enqueue", ("one", "together", "bulk", "one_cpu", "bulk_cpu")),
    Table("Drain of no-op tasks with results, tasks/s", ("drain_one", "drain_two", "drain_threads8", "drain_async")),
    Table(
        "What a task costs in that drain",
        (*("drain_one_cpu", "drain_async_cpu", "drain_one_redis_cpu"), *("drain_one_peak", "drain_two_peak", "drain_one_kept")),
        "By one process, but where something else is said.",
    ),
    Table(
        "Latency, from call to value",
        ("p50", "p95", "p99", "loaded_p50", "loaded_p95", "loaded_p99", "trip_requests", "trip_redis_cpu", "trip_worker_cpu"),
        "Idle: one call at a time, and nothing else. Loaded: the same while another process sends 200 calls a second.",
    ),
    Table("1,000 sleeps of 0.1 s, 100 at once", ("sleep", "asleep", "sleep_peak", "asleep_peak"), "1.0 s is ideal."),
    Table(
        "Tasks of 1 and 10 ms of CPU, and of 100 KB",
        ("spin1_one", "spin1_one_own", "spin1", "spin1_own", "spin10", "spin10_own", "payload"),
        "The tasks' own is the time between their starts and ends, of all the time of the processes. Where a process has two "
        "threads, as dramatiq's, it holds what these wait for each other.",
    ),
    Table("Load test: 20,000 tasks, 10 worker processes", ("ten", "ten_peak"), "From the command that starts the workers."),
    Table(
        "Start and idling",
        ("start", "idle_requests", "idle_cpu", "idle_rss", "idle_parent", "idle_total"),
        "One worker process; the parent is a supervisor's, where there is one.",
    ),
    Table(
        "What Redis does for a task",
        (
            *("one_requests", "one_commands", "one_bytes", "one_redis_cpu", "bulk_bytes", "bulk_redis_cpu"),
            *("drain_one_requests", "drain_one_commands", "drain_one_bytes"),
        ),
        "Requests are what a client sends in one go; commands are all that Redis runs, those within scripts included.",
    ),
    Table(
        "Growth: what a call costs while others wait",
        ("deep_one_3", "deep_one_4", "deep_one_5", "deep_one_6", "deep_one", "deep_bytes"),
    ),
    Table(
        "Growth: what a task costs while others wait behind it",
        ("deep_drain_3", "deep_drain_4", "deep_drain_5", "deep_drain_6", "deep_drain"),
    ),
)

MAIN = ("one", "bulk", "drain_one", "p50", "p99")  # of the embedded server
FAST = ("one", "together", "bulk", "drain_one", "drain_async", "p50", "start", "idle_rss")  # of the [fast] extra


@dataclass(frozen=True)
class Target:
    """What a figure of hotqueue has to reach.

    Attributes:
        title: what is measured.
        figure: its name.
        than: "peer" (the best one), "floor", or "" for the figure itself.
        bound: at least for rates, at most for costs.
    """

    title: str
    figure: str
    than: str
    bound: float


TARGETS = (
    Target("drain by one process, × the best peer", "drain_one", "peer", 16),
    Target("drain by one process, × the floor", "drain_one", "floor", 0.70),
    Target("1 ms tasks, one process, % the tasks' own", "spin1_one_own", "", 97),
    Target("`delay()`, × the floor", "one", "floor", 0.85),
    Target("`delay()`, × the best peer", "one", "peer", 1.2),
    Target("bulk enqueue, × the best peer", "bulk", "peer", 5),
    Target("round trip p50, × the best peer", "p50", "peer", 0.7),
    Target("round trip p99, × the best peer", "p99", "peer", 0.7),
    Target("20,000 jobs by 10 workers, × the best peer", "ten", "peer", 0.35),
    Target("1,000 sleeps, threads, s", "sleep", "", 1.15),
    Target("1,000 sleeps, async, s", "asleep", "", 1.15),
    Target("10 ms tasks, two processes, % of ideal", "spin10", "", 95),
    Target("cost of a call, 10⁶ ÷ 10³ waiting", "deep_one", "", 1.2),
    Target("cost of a task, 10⁶ ÷ 10³ waiting", "deep_drain", "", 1.2),
    Target("Redis bytes a waiting task", "deep_bytes", "", 400),
    Target("enqueue: requests", "one_requests", "", 1.05),
    Target("execute + result: requests", "drain_one_requests", "", 0.1),
    Target("execute + result: bytes, × the best peer", "drain_one_bytes", "peer", 1.0),
    Target("idle: requests/s of one process and its supervisor", "idle_requests", "", 2.0),
    Target("worker RSS MiB", "idle_rss", "", 35),
)
