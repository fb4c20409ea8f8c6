"""examples/redis-acl.conf: each of its users can do what it is for, and no more; on real servers that have these users."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from hotqueue import ConnectionFailed, DuplicateTask, HotQueue, SerializationError, keys
from hotqueue.cli import admin
from hotqueue.errors import TaskRevoked, TimeLimitExceeded
from hotqueue.tasks import State, group
from hotqueue.tasks.broker.audit import Audit
from tests.support.elsewhere import task_by_name
from tests.support.processes import ROOT, frozen, run_command, worker_processes
from tests.support.servers import RedisServer, binaries
from tests.support.waiting import wait_until

FILE = ROOT / "examples" / "redis-acl.conf"
USERS = {line.split()[1]: line.split()[2:] for line in FILE.read_text().splitlines() if line.startswith("user ")}
NAME = "acl-test"


class Server:
    """A server with the users of the file."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.admin = redis.Redis.from_url(self.url("hotqueue-admin"))

    def url(self, user: str) -> str:
        return f"redis://{user}:change-me-{user.removeprefix('hotqueue-')}@127.0.0.1:{self.server.port}/1"

    def refused(self) -> list[tuple[str, str]]:
        """Return what was refused: user and command or key; but redis-py's introduction may be."""
        told = self.admin.acl_log(100)
        found = [(entry["username"], entry["object"]) for entry in told]
        return [each for each in found if not each[1].startswith("client")]

    def contents(self) -> dict[bytes, bytes | None]:
        """Return all that is in it, but for what expires within minutes, by itself."""
        kept = [key for key in self.admin.scan_iter() if not 0 < self.admin.pttl(key) < 300_000]
        return {key: self.admin.dump(key) for key in kept}


# The server of all tests; and the one that the embedded package brings, when that is another one.
TESTED = dict(zip(("server", "embedded"), dict.fromkeys([*binaries()[:1], *binaries()[-1:]]), strict=False))


@pytest.fixture(params=TESTED)
def server(
    request: pytest.FixtureRequest, start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """Each of the servers, with the users of the file."""
    monkeypatch.setenv("HOTQUEUE_TEST_SERVER", TESTED[request.param])
    made = Server(start_redis("--include", str(FILE)))
    yield made
    made.admin.close()


# --- what each one can do ----------------------------------------------------------------------------------------------


def test_a_plain_user_can_use_queues(server: Server, start_python: Callable[..., Any]) -> None:
    url = server.url("hotqueue-plain")
    with HotQueue(NAME, url=url, max_queue_length=100) as queue:
        queue.put(1, 2, 3)
        assert (len(queue), queue.get(), queue.get(block=True, timeout=1)) == (3, 2 - 1, 2)
        seen: list[Any] = []

        @queue.worker(block=False)
        def work(message: Any) -> None:
            seen.append(message)
            if message == "bad":
                raise LookupError

        work()
        queue.put("bad")
        for _ in range(5):  # the fifth time it is over
            with pytest.raises(LookupError):
                work()
        assert seen == [3] + 5 * ["bad"]
        queue._store.command(queue.key, "RPUSH", queue.key, b"no pickle")
        with pytest.raises(SerializationError, match="moved to"):
            queue.get()
        queue.put("held")
        code = """
            import sys
            from hotqueue import HotQueue
            for message in HotQueue(sys.argv[1], url=sys.argv[2]).consume():
                input(print(message))
        """
        holder = start_python(dedent(code), NAME, url)
        assert "held" in holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
        with closing(queue.consume(timeout=10)) as messages:
            assert next(messages) == "held"
        queue.clear()
        asyncio.run(_use_from_a_loop(queue))
    assert server.admin.llen(keys.dead_messages(NAME)) == 2
    assert server.refused() == []


async def _use_from_a_loop(queue: HotQueue) -> None:
    async with queue:
        await queue.aput("a", "b", "c")
        assert await queue.aget() == "a"
        assert [message async for message in queue.aconsume(block=False)] == ["b", "c"]
        queue.put("undone")
        waiting = asyncio.create_task(queue.aget(block=True))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await queue.aget(block=True, timeout=30) == "undone"


APP = """
    import os, threading
    from pathlib import Path
    from hotqueue import HotQueue
    from hotqueue.tasks import current_task
    from tests.support.durations import take_time
    queue = HotQueue(os.environ["QUEUE"])  # at $HOTQUEUE_URL

    @queue.task
    def add(a, b): return a + b

    @queue.task
    async def aadd(a, b): return a + b

    @queue.task(retries=2, default_retry_delay=0.01, retry_backoff=False)
    def flaky():
        current_task.update_progress(1, 2)
        current_task.log("half")
        if current_task.request.retries < 2: raise OSError("not yet")
        return "at last"

    @queue.task(stream_max=2)
    def count(n): yield from range(n)

    @queue.task
    def fail(): raise ValueError("no")

    @queue.task(time_limit=0.3)
    def slow(): take_time(60)

    @queue.task
    def wait(): take_time(60)

    @queue.task
    def die(folder):
        flag = Path(folder, "died")
        if not flag.exists():
            flag.touch()
            os.abort()
        return "survived"

    @queue.task
    def parent(): return add.delay(1, 1).id

    queue.periodic(60, name="declared", args=(1, 2))(add)
"""


def task(queue: HotQueue, name: str) -> Any:
    return task_by_name(queue, f"acl_app.{name}", name == "aadd")


def test_clients_and_workers_can_use_tasks(server: Server, tmp_path: Path, start_command: Callable[..., Any]) -> None:
    (tmp_path / "acl_app.py").write_text(dedent(APP))
    env = {"QUEUE": NAME, "HOTQUEUE_URL": server.url("hotqueue-worker")}
    with HotQueue(NAME, url=server.url("hotqueue-client")) as queue:
        with open(tmp_path / "log", "w") as log:
            worker = start_command("hotqueue-worker", "acl_app", "-p", "2", env=env, cwd=tmp_path, stdout=log, stderr=log)
        try:
            _use_tasks(queue, tmp_path)
            _use_a_bound(server.url("hotqueue-client"))
            _use_schedules(queue)
            _use_another_queue(queue, server.url("hotqueue-client"))
            worker.terminate()
            assert worker.wait(20) == 0
        finally:
            said = (tmp_path / "log").read_text()
            print(said)
        assert "trying again" not in said
        assert not [line for line in said.splitlines() if "NOPERM" in line]
    assert server.refused() == []


def _use_a_bound(url: str) -> None:
    with HotQueue(NAME, url=url, max_waiting=5, enqueue_timeout=20) as queue:
        queue.pause()
        results = [queue.send("acl_app.add", (n, n)) for n in range(5)]
        threading.Timer(0.2, queue.resume).start()
        results += [queue.send("acl_app.add", (n, n)) for n in range(5, 20)]
        assert [r.get(timeout=30) for r in results] == [2 * n for n in range(20)]


def _use_another_queue(queue: HotQueue, url: str) -> None:
    """Steps of a workflow in a queue that has no workers: whoever sends it brings them there, and whoever revokes it says so."""
    with HotQueue(f"{NAME}-there", url=url) as there:
        results = group(task(queue, "add").s(1, 2), task(there, "add").s(1, 2)).delay()
        assert there.pending() == 1
        assert next(iter(results)).get(timeout=30) == 3
        assert results.revoke() == 1
        assert there.pending() == 0


def _use_schedules(queue: HotQueue) -> None:
    made = queue.schedule("s", 0.2, task(queue, "add"), (1, 2))
    wait_until(lambda: [each for each in queue.schedules() if each.name == "s" and each.last_result], what="it fires")
    assert made.trigger().get(timeout=30) == 3
    made.pause()
    made.resume()
    made.update(when=60)
    assert [(each.name, each.when) for each in queue.schedules()] == [("declared", 60), ("s", 60)]
    made.remove()
    assert queue.schedules()[0].declared_by != []


def _use_tasks(queue: HotQueue, folder: Path) -> None:
    add = task(queue, "add")
    results = [add.delay(n, n) for n in range(50)]
    assert [r.get(timeout=30) for r in results] == [2 * n for n in range(50)]
    assert task(queue, "aadd").delay(1, 2).get(timeout=30) == 3
    assert add.delay("x" * 99_999, "y").get(timeout=30) == "x" * 99_999 + "y"
    assert queue.submit(lambda: "by value").get(timeout=30) == "by value"
    assert add.apply_async((1, 2), countdown=0.05, priority=5).get(timeout=30) == 3
    flaky = task(queue, "flaky").delay()
    assert (flaky.get(timeout=30), flaky.retries) == ("at last", 2)
    assert flaky.progress == {"done": 1, "total": 2, "message": ""}
    assert queue.result(task(queue, "parent").delay().get(timeout=30)).get(timeout=30) == 2
    counted = task(queue, "count").delay(9)
    assert list(counted.stream(timeout=30))[-2:] == list(counted.stream()) == [7, 8]
    fail = task(queue, "fail").delay()
    with pytest.raises(ValueError, match="no"):
        fail.get(timeout=30)
    assert (fail.state, [d.id for d in queue.dead()], queue.retry_dead(fail)) == (State.FAILURE, [fail.id], 1)
    wait_until(lambda: [d.id for d in queue.dead()] == [fail.id])
    assert (queue.discard_dead(all=True), list(queue.dead())) == (1, [])
    with pytest.raises(TimeLimitExceeded):
        task(queue, "slow").delay().get(timeout=30)
    assert task(queue, "die").delay(str(folder)).get(timeout=30) == "survived"
    later = add.apply_async((1, 2), countdown=600)
    assert (later.revoke(), queue.scheduled()) == ("revoked", 0)
    waiting = task(queue, "wait").delay()
    wait_until(lambda: waiting.state is State.STARTED)
    assert waiting.revoke(terminate=True) == "running, being stopped"
    with pytest.raises(TaskRevoked):
        waiting.get(timeout=30)
    unknown = task(queue, "nowhere").delay()
    wait_until(lambda: queue._tasks.broker.counts()["parked"])
    with pytest.raises(TimeoutError, match="no worker of queue"):
        unknown.get(timeout=0.05)
    assert unknown.revoke() == "revoked"
    queue.pause()
    first = add.apply_async((5, 5), unique=True)
    with pytest.raises(DuplicateTask):
        add.apply_async((5, 5), unique=True)
    assert add.apply_async((5, 5), unique=True, on_conflict="replace").revoke() == "revoked"
    assert first.state is State.REVOKED
    held_back = add.delay(1, 1)
    with pytest.raises(TimeoutError, match="is paused"):
        held_back.get(timeout=0.05)
    queue.resume()
    assert held_back.get(timeout=30) == 2
    held_back.forget()
    assert (queue.pending(), queue.running(), len(queue.workers()) >= 2) == (0, 0, True)
    queue.put("a message")
    assert queue.get() == "a message"
    assert asyncio.run(_use_tasks_from_a_loop(queue, add)) == 7


async def _use_tasks_from_a_loop(queue: HotQueue, add: Any) -> int:
    try:
        return int(await (await add.adelay(3, 4)))
    finally:
        await queue._store.leave_loop()


def test_a_worker_can_mend_its_queue(server: Server) -> None:
    """What happens seldom: orphans, unknown queues, counters of yesterday, another's leases, very many held by one that died."""
    with HotQueue(NAME, url=server.url("hotqueue-worker")) as queue:
        broker = queue._tasks.broker
        result = task(queue, "add").delay(1, 2)
        server.admin.delete(keys.ready(NAME))
        assert Audit(broker).portion() == 1
        server.admin.hset(keys.held(NAME, "gone"), mapping={f"id-{n}": "1 s 5" for n in range(1500)})
        server.admin.hset(keys.tasks(NAME), "id-7", "\1sd")
        assert Audit(broker).portion() > 0
        server.admin.hset(keys.stats(NAME), "5:succeeded", 1)
        broker.trim_stats(100)
        broker.promote()
        broker.sweep(1000, ["x"])
        assert result.revoke() == "revoked"
    assert server.refused() == []


def test_a_watcher_can_watch(server: Server) -> None:
    with HotQueue(NAME, url=server.url("hotqueue-client")) as queue:
        queue.put(1, 2)
        task(queue, "add").delay(1, 2)
    env = {"HOTQUEUE_URL": server.url("hotqueue-watch")}
    assert run_command("hotwatch", env=env, check=True).stdout == f"{NAME}: 3 items\n"
    assert run_command("hotwatch", NAME, env=env, check=True).stdout == f"{NAME}: 3 items\n"
    assert "2 messages, 1 waiting task, schema 1" in run_command("hotqueue", "info", env=env, check=True).stdout
    assert server.refused() == []
    with HotQueue(NAME, url=server.url("hotqueue-client")) as queue:
        queue.pause(task="add")
    assert run_command("hotwatch", NAME, env=env, check=True).stdout == f"{NAME}: 3 items, paused: ?\n"  # it reads no values


def test_a_reader_can_read_all_and_changes_nothing(server: Server, tmp_path: Path, start_command: Callable[..., Any]) -> None:
    (tmp_path / "acl_app.py").write_text(dedent(APP))
    worker_env = {"QUEUE": NAME, "HOTQUEUE_URL": server.url("hotqueue-worker")}
    with HotQueue(NAME, url=server.url("hotqueue-client")) as queue:
        with open(tmp_path / "log", "w") as log:
            worker = start_command("hotqueue-worker", "acl_app", "-p", "1", env=worker_env, cwd=tmp_path, stdout=log, stderr=log)
        running, failed = task(queue, "wait").delay(), task(queue, "fail").apply_async(priority=9)
        at_gate = [task(queue, "add").apply_async((n, 2), max_concurrency=1, expires=600) for n in range(3)]
        wait_until(lambda: running.state is State.STARTED and failed.state is State.FAILURE, 60)
        wait_until(lambda: any(b":schedules" in key for key in server.contents()))
        ids = [running.id, failed.id, *(each.id for each in at_gate), task(queue, "none").apply_async(countdown=900).id]
    with frozen([worker.pid, *worker_processes(worker.pid)]):  # its upkeep would count, promote and extend meanwhile
        wait_until(lambda: server.contents() == server.contents())  # the server has what it had sent
        before = server.contents()
        env = {"HOTQUEUE_URL": server.url("hotqueue-read")}
        for command in ("info", "tasks", "workers", "schedules", *(f"show {task_id}" for task_id in ids)):
            done = CliRunner().invoke(admin.hotqueue, command.split(), env=env, catch_exceptions=False)
            assert done.exit_code == 0
            assert NAME in done.output
        assert server.refused() == []
        after = server.contents()
        assert {key for key in before if after.get(key) != before[key]} == set()
    worker.kill()


def test_a_client_can_act_from_the_command_line(server: Server) -> None:
    env = {"HOTQUEUE_URL": server.url("hotqueue-client")}
    commands = f"""
        enqueue acl_app.add 1 2 -Q {NAME} --id one
        tasks -Q {NAME}
        pause {NAME} --task acl_app.add
        resume {NAME} --task acl_app.add
        revoke one -Q {NAME} --yes
        purge {NAME} --yes
        workers -Q {NAME}
        schedules -Q {NAME}
    """
    for command in filter(None, map(str.strip, commands.splitlines())):
        done = CliRunner().invoke(admin.hotqueue, command.split(), env=env, catch_exceptions=False)
        assert (done.exit_code, command) == (0, command), done.output
    assert {what for _, what in server.refused()} <= {"scan"}  # `enqueue` would tell of queues with names like that of a new one
    done = CliRunner().invoke(admin.hotqueue, ["tasks"], env=env)
    assert "this user may not list keys, so name queues with -Q" in done.output


def _sorted(rules: Any) -> Any:
    return sorted(map(str, rules)) if isinstance(rules, list) else rules


def test_as_an_aclfile_it_says_the_same(start_redis: Callable[..., RedisServer], tmp_path: Path, server: Server) -> None:
    (tmp_path / "users.acl").write_text("".join(f"{x}\n" for x in FILE.read_text().splitlines() if x.startswith("user")))
    other = Server(start_redis("--aclfile", str(tmp_path / "users.acl")))
    assert set(other.admin.acl_users()) == set(server.admin.acl_users()) == set(USERS)
    for user in set(USERS) - {"default"}:
        one, two = (each.admin.acl_getuser(user) for each in (server, other))
        assert {part: _sorted(one[part]) for part in one} == {part: _sorted(two[part]) for part in two}
    other.admin.close()


NO = r"(?i)no permission|NOPERM|can't access|can't run"
CLIENT_SCRIPTS = (
    "shared/prelude",
    "shared/bells",
    "shared/results",
    "shared/dead_list",
    "shared/types",
    "shared/ending",
    "shared/history",
    "shared/turns",
    "shared/rates",
    "shared/lanes",
    "at_gate",
    "why",
    "enqueue",
    "enqueue_one",
    "wait",
    "look",
    "revoke",
    "revive",
    "discard",
    "expire",
    "list_expired",
    "unstarted",
    "shared/history",
    "shared/owning",
    "own",
    "let_go",
    "forget",
    "shared/firing",
    "due_schedules",
    "set_schedules",
)


# --- and no more -------------------------------------------------------------------------------------------------------


def test_a_plain_user_cannot_touch_tasks(server: Server) -> None:
    with (
        HotQueue(NAME, url=server.url("hotqueue-plain")) as queue,
        pytest.raises(ConnectionFailed, match=r"NOPERM.*check the user name, the password and the user's permissions"),
    ):
        task(queue, "add").delay(1, 2)
    assert server.admin.keys() == []


@pytest.mark.parametrize("user", [user for user in USERS if user not in ("default", "hotqueue-admin")])
def test_nobody_reaches_other_keys_or_the_server(server: Server, user: str) -> None:
    server.admin.set("session:1", "secret")
    commands = [
        "GET session:1",
        "SET session:1 x",
        "DEL session:1",
        "LLEN session:1",
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "CONFIG GET *",
    ]
    commands += ["SHUTDOWN", "MONITOR", "ACL LIST", "CLIENT KILL 1", "SAVE", "REPLICAOF h 1", "SCRIPT FLUSH"]
    commands += ["MODULE LIST", "RENAME hotqueue:a session:1", "MIGRATE h 1 hotqueue:a 0 1", "SUBSCRIBE x", "PUBLISH x y"]
    with redis.Redis.from_url(server.url(user)) as client:
        for command in commands:
            with pytest.raises(redis.ResponseError, match=NO):
                client.execute_command(*command.split())
        if "+eval" in USERS[user]:
            with pytest.raises(redis.ResponseError, match=NO):
                client.eval("return redis.call('GET', 'session:1')", 0)
    assert server.admin.get("session:1") == b"secret"


def test_who_does_not_log_in_can_do_nothing(server: Server) -> None:
    for url in (f"redis://127.0.0.1:{server.server.port}", f"redis://hotqueue-client:wrong@127.0.0.1:{server.server.port}"):
        with HotQueue(NAME, url=url) as queue, pytest.raises(ConnectionFailed, match="check the user name, the password"):
            queue.put(1)


def _in_lua(folder: str) -> set[str]:
    paths = (ROOT / "hotqueue" / folder).rglob("*.lua")
    found = "".join(path.read_text() for path in paths if path.stem not in _for_admins())
    return {name.lower() for name in re.findall(r"redis\.p?call\('([A-Z]+)'", found)}


def _for_admins() -> set[str]:
    """The scripts of `hotqueue embedded export` alone: copying whole queues is for hotqueue-admin."""
    room = ROOT / "hotqueue/transfer/copying.py"
    rooms = [path for path in (ROOT / "hotqueue").rglob("*.py") if path != room]
    own = set(re.findall(r'"(\w+)"', "".join(re.findall(r"scripts\.load\(.*", room.read_text()))))
    assert len(own) >= 5
    return own - set(re.findall(r'"(\w+)"', "".join(path.read_text() for path in rooms)))


def _in_python(*names: str) -> set[str]:
    found = "".join(path.read_text() for name in names for path in (ROOT / "hotqueue").glob(name))
    return {name.lower() for name in re.findall(r'"([A-Z]{3,12})"', found)} | {"ping", "select", "scan"}


def granted(user: str) -> set[str]:
    return {rule[1:] for rule in USERS[user] if rule.startswith("+")}


def test_each_granted_command_is_one_that_hotqueue_sends() -> None:
    plain = _in_lua("messages/lua") | _in_python("queue.py", "messages/*.py", "store/*.py")
    tasks = plain | _in_lua("tasks/broker/lua") | _in_python("tasks/**/*.py")
    reads = _in_python("monitor/*.py", "tasks/**/*.py", "store/*.py") | _in_lua("tasks/broker/lua")
    assert granted("hotqueue-read") - reads == set()
    assert granted("hotqueue-watch") < granted("hotqueue-read")
    watch = _in_python("monitor/*.py", "tasks/broker/*.py", "store/*.py")
    assert granted("hotqueue-plain") - plain == set()
    assert granted("hotqueue-client") - tasks == set()
    assert granted("hotqueue-worker") - tasks == set()
    assert granted("hotqueue-watch") - watch == set()


def test_each_command_of_the_scripts_is_granted() -> None:
    assert _in_lua("messages/lua") - granted("hotqueue-plain") == set()
    assert (_in_lua("messages/lua") | _in_lua("tasks/broker/lua")) - granted("hotqueue-worker") == set()
    text = "".join((ROOT / "hotqueue/tasks/broker/lua" / f"{s}.lua").read_text() for s in CLIENT_SCRIPTS)
    assert {n.lower() for n in re.findall(r"redis\.p?call\('([A-Z]+)'", text)} - granted("hotqueue-client") == set()
    assert granted("hotqueue-plain") < granted("hotqueue-client") < granted("hotqueue-worker")
