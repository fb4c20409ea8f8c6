"""Standard streams that are closed, full, broken, stopped or of another encoding, in any process of ours, at any time.

The kind: each of the three descriptors, at the start or later; supervisor, worker process, task, embedded server and its
guardian; `hotqueue`, `hotwatch`. The work goes on, and ends with the code that it would have; nothing of ours gets a number
of a standard stream; no process gets back into the frames of its parent. A task that prints in vain fails like any other;
a command that prints its answer in vain says so. Running out of descriptors is of the same files.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.runtime.wake_pipe import readable
from tests.support.elsewhere import task_by_name
from tests.support.processes import command_code, environment, run_command, run_python, worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("embedded")

APP = """
import os, sys
from hotqueue import HotQueue
from tests.support.durations import take_time
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])

@queue.task
def square(n): return n * n

@queue.task
def fail(): raise ValueError("n\\u00e9e")

@queue.task
def say(text, times=1):
    for _ in range(times):
        print(text)
    return os.getpid()

@queue.task
def close_all():
    sys.stdout.close(); sys.stderr.close()
    os.close(0); os.close(1); os.close(2)
    return os.getpid()

@queue.task
def descriptors():
    return {n: os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)}

@queue.task
def nap(seconds):
    open("napping", "w").close()
    take_time(seconds)
    return "woken"
"""


class Shell:
    """Starts workers as a shell does, and asks their tasks."""

    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        self.folder, self.queue = folder, queue
        (folder / "app.py").write_text(APP)
        self.env = environment({"QUEUE": queue.name, "STORE": url, "PYTHONUNBUFFERED": ""})
        self.started: list[subprocess.Popen[bytes]] = []
        self.leaders: list[int] = []

    def start(self, redirections: str, *options: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a worker; `redirections` as in a shell, `exec` included where it stands before them."""
        command = shlex.join([sys.executable, "-c", command_code("hotqueue-worker"), "app", "-p", "1", *options])
        env = {**self.env, **env}
        process = subprocess.Popen(["bash", "-c", f"exec {command} {redirections}"], cwd=self.folder, env=env)
        self.started.append(process)
        return process

    def ask(self, name: str, *args: Any) -> Any:
        return self.task(name).delay(*args).get(timeout=30)

    def task(self, name: str) -> Any:
        return task_by_name(self.queue, f"app.{name}")

    def on_a_terminal(self, shell: str = "") -> tuple[int, int]:
        """Start a worker as the leader of a session with a terminal of its own; return its pid and our end of the terminal.

        Args:
            shell: what /bin/sh does before.
        """
        worker = [sys.executable, "-c", command_code("hotqueue-worker"), "app", "-p", "1"]
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve("/bin/sh", ["/bin/sh", "-c", f"{shell} exec {shlex.join(worker)}"], self.env)
        self.leaders.append(pid)
        return pid, master


@pytest.fixture
def shell(tmp_path: Path, make_queue: Callable[..., HotQueue], store_url: str) -> Iterator[Shell]:
    made = Shell(tmp_path, make_queue(), store_url)
    yield made
    for process in made.started:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
    for pid in made.leaders:
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    made.queue.discard_dead(all=True)


CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full", "2> >(exec true)"]


@pytest.mark.parametrize("redirections", CLOSED)
def test_a_worker_works_whatever_its_streams_are(redirections: str, shell: Shell) -> None:
    worker = shell.start(redirections)
    assert shell.ask("square", 3) == 9
    with pytest.raises(ValueError, match="née"):
        shell.ask("fail")
    before = shell.ask("descriptors")
    assert not [path for path in before.values() if path.startswith("socket:") or "present-" in path or ".lock" in path]
    [child] = worker_processes(worker.pid)
    os.kill(child, signal.SIGKILL)  # it is replaced, and the next one works too
    assert shell.ask("square", 4) == 16
    worker.terminate()
    assert worker.wait(20) == 0


def test_nobody_reads_on_after_the_first_line(shell: Shell) -> None:
    worker = shlex.join([sys.executable, "-c", command_code("hotqueue-worker"), "app", "-p", "1", "-v"])
    process = subprocess.Popen(
        ["bash", "-c", f"{worker} 2>&1 | head -1"], cwd=shell.folder, env=shell.env, start_new_session=True
    )
    try:
        assert [shell.ask("square", n) for n in range(20)] == [n * n for n in range(20)]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_a_task_that_prints_in_vain_fails_and_no_other(shell: Shell) -> None:
    shell.start("> >(exec true) 2>/dev/null")
    assert shell.ask("square", 2) == 4
    with pytest.raises(BrokenPipeError):
        shell.ask("say", "x" * 100_000)
    with pytest.raises(BrokenPipeError):
        shell.ask("say", "one line")
    assert shell.ask("square", 3) == 9


def test_what_a_task_prints_is_there_at_once_and_once(shell: Shell, tmp_path: Path) -> None:
    shell.start(">out 2>err", "-p", "2")
    pid = shell.ask("say", "né", 3)
    assert (tmp_path / "out").read_text() == "né\n" * 3
    os.kill(pid, signal.SIGKILL)
    assert shell.ask("say", "again") != pid
    shell.started[0].terminate()
    shell.started[0].wait(20)
    assert (tmp_path / "out").read_text() == "né\n" * 3 + "again\n"


def test_a_task_may_close_them_all(shell: Shell, tmp_path: Path) -> None:
    worker = shell.start(">out 2>err", "--max-tasks", "1")
    before = shell.ask("close_all")
    assert shell.ask("say", "hello") != before
    worker.terminate()
    assert worker.wait(20) == 0
    assert "Traceback" not in (tmp_path / "err").read_text()


def test_a_dying_child_says_nothing_of_its_supervisors_frames(shell: Shell, tmp_path: Path) -> None:
    worker = shell.start(">/dev/full 2>err", "--max-tasks", "1")
    with pytest.raises(OSError, match="No space left"):
        shell.ask("say", "in vain")
    assert shell.ask("square", 2) == 4
    worker.terminate()
    assert worker.wait(20) == 0
    assert "Traceback" not in (tmp_path / "err").read_text()


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"}])
@pytest.mark.parametrize("form", ["text", "json"])
def test_any_encoding_will_do(env: dict[str, str], form: str, shell: Shell, tmp_path: Path) -> None:
    worker = shell.start(">out 2>err", "-v", "--log-format", form, **env)
    with pytest.raises(ValueError, match="née"):
        shell.ask("fail")
    assert shell.ask("say", "naïve 名")
    worker.terminate()
    assert worker.wait(20) == 0
    lines = (tmp_path / "err").read_bytes().splitlines()
    if form == "json":
        told = [json.loads(line) for line in lines]
        assert any("née" in each["message"] for each in told)
    else:
        assert any(b"ValueError: n" in line for line in lines)
    assert b"na" in (tmp_path / "out").read_bytes()


def test_a_reader_that_stops_reading_stops_no_work(shell: Shell) -> None:
    read, write = os.pipe()
    command = [sys.executable, "-c", command_code("hotqueue-worker"), "app", "-p", "1", "-v"]
    worker = subprocess.Popen(command, cwd=shell.folder, env=shell.env, stderr=write)
    shell.started.append(worker)
    os.close(write)
    assert shell.ask("square", 2) == 4
    square = shell.task("square")
    for n in range(1500):  # far more lines than a pipe takes
        last = square.delay(n)
    assert last.get(timeout=60) == 1499**2
    os.close(read)
    assert shell.ask("square", 3) == 9


def test_the_embedded_server_and_its_guardian_have_no_stream_of_ours(tmp_path: Path, queue_name: str) -> None:
    code = """
    import os, sys
    from hotqueue import HotQueue
    queue = HotQueue("q", dbfilename=sys.argv[1])
    queue.put(1)
    assert queue.get() == 1
    for lock in ("users.lock", "start.lock", "server.lock"):
        assert os.path.exists(f"{sys.argv[1]}.hotqueue/{lock}")
    held = [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")
            and os.readlink(f"/proc/self/fd/{fd}").endswith(".lock")]
    assert all(int(fd) > 2 for fd in held), held
    os._exit(0)
    """
    script = tmp_path / "program.py"
    script.write_text("\n".join(line.removeprefix("    ") for line in code.splitlines()))
    shell = f"exec {shlex.join([sys.executable, str(script), str(tmp_path / 'x.rdb')])} <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", shell], env=environment(), timeout=60).returncode == 0


# --- commands ------------------------------------------------------------------------------------------------------


def bash(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], env=environment(env), text=True, capture_output=True, timeout=60)


def command(name: str, *arguments: str) -> str:
    return shlex.join([sys.executable, "-c", command_code(name), *arguments])


def test_a_watch_that_nobody_reads_ends_quietly_as_other_tools_do(make_queue: Callable[..., HotQueue], store_url: str) -> None:
    queue = make_queue()
    queue.put(1)
    watch = command("hotwatch", "--url", store_url, queue.name, queue.name)
    done = bash(f"{watch} | head -1; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.splitlines() in (
        [f"{queue.name}: 1 items", code] for code in ("0", "141")
    )  # the second line may get through
    assert done.stderr == ""
    done = bash(f"{watch} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("name", ["hotwatch", "hotqueue"])
def test_an_answer_that_cannot_be_written_is_an_error_in_one_line(
    name: str, make_queue: Callable[..., HotQueue], store_url: str
) -> None:
    make_queue().put(1)
    arguments = ("--url", store_url) if name == "hotwatch" else ("info", "--url", store_url)
    done = bash(f"{command(name, *arguments)} > /dev/full")
    assert (done.returncode, done.stderr) == (1, f"{name}: cannot write to standard output: No space left on device\n")


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("name", ["hotwatch", "hotqueue"])
def test_commands_end_well_without_streams(
    name: str, redirections: str, make_queue: Callable[..., HotQueue], store_url: str
) -> None:
    make_queue().put(1)
    arguments = ("--url", store_url) if name == "hotwatch" else ("info", "--url", store_url)
    assert bash(f"{command(name, *arguments)} {redirections}").returncode == 0


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full", "2> >(exec true)"])
def test_a_mistake_has_its_code_though_nobody_hears_of_it(redirections: str) -> None:
    assert bash(f"{command('hotqueue-worker', '--nonsense')} {redirections}").returncode == 2
    assert bash(f"{command('hotwatch', '--nonsense')} {redirections}").returncode == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_the_terminal_cannot_show_are_shown_somehow(encoding: str, store_url: str, key_leaks: object) -> None:
    with HotQueue("名前 😀", url=store_url) as queue:
        queue.put(1)
        arguments = ("hotwatch", queue.name, "--url", store_url)
        done = run_command(*arguments, env={"PYTHONIOENCODING": encoding}, encoding="utf-8")
        assert done.stdout in ("\\u540d\\u524d \\U0001f600: 1 items\n", "名前 😀: 1 items\n")  # click writes UTF-8 for ASCII
        done = run_command(*arguments, "--json", env={"PYTHONIOENCODING": encoding}, encoding="utf-8")
        assert json.loads(done.stdout)[0]["name"] == queue.name
        queue.clear()


def test_too_few_descriptors_for_a_worker_are_called_that(shell: Shell) -> None:
    command = [sys.executable, "-c", command_code("hotqueue-worker"), "app", "-p", "1"]
    code = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)); os.execv(sys.executable, {command!r})"
    done = run_python(code, env=shell.env, cwd=shell.folder, check=False)
    assert done.returncode == 1
    assert (
        done.stderr == "hotqueue-worker: no process can be started: this process has too many open files (limit 9: ulimit -n)\n"
    )


# --- terminals -----------------------------------------------------------------------------------------------------


def exit_code(pid: int, master: int | None = None) -> int:
    """Wait for the end of a leader; read what it writes to its terminal meanwhile, so that it can."""

    def ended() -> list[int]:
        if master is not None and readable([master], 0):
            with contextlib.suppress(OSError):
                os.read(master, 65536)
        found, status = os.waitpid(pid, os.WNOHANG)
        return [os.waitstatus_to_exitcode(status)] if found else []

    return wait_until(ended)[0]


def test_a_worker_ends_with_its_terminal(shell: Shell) -> None:
    pid, master = shell.on_a_terminal()
    assert shell.ask("square", 3) == 9
    os.close(master)
    assert exit_code(pid) == 0


def test_a_worker_of_a_terminal_takes_hup_for_a_stop_however_often_it_comes(shell: Shell) -> None:
    pid, master = shell.on_a_terminal()
    running = shell.task("nap").delay(1.0)
    wait_until((shell.folder / "napping").exists)
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: b"SIGHUP" in os.read(master, 65536))
    os.kill(pid, signal.SIGHUP)  # as from the shell and from the system
    assert exit_code(pid, master) == 0
    assert running.get(timeout=30) == "woken"


def test_a_worker_without_a_terminal_is_replaced(shell: Shell) -> None:
    command = [sys.executable, "-c", command_code("hotqueue-worker"), "app", "-p", "1"]
    worker = subprocess.Popen(command, cwd=shell.folder, env=shell.env, start_new_session=True, stderr=subprocess.DEVNULL)
    shell.started.append(worker)
    before = shell.ask("say", "")
    worker.send_signal(signal.SIGHUP)
    wait_until(lambda: before not in worker_processes(worker.pid))  # it works until another one does
    assert shell.ask("say", "") != before
    assert worker.poll() is None


def test_a_worker_under_nohup_stays_when_its_terminal_goes(shell: Shell) -> None:
    pid, master = shell.on_a_terminal('trap "" HUP;')
    before = shell.ask("say", "")
    os.close(master)
    os.kill(pid, signal.SIGHUP)
    with pytest.raises(OSError, match="Input/output error"):  # its standard output went with the terminal
        shell.ask("say", "in vain")
    assert shell.ask("square", 3) == 9
    assert worker_processes(pid) == [before]
    os.kill(pid, signal.SIGTERM)
    assert exit_code(pid) == 0
