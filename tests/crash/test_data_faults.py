"""Data that is damaged, foreign, of another version, or that does harm when it is loaded: the good tasks all run."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hotqueue import (
    ConfigError,
    ConnectionFailed,
    RemoteError,
    SerializationError,
    TimeLimitExceeded,
    UnknownTask,
    WorkerLost,
    keys,
)
from hotqueue.tasks.wire import envelope
from tests.crash.rig import Load, Rig, report, seconds_until
from tests.support.durations import take_time
from tests.support.processes import run_python, worker_processes
from tests.support.waiting import wait_until


def plant(rig: Rig, task_id: bytes, data: bytes, place: float | None = None) -> None:
    """Put bytes into the queue as if they were a task."""
    place = float(200 << 45) - 1e9 if place is None else place
    rig.redis.hset(keys.tasks(rig.name), task_id, data)
    rig.redis.zadd(keys.ready(rig.name), {task_id: place})


def captured(rig: Rig, task: Any, *args: Any) -> bytes:
    """Return the envelope of a call, taken out of the queue again."""
    result = task.delay(*args)
    data: bytes = rig.redis.hget(keys.tasks(rig.name), result.id)
    rig.redis.hdel(keys.tasks(rig.name), result.id)
    rig.redis.zrem(keys.ready(rig.name), result.id)
    return data


# --- envelopes -------------------------------------------------------------------------------------------------------


def test_every_flipped_byte_and_every_cut_is_found(rig: Rig) -> None:
    """Row 49: each byte of an envelope flipped, each length cut: to the dead list, raw, and the good tasks between run."""
    good = captured(rig, rig.tasks.work, 1)
    broken = [good[:n] + bytes([good[n] ^ 0x21]) + good[n + 1 :] for n in range(len(good))]
    broken += [good[:n] for n in range(0, len(good), 3)]
    for n, data in enumerate(broken):
        plant(rig, b"broken-%d" % n, data, float(n))
    results = rig.tasks.work.map(range(100))
    rig.start()
    assert results.get(30) == list(range(100))
    wait_until(rig.is_settled)
    assert rig.counted("succeeded") == 100, "a broken envelope was run"
    assert rig.redis.zcard(keys.dead(rig.name)) == len(broken)
    dead = next(d for d in rig.queue.dead() if d.id == "broken-30")
    assert "not a hotqueue message" in dead.reason
    raw = rig.redis.hget(keys.dead_tasks(rig.name), "broken-30")
    assert raw.endswith(broken[30]), "the dead list does not keep the bytes"
    with pytest.raises(SerializationError, match="not a hotqueue message"):
        rig.queue.result("broken-30").get(30)
    assert "Traceback" not in rig.said()


def newer(data: bytes) -> bytes:
    """Return an envelope as a hotqueue of the next wire version would write it."""
    import zlib

    head = bytes([envelope.WIRE_VERSION + 1]) + data[1:4]
    return head + zlib.crc32(data[8:], zlib.crc32(head)).to_bytes(4, "big") + data[8:]


def test_a_newer_envelope_waits_for_a_newer_worker(rig: Rig) -> None:
    """Row 50: parked, said why, its place kept; run once a worker reads that version."""
    data = newer(captured(rig, rig.tasks.work, 7))
    plant(rig, b"newer", data)
    later = rig.tasks.work.delay(8)
    old = rig.start()
    assert later.get(30) == 8
    with pytest.raises(TimeoutError, match="wire:2"):
        rig.queue.result("newer").get(0.5)
    assert rig.unfinished() == 1
    old.terminate()
    assert old.wait(30) == 0
    upgrade = rig.log.parent / "sitecustomize.py"
    upgrade.write_text("from hotqueue.tasks.wire import envelope\nenvelope.WIRE_VERSION = 2\n")
    path = {"PYTHONPATH": os.pathsep.join([str(upgrade.parent), rig.env["PYTHONPATH"]])}
    rig.start(env=path)
    assert rig.queue.result("newer").get(30) == 7


def test_tampered_envelopes_are_refused_before_they_are_loaded(rig: Rig) -> None:
    """Row 51: with a key, whatever is unsigned, altered or of another queue goes to the dead list; nothing is unpickled."""
    unsigned = captured(rig, rig.tasks.echo, "unsigned")
    rig.stop()
    script = """
        import os, sys
        sys.path[:0] = [sys.argv[1]]
        import fault_tasks
        print(fault_tasks.echo.apply_async((sys.argv[2],), task_id=sys.argv[3]).id)
    """
    signed = {**rig.env, "HOTQUEUE_SECRET_KEY": "right"}
    app = rig.env["PYTHONPATH"].split(os.pathsep)[0]
    run_python(textwrap.dedent(script), app, "good", "good", env=signed)
    good = rig.redis.hget(keys.tasks(rig.name), "good")
    run_python(textwrap.dedent(script), app, "x", "other-key", env={**signed, "HOTQUEUE_SECRET_KEY": "wrong"})
    run_python(textwrap.dedent(script), app, "x", "other-queue", env={**signed, "CRASH_QUEUE": rig.name + "-b"})
    moved = rig.redis.hget(keys.tasks(rig.name + "-b"), "other-queue")
    at = good.index(b"good", len(good) // 2)
    planted = {b"unsigned": unsigned, b"altered": good[:at] + b"evil" + good[at + 4 :], b"other-queue": moved}
    for name, data in planted.items():
        plant(rig, name, data)
    rig.start(env={"HOTQUEUE_SECRET_KEY": "right"})
    wait_until(rig.is_settled)
    assert rig.starts()["echo"] == 1
    dead = {d.id: d.reason for d in rig.queue.dead()}
    assert set(dead) == {"unsigned", "altered", "other-queue", "other-key"}
    assert all("SignatureError" in reason for reason in dead.values()), dead


# --- foreign entries -------------------------------------------------------------------------------------------------

JUNK = [
    b"",
    b"x",
    b"\x01",
    b'{"task": "add"}',
    b"\x80\x04K\x01.",
    b"\xff" * 50,
    b"\x01s",
    b"\x01a\x64",
    b"\x01s\xff" + b"\0" * 40,
]


def test_foreign_entries_between_good_tasks(rig: Rig) -> None:
    """Row 52: junk under odd ids, ids without a task, histories, leases and holds that are none: all good ones are done."""
    n = rig.name
    results = []
    for turn, data in enumerate(JUNK):
        results += [rig.tasks.work.delay(turn * 10 + k) for k in range(5)]
        plant(rig, b"junk-%d" % turn, data, float(turn))
        plant(rig, b"\xff\xfe-%d" % turn, data, float(turn) + 0.5)
        rig.redis.zadd(keys.ready(n), {f"nothing-{turn}": turn})
        rig.redis.zadd(keys.scheduled(n), {b"\xff-nothing-%d" % turn: turn, b"junk-later-%d" % turn: turn})
        rig.redis.hset(keys.tasks(n), b"junk-later-%d" % turn, data)
    for k, history in enumerate([b"", b"junk", b"1 2", b"a b c d e", b"\xff\xfe", b"0 0 - x -"]):
        result = rig.tasks.work.delay(900 + k)
        rig.redis.hset(keys.attempts(n), result.id, history)
        results.append(result)
    rig.redis.zadd(keys.workers(n), {"nobody": 0, b"\xff\xfe": 0})
    rig.redis.hset(keys.held(n, "nobody"), mapping={"x": "junk", "y": "1 z 5", "z": ""})
    held = rig.tasks.work.delay(990)
    rig.redis.zrem(keys.ready(n), held.id)
    rig.redis.hset(keys.held(n, "nobody"), held.id, "no hold of ours")
    rig.redis.hset(keys.stats(n), mapping={"junk": "x", "": "1"})
    rig.redis.sadd(keys.needs(n), "", b"\xff", "task:", "junk")
    worker = rig.start("--lease", "1")
    assert [r.get(30) for r in results] == [t * 10 + k for t in range(len(JUNK)) for k in range(5)] + [900 + k for k in range(6)]
    assert held.get(30) == 990
    wait_until(lambda: rig.places() == 0)
    wait_until(lambda: rig.unfinished() == 0)
    assert len(list(rig.queue.dead())) == 3 * len(JUNK)
    assert rig.queue.retry_dead(all=True) == len([d for d in JUNK if len(d) > 3]) * 3
    wait_until(lambda: rig.unfinished() == 0)
    assert worker.poll() is None
    assert "Traceback" not in rig.said()


WRONG_KEYS = [
    "tasks",
    "attempts",
    "ready",
    "suspects",
    "scheduled",
    "workers",
    "bell",
    "stats",
    "needs",
    "dead",
    "waiters",
    "seq",
]


@pytest.mark.parametrize("thing", WRONG_KEYS)
def test_a_key_of_the_wrong_type(rig: Rig, thing: str) -> None:
    """Row 36: named with what it holds, never deleted; nothing is lost, and work goes on once it is put right."""
    key = f"{{hotqueue:{rig.name}}}:{thing}"
    worker = rig.start()
    running = rig.send(rig.tasks.work, 0, 0.3)
    retried = rig.send(rig.tasks.flaky, 50, 1)
    wait_until(lambda: rig.starts()["0"])
    results = [rig.send(rig.tasks.work, n) for n in range(1, 20)]
    moved = f"{{hotqueue:{rig.name}}}:moved"
    if rig.redis.exists(key):
        rig.redis.rename(key, moved)
    rig.redis.set(key, "junk", px=600_000) if thing != "seq" else rig.redis.lpush(key, "junk")
    if thing in ("tasks", "seq", "ready"):
        with pytest.raises(ConfigError, match=f"{thing} holds a"):
            rig.tasks.work.delay(99)
    wait_until(
        lambda: key in rig.said() or (thing != "tasks" and not rig.unfinished()),
        what="the worker names the key, or does without it",
    )
    assert rig.redis.exists(key), "it was deleted"
    rig.redis.delete(key)
    if rig.redis.exists(moved):
        rig.redis.rename(moved, key)
    assert running.get(30) == 0
    assert [r.get(30) for r in results] == list(range(1, 20))
    assert retried.get(30) == 50
    wait_until(rig.is_settled)
    assert worker.poll() is None
    assert "Traceback" not in rig.said()


def test_another_queue_goes_on_beside_a_sick_one(rig: Rig) -> None:
    """Row 36: a key of the wrong type stops its own queue alone."""
    other = f"{rig.name}-b"
    worker = rig.start("-Q", f"{rig.name},{other}")
    rig.redis.delete(keys.scheduled(rig.name))
    rig.redis.set(keys.scheduled(rig.name), "junk")
    wait_until(lambda: keys.scheduled(rig.name) in rig.said())
    results = [rig.tasks.work.apply_async((n,), queue=other) for n in range(10)]
    assert [r.get(30) for r in results] == list(range(10))
    rig.redis.delete(keys.scheduled(rig.name))
    assert rig.tasks.work.delay(1).get(30) == 1
    assert worker.poll() is None


# --- arguments and results -------------------------------------------------------------------------------------------


class Hang:
    """Takes a minute to be loaded."""

    def __reduce__(self) -> Any:
        return take_time, (60,)


class Exit:
    """Ends the process that loads it."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        return {"os._exit": (os._exit, (0,)), "sys.exit": (sys.exit, (1,))}[self.how]


class Fail:
    """Cannot be loaded."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


def test_arguments_that_do_harm_when_loaded(rig: Rig) -> None:
    """Row 46: loaded in the child, under the task's limits; a failure of that task and of no other."""
    worker = rig.start("-p2")
    hang = rig.tasks.limited.delay(Hang())
    leave = rig.tasks.echo.delay(Exit("os._exit"))
    ask = rig.tasks.echo.delay(Exit("sys.exit"))
    fail = rig.tasks.echo.delay(Fail())
    good = rig.tasks.work.map(range(100))
    assert good.get(30) == list(range(100))
    with pytest.raises(ValueError, match="not a number"):
        fail.get(30)
    with pytest.raises(RemoteError, match="SystemExit: 1"):
        ask.get(30)
    with pytest.raises(TimeLimitExceeded):
        hang.get(30)
    with pytest.raises(WorkerLost, match="exited with 0"):
        leave.get(30)
    assert "limited" not in rig.starts()
    assert worker.poll() is None
    wait_until(rig.is_settled)


def test_a_module_that_only_the_producer_has(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 43: a failure that names the module, kept in the dead list; run from there once the worker has it."""
    (tmp_path / "only_here.py").write_text(
        "class Thing:\n    def __eq__(self, other):\n        return type(self) is type(other)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    old = rig.start()
    result = rig.tasks.echo.delay(only_here.Thing())
    with pytest.raises(ModuleNotFoundError, match="only_here"):
        result.get(30)
    (dead,) = rig.queue.dead()
    assert "only_here" in dead.reason
    old.terminate()
    assert old.wait(30) == 0
    rig.start(env={"PYTHONPATH": os.pathsep.join([str(tmp_path), rig.env["PYTHONPATH"]])})
    assert rig.queue.retry_dead(result.id) == 1
    assert rig.queue.result(result.id).get(30) == only_here.Thing()


def test_tasks_that_changed_between_deploys(rig: Rig) -> None:
    """Rows 53 and 54: an unknown task is kept for a worker that knows it; one of another signature fails, once and clearly."""
    app = Path(rig.env["PYTHONPATH"].split(os.pathsep)[0]) / "fault_tasks.py"
    old = rig.log.parent / "old"
    old.mkdir()
    text = (
        app.read_text().replace("def work(n: int, seconds: float = 0.0)", "def work(n: int)").replace("if seconds:", "if False:")
    )
    (old / "fault_tasks.py").write_text(text.replace("def awork", "def another").replace("n: int, more: int = 0", "n: int"))
    worker = rig.start(env={"PYTHONPATH": os.pathsep.join([str(old), rig.env["PYTHONPATH"]])})
    unknown = rig.tasks.awork.delay(1)
    changed = rig.tasks.work.delay(2, 0.0)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        changed.get(30)
    assert changed.retries == 0
    retried = rig.tasks.changed.delay(3, 4)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given") as caught:
        retried.get(30)
    assert "sent by another version of the code" in str(caught.value.__notes__)
    assert (retried.retries, {d.id for d in rig.queue.dead()}) == (0, {changed.id, retried.id})
    wait_until(lambda: rig.redis.scard(keys.needs(rig.name)))
    with pytest.raises(TimeoutError, match=r"fault_tasks\.awork"):
        unknown.get(0.5)
    worker.terminate()
    assert worker.wait(30) == 0
    rig.start()
    assert unknown.get(30) == 1
    assert rig.queue.retry_dead(all=True) == 2
    assert (changed.get(30), retried.get(30)) == (2, 3)


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def cyclic() -> list[Any]:
    found: list[Any] = [1]
    found.append(found)
    return found


def test_arguments_that_cannot_travel(rig: Rig) -> None:
    """Rows 42, 47 and 48: `delay` raises and says which argument and why, or how large; nothing is enqueued."""
    for value in (threading.Lock(), (n for n in range(3)), sys._getframe()):
        with pytest.raises(SerializationError, match=r"argument 1 of fault_tasks\.echo cannot travel"):
            rig.tasks.echo.delay(value)
    with pytest.raises(SerializationError, match=r"argument 1 of.*deep recursion|nested too deeply"):
        rig.tasks.echo.delay(nested(100_000))
    with pytest.raises(SerializationError, match="take 70 MB pickled, but a task may have 64 MB"):
        rig.tasks.echo.delay(bytes(70 << 20))
    assert rig.unfinished() == 0
    rig.start()
    found = rig.tasks.echo.delay(cyclic()).get(30)
    assert found[1] is found
    assert len(rig.tasks.echo.delay(bytes(10 << 20)).get(30)) == 10 << 20
    rig.check_nothing_left()


GIVEN: list[tuple[str, type[BaseException], str]] = [
    ("a lock", SerializationError, "ran to its end, but its result cannot be stored"),
    ("a generator", TypeError, "returned a generator, whose body has not run"),
    ("needs two", Exception, "1 and 2"),
    ("unprintable", Exception, ""),
    ("holds a socket", RemoteError, "holds a socket"),
    ("local", Exception, "made in a function"),
    ("nested", RemoteError, "holds a socket"),
    ("huge", ValueError, "xxx"),
    ("group", ExceptionGroup, "several"),
    ("exit", RemoteError, "SystemExit: 3"),
]


def test_results_and_errors_that_cannot_travel(rig: Rig) -> None:
    """Rows 44 and 45: the failure says what happened; the process that ran the task lives on."""
    rig.start()
    sent = [(rig.tasks.give.delay(what), kind, text) for what, kind, text in GIVEN]
    for result, kind, text in sent:
        with pytest.raises(kind) as raised:
            result.get(30)
        if text:
            assert text in str(raised.value)
        assert result.retries == 0
    assert rig.tasks.work.delay(1).get(30) == 1
    assert "was killed" not in rig.said()
    assert len({line.split()[2] for line in rig.said().splitlines() if "failed after" in line}) == 1


@pytest.mark.parametrize("threads", ["-t1", "-t4"])
@pytest.mark.parametrize("what", ["exit", "interrupt", "generator exit"])
def test_what_only_ends_a_program_ends_the_task_alone(rig: Rig, what: str, threads: str) -> None:
    """Rows 10 and 11: a failure of that task, sync or async; neither the process nor its neighbours take it for a signal."""
    worker = rig.start("-p1", threads)
    (process,) = worker_processes(worker.pid)
    beside = [rig.tasks.awork.delay(50 + n, 0.3) for n in range(3)]
    sent = [task.delay(what) for _ in range(2) for task in (rig.tasks.give, rig.tasks.agive)]
    after = rig.tasks.work.map(range(20))
    kind = {"exit": "SystemExit", "interrupt": "KeyboardInterrupt", "generator exit": "GeneratorExit"}[what]
    for result in sent:
        with pytest.raises(RemoteError, match=rf"^{kind}\b"):
            result.get(30)
        assert (result.state.name, result.retries) == ("FAILURE", 0)
    assert [r.get(30) for r in beside] == [50, 51, 52]
    assert after.get(30) == list(range(20))
    assert worker_processes(worker.pid) == [process]
    assert worker.poll() is None
    assert rig.starts() == {str(n): 1 for n in (*range(20), 50, 51, 52)}
    rig.check_nothing_left()


# --- ids, results, time ----------------------------------------------------------------------------------------------


def test_ten_producers_with_one_id_make_one_task(rig: Rig) -> None:
    """Row 65."""
    threads = [threading.Thread(target=lambda n=n: rig.tasks.work.apply_async((n,), task_id="one")) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rig.unfinished() == 1
    rig.start()
    value = rig.queue.result("one").get(30)
    assert rig.tasks.work.apply_async((99,), task_id="one").get(30) == value
    assert sum(rig.starts().values()) == rig.counted("enqueued") == 1


def test_three_answers_about_a_result(rig: Rig) -> None:
    """Row 66: never sent, expired, and not yet are told apart."""
    with pytest.raises(UnknownTask, match="never sent"):
        rig.queue.result("never").get(30)
    waiting = rig.tasks.work.apply_async((1,), countdown=60)
    with pytest.raises(TimeoutError, match="scheduled"):
        waiting.get(0.1)
    rig.start()
    expired = rig.tasks.short_lived.delay(1)
    assert rig.queue.result(expired.id).get(30) == 1
    wait_until(lambda: not rig.redis.exists(keys.result(rig.name, expired.id)))
    with pytest.raises(UnknownTask, match="expired"):
        rig.queue.result(expired.id).get(30)


def test_a_task_for_next_year_is_held_by_nobody(rig: Rig) -> None:
    """Row 64: it waits in the schedule, through leases that end and workers that restart."""
    far = rig.tasks.work.apply_async((1,), countdown=400 * 86_400)
    worker = rig.start("--lease", "1")
    assert [rig.tasks.work.delay(n).get(30) for n in range(3)] == [0, 1, 2]
    worker.kill()
    rig.start("--lease", "1")
    wait_until(lambda: len(rig.registered()) == 2, what="the killed worker's leases are gone")
    assert rig.tasks.work.delay(3).get(30) == 3
    due = rig.redis.zscore(keys.scheduled(rig.name), far.id)
    assert due > time.time() * 1000 + 399 * 86_400_000
    assert (rig.unfinished(), rig.places()) == (1, 1)


# --- keys that go, or lose their other half --------------------------------------------------------------------------


def test_flushall_under_load(rig: Rig) -> None:
    """Row 76: workers go on and say once that tasks are gone; what is sent afterwards is done."""
    worker = rig.start("-p2")
    slow = rig.send(rig.tasks.work, 0, 1.0)
    wait_until(lambda: rig.starts()["0"])
    with Load(rig) as load:
        for _ in range(3):
            enough = len(load.results) + 50
            wait_until(lambda enough=enough: len(load.results) > enough)
            rig.redis.flushall()
        took = seconds_until(lambda: rig.send(rig.tasks.work, 1).get(30) == 1)
    report("FLUSHALL", [took])
    with pytest.raises(UnknownTask):
        slow.get(30)
    wait_until(lambda: len(rig.registered()) >= 3, what="all workers have registered again")
    wait_until(rig.is_settled)
    assert len(rig.registered()) <= 4
    assert worker.poll() is None
    assert "Traceback" not in rig.said()
    assert rig.tasks.work.delay(5).get(30) == 5


def test_half_of_what_belongs_together(rig: Rig) -> None:
    """Row 71: holds without a lease, a lease without holds, tasks that stand nowhere: all run again, nothing stays."""
    n = rig.name
    results = [rig.tasks.work.delay(k) for k in range(6)]
    ids = [r.id for r in results]
    rig.redis.zrem(keys.ready(n), *ids[:4])
    rig.redis.hset(keys.held(n, "no-lease"), mapping={ids[0]: "1 s 100", ids[1]: "1 s 101"})
    rig.redis.zadd(keys.workers(n), {"no-holds": 1})
    rig.start("--lease", "1")
    assert [r.get(30) for r in results] == list(range(6))
    wait_until(rig.is_settled)
    wait_until(lambda: len(rig.registered()) == 2, what="the lease without holds is struck off")
    rig.check_nothing_left()


def cpu_seconds(rig: Rig) -> float:
    """Return how much the server has worked."""
    told = rig.redis.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


def test_a_hundred_thousand_orphans(rig: Rig) -> None:
    """Row 72: a dead worker's holds go back in small steps; nobody waits for Redis long meanwhile."""
    n, count = rig.name, 100_000
    data = captured(rig, rig.tasks.work, 1)
    for start in range(0, count, 10_000):
        some = [f"orphan-{k}" for k in range(start, start + 10_000)]
        rig.redis.hset(keys.tasks(n), mapping=dict.fromkeys(some, data))
        rig.redis.hset(keys.held(n, "dead"), mapping={task_id: f"1 s {k}" for k, task_id in enumerate(some, start)})
    rig.redis.zadd(keys.workers(n), {"dead": 1})
    rig.queue.pause()
    rig.redis.config_resetstat()
    rig.redis.config_set("slowlog-log-slower-than", 50_000)
    rig.redis.slowlog_reset()
    before = cpu_seconds(rig)
    waits: list[float] = []
    rig.start("--lease", "1")
    ready = keys.ready(n)

    def look() -> bool:
        began = time.monotonic()
        moved = rig.redis.zcard(ready)
        waits.append(time.monotonic() - began)
        return moved == count

    took = seconds_until(look, 20)
    report("100,000 orphans put back", [took])
    assert rig.redis.hlen(keys.held(n, "dead")) == 0
    assert "dead" not in rig.registered()
    slow = [entry for entry in rig.redis.slowlog_get() if b"EVAL" in entry["command"]]
    calls = rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    spent = (cpu_seconds(rig) - before) / calls
    report("  CPU of Redis a script call", [spent])
    assert spent < 0.010
    assert len(slow) <= calls // 20, f"of {calls} script calls {len(slow)} held Redis for more than 50 ms"  # a busy machine


def test_a_mixed_run_leaves_no_key(rig: Rig) -> None:
    """Row 78: results, errors, retries, revokes, schedules, waits, restarts; what stays has a TTL or an owner."""
    worker = rig.start("-p2")
    results = rig.tasks.work.map(range(50))
    failed = rig.tasks.give.delay("needs two")
    retried = [rig.tasks.flaky.delay(n, 2) for n in range(5)]
    revoked = rig.tasks.work.apply_async((1,), countdown=60)
    assert revoked.revoke() == "revoked"
    with pytest.raises((ConnectionFailed, TimeoutError)):
        rig.tasks.work.apply_async((1,), countdown=0.5).get(0.1)
    assert results.get(30) == list(range(50))
    assert [r.get(30) for r in retried] == list(range(5))
    with pytest.raises(Exception, match=r"^1 and 2$"):
        failed.get(30)
    wait_until(rig.is_settled)
    rig.check_nothing_left()
    worker.terminate()
    assert worker.wait(30) == 0
    rig.check_nothing_left()
    left = [k for k in rig.redis.scan_iter(match=f"*{rig.name}*") if rig.redis.ttl(k) == -1]
    kinds = {k.decode().partition("}:")[2] for k in left}
    assert kinds <= {"seq", "stats", "accounts", "enqueued", "bell", "bell:async", "dead", "dead:bytes", "dead:tasks"}
