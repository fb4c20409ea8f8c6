"""Two functions under one task name: other code warns and keeps a worker from starting; the same code again does neither.

The same code again: a reload with and without an edit, a renamed function, a notebook cell, a prompt, `__main__` beside the
import of its file, a factory, a loop, a decorator over the same function, what is submitted by value. Other code: twice in one
file, in two files, in a class and beside it, in two modules that each make the queue, built-ins.
"""

from __future__ import annotations

import functools
import importlib.util
import linecache
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, TaskNameWarning
from tests.support.processes import run_command, run_python
from tests.tasks import sample

HEAD = "from hotqueue import HotQueue, TaskNameWarning\n"


def nowhere() -> HotQueue:
    return HotQueue("names", host="127.0.0.1", port=1)


class Module:
    """A module of a user's that can be edited and executed again, as a reload does."""

    def __init__(self, file: Path, queue: HotQueue) -> None:
        self.file, self.globals = file, {"__name__": file.stem, "__file__": str(file), "queue": queue}

    def run(self, source: str) -> None:
        self.file.write_text(source)
        linecache.checkcache()
        exec(compile(source, self.file, "exec"), self.globals)


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return Module(tmp_path / "shop.py", nowhere())


LOAD = "from hotqueue.tasks.worker.loading import load\nfrom hotqueue.tasks.worker.queue_making import QueueMaking\n"
ONE = '@queue.task(name="send")\ndef send(): return 1\n'
TWICE = ONE + '@queue.task(name="send")\ndef send_again(): return 2\n'


# --- other code ------------------------------------------------------------------------------------------------------


def test_two_functions_of_one_name_warn_at_the_users_line_and_name_both_places(module: Module) -> None:
    with pytest.warns(TaskNameWarning) as found:
        module.run(TWICE)
    (warning,) = found
    assert (warning.filename, warning.lineno) == (str(module.file), 3)
    file = module.file
    assert str(warning.message) == (
        f"two functions under one task name: 'send' of queue 'names' is send ({file}:1), and then send_again ({file}:3); "
        "a call by this name can reach only one of them, so give one another name: @queue.task(name=…)"
    )
    assert module.globals["queue"].tasks["send"]() == 2


@pytest.mark.parametrize(
    "source",
    [
        "@queue.task\ndef send(): return 1\n@queue.task\ndef send(): return 2\n",
        "class A:\n  @queue.task\n  def send(self): return 1\n  @queue.task\n  def send(self): return 2\n",
        ONE + "class A:\n  @queue.task(name='send')\n  def send(self): return 2\n",
        ONE + "def make():\n  @queue.task(name='send')\n  def other(): return 2\nmake()\n",
        "import functools\n" + ONE + "@queue.task(name='send')\n@functools.lru_cache\ndef other(): return 2\n",
        "queue.task(name='send')(len); queue.task(name='send')(max)\n",
        ONE + "queue.task(name='send')(max)\n",
        "queue.task(name='send')(lambda: 1)\nqueue.task(name='send')(lambda: 2)\n",
        "class A:\n  def __call__(self): return 1\nclass B:\n  def __call__(self): return 2\n"
        "queue.task(name='send')(A()); queue.task(name='send')(B())\n",
    ],
    ids=[
        "def twice",
        "method twice",
        "method beside",
        "in a factory",
        "decorated",
        "built-ins",
        "built-in",
        "lambdas",
        "objects",
    ],
)
def test_other_code_warns(module: Module, source: str) -> None:
    with pytest.warns(TaskNameWarning, match="two functions under one task name"):
        module.run(source)


def test_a_function_of_another_file_warns(module: Module, tmp_path: Path) -> None:
    module.run(ONE)
    with pytest.warns(TaskNameWarning, match=r"shop.py:1\), and then send .*mail.py:1\)"):
        Module(tmp_path / "mail.py", module.globals["queue"]).run(ONE)


def test_a_reload_of_a_file_that_has_two_warns_again(module: Module) -> None:
    for _ in range(2):
        with pytest.warns(TaskNameWarning):
            module.run(TWICE)


def test_two_names_in_one_function_warn(module: Module) -> None:
    queue = nowhere()

    @queue.task(name="send")
    def send() -> None: ...

    with pytest.warns(TaskNameWarning) as found:

        @queue.task(name="send")
        def other() -> None: ...

    assert found[0].filename == __file__


# --- the same code again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edited",
    [
        ONE,
        "\n\n" + ONE,
        ONE.replace("1", "3"),
        ONE.replace("def send", "def renamed"),
        "import functools\n" + ONE.replace("def", "@functools.lru_cache\ndef"),
    ],
    ids=["as it was", "moved", "edited", "renamed", "decorated"],
)
def test_a_reload_may(module: Module, edited: str) -> None:
    module.run(ONE)
    module.run(edited)


def test_importlib_reload_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "reloaded_tasks.py"
    file.write_text(HEAD + "if 'queue' not in globals(): queue = HotQueue('q', host='x')\n" + ONE)
    import reloaded_tasks  # type: ignore[import-not-found]

    try:
        file.write_text(file.read_text().replace("return 1", "return 100"))
        importlib.reload(reloaded_tasks)
        assert reloaded_tasks.queue.tasks["send"]() == 100
    finally:
        sys.modules.pop("reloaded_tasks")


def test_an_edited_notebook_cell_may_and_another_function_warns() -> None:
    queue = nowhere()
    space: dict[str, Any] = {"__name__": "__main__", "queue": queue}

    def cell(number: int, source: str) -> None:
        exec(compile(source, f"/tmp/ipykernel_1/{number}.py", "exec"), space)

    cell(1, "@queue.task\ndef price(n): return n\n")
    cell(1, "@queue.task\ndef price(n): return n\n")
    cell(2, "@queue.task\ndef price(n): return 2 * n\n")
    cell(3, ONE)
    with pytest.warns(TaskNameWarning):
        cell(4, ONE.replace("def send", "def other"))


def test_what_is_typed_again_at_a_prompt_may() -> None:
    lines = [
        HEAD,
        "queue = HotQueue('q', host='x')",
        "@queue.task",
        "def f(n): return n",
        "",
        "@queue.task",
        "def f(n): return 2",
        "",
    ]
    typed = run_python("import code, sys; code.interact(banner='')", input="\n".join([*lines, "print(f(1))", ""]))
    assert "2" in typed.stdout
    assert "two functions" not in typed.stderr


def test_the_script_that_is_run_and_the_module_of_its_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HEAD + "queue = HotQueue('q', host='x')\n")
    (tmp_path / "shop.py").write_text("from app import queue\n" + ONE + "import shop\n")
    env = {"PYTHONWARNINGS": "error"}
    for script in ("shop.py", str(tmp_path / "shop.py")):
        run_python(
            f"import sys, runpy; sys.path.insert(0, '{tmp_path}'); runpy.run_path({script!r}, run_name='__main__')",
            cwd=tmp_path,
            env=env,
        )


def test_a_factory_a_loop_and_a_decorator_over_the_same_function_may() -> None:
    queue = nowhere()

    def make(n: int) -> Any:
        @queue.task(name="made")
        def made() -> int:
            return n

        return made

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(function)(lambda *args: function(*args))

    assert [make(n)() for n in range(3)] == [0, 1, 2]
    for n in range(3):
        queue.task(name="looped")(lambda n=n: n)
    for function in (sample.square, sample.square, decorated(sample.square), functools.partial(sample.square, 2)):
        queue.task(name="square")(function)
    queue.task(retries=3)(sample.square)


def test_what_has_no_name_goes_by_value_and_may() -> None:
    queue = nowhere()
    first, second = queue.task(lambda: 1), queue.task(lambda: 2)
    for answer in (1, 2):
        if answer == 1:

            @queue.task
            def local() -> int:
                return 1
        else:

            @queue.task
            def local() -> int:
                return 2

    with queue.testing():
        assert [queue.submit(lambda: 1).get(), queue.submit(lambda: 2).get()] == [1, 2]
    assert (first(), second()) == (1, 2)


def test_two_queues_may_have_a_task_of_one_name() -> None:
    one, two = nowhere(), HotQueue("others", host="127.0.0.1", port=1)
    one.task(name="send")(sample.square)
    two.task(name="send")(sample.double)


# --- a worker --------------------------------------------------------------------------------------------------------


def worker(folder: Path, *modules: str, **files: str) -> Any:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(HEAD + text)
    return run_command("hotqueue-worker", *modules, "--dbfilename", folder / "x.rdb", "--burst", "-p", 1, cwd=folder)


def test_a_worker_does_not_start_with_two_functions_of_one_name(tmp_path: Path) -> None:
    done = worker(tmp_path, "tasks", tasks="queue = HotQueue('q')\n" + TWICE)
    assert done.returncode == 3, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "two functions" in line]
    assert line.startswith("hotqueue-worker: two functions under one task name: 'send' of queue 'q' is send (")
    assert "tasks.py:3), and then send_again (" in line
    assert "tasks.py:5)" in line
    assert "Traceback" not in done.stderr


def test_a_worker_does_not_start_with_two_modules_that_have_one_name(tmp_path: Path) -> None:
    text = "queue = HotQueue('q')\n" + ONE
    done = worker(tmp_path, "shop", "mail", shop=text, mail=text)
    assert done.returncode == 3, done.stderr
    assert "shop.py:3), and then send (" in done.stderr
    assert "mail.py:3)" in done.stderr


def test_a_worker_starts_with_two_queues_that_have_one_name(tmp_path: Path) -> None:
    files = {n: f"queue = HotQueue({n!r})\n{ONE}" for n in ("shop", "mail")}
    assert worker(tmp_path, "shop", "mail", **files).returncode == 0
    assert (
        worker(tmp_path, "alias", alias="import shop\nfrom shop import queue, send\nfrom shop import send as again\n").returncode
        == 0
    )


def test_the_users_own_filters_of_warnings_stay_as_a_module_sets_them(tmp_path: Path) -> None:
    (tmp_path / "sets.py").write_text(
        "import warnings; warnings.simplefilter('error')\nfrom hotqueue import HotQueue\nq = HotQueue('q')\n"
    )
    code = "import warnings\nfrom hotqueue import HotQueue\n" + LOAD
    code += "load(['sets'], [], QueueMaking(HotQueue))\nprint(warnings.filters[0][0])"
    assert run_python(code, cwd=tmp_path).stdout.strip() == "error"


def test_a_name_that_means_two_is_not_lent_to_a_queue_that_has_none(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        HEAD
        + "a, b = HotQueue('a'), HotQueue('b')\n"
        + ONE.replace("queue", "a")
        + ONE.replace("queue", "b").replace("def send", "def s")
        + "@a.task(name='own')\ndef own(): ...\n"
    )
    code = "from hotqueue import HotQueue\n" + LOAD
    code += "print(sorted(load(['two'], ['c', 'a'], QueueMaking(HotQueue))[0].tasks))"
    done = run_python(code, cwd=tmp_path)
    assert done.stdout.strip() == "['own']"
    assert done.stderr == "queue 'c' runs no task send: several queues have one of this name\n"


@pytest.fixture(autouse=True)
def _warnings_are_errors_unless_they_are_expected() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
