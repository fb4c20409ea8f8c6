"""The script that is run, and its classes: what `python shop.py` sends is `shop.Order` to the worker, and comes back as its own.

Of this kind is everything of `__main__` that travels: instances (of nested, generic, slotted, frozen classes, named tuples,
enums), classes, functions, methods, singletons, new types, errors, alone or within others or in a lambda; and every way to run
a script: by file, -m, a package, a tool that runs it (cProfile, trace, pdb, runpy), spawned children, as a worker, in place.
What a worker cannot import, or would find in another file, goes by value as ever.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.wire import functions, main_module
from tests.support import processes
from tests.support.waiting import allowed, wait_until

APP = Path(__file__).parents[1] / "shop_app.py"
only_server = pytest.mark.servers("server")


class Shop:
    """A folder with the script, and workers started in it."""

    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        self.folder, self.queue = folder, queue
        self.env = {"QUEUE": queue.name, "STORE": url}
        self.workers: list[subprocess.Popen[str]] = []

    def put(self, name: str, text: str | None = None) -> None:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        if len(Path(name).parts) > 1:
            (file.parent / "__init__.py").touch()
        file.write_text(text or APP.read_text())

    def work(self, *arguments: object) -> None:
        """Start a worker: on modules in the folder, or a generic one elsewhere."""
        folder = self.folder if "-Q" not in arguments else self.folder.parent
        with open(self.folder / "log", "w") as log:
            options: Any = {"env": self.env, "cwd": folder, "stderr": log}
            self.workers.append(processes.start_command("hotqueue-worker", *arguments, "-p1", **options))
        wait_until(lambda: "  tasks   " in (self.folder / "log").read_text())

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run Python in the folder; return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            cwd=self.folder,
            env=processes.environment(self.env),
            text=True,
            capture_output=True,
            timeout=allowed(60),  # of tools that trace every call, six seconds of work
        )
        assert done.returncode == code, (done.stdout, done.stderr, (self.folder / "log").read_text())
        return done.stdout

    def found(self, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """Run Python in the folder; return what the script found."""
        said = self.run(*arguments, stdin=stdin)
        (line,) = [line for line in said.splitlines() if "FOUND " in line]
        found: dict[str, Any] = json.loads(line.partition("FOUND ")[2])
        return found


@pytest.fixture
def shop(tmp_path: Path, make_queue: Callable[..., HotQueue], store_url: str) -> Iterator[Shop]:
    made = Shop(tmp_path / "folder", make_queue(), store_url)
    made.folder.mkdir()
    yield made
    for worker in made.workers:
        worker.terminate()
    for worker in made.workers:
        try:
            worker.wait(20)
        finally:
            worker.kill()
            worker.communicate()
    made.queue.discard_dead(all=True)


def check(found: dict[str, Any], module: str) -> None:
    """Check that everything was what it should be, here and in the worker."""
    assert found["task"] == f"{module}.echo"
    assert found["looked"] == [True] * 39
    assert found["echoed"] == [True] * 15
    assert found["identity"] == [True] * 6
    assert found["called"] == [True, True, 11, 4, 4, 3, 2, True]
    assert found["error"] == ["0 left of 9", True, False]
    assert found["group"] == "1 left of 9"


@only_server
@pytest.mark.parametrize(
    ("file", "module", "arguments"),
    [
        ("shop.py", "shop", ["shop.py"]),
        ("shop.py", "shop", ["./../folder/shop.py"]),
        ("shop.py", "shop", ["-P", "shop.py"]),
        ("shop.py", "shop", ["-m", "shop"]),
        ("pkg/shop.py", "pkg.shop", ["-m", "pkg.shop"]),
        ("pkg/__main__.py", "pkg.__main__", ["-m", "pkg"]),
        ("shop.py", "shop", ["-i", "shop.py"]),
        ("shop.py", "shop", ["-m", "cProfile", "shop.py"]),
        ("shop.py", "shop", ["-m", "cProfile", "-m", "shop"]),
        ("shop.py", "shop", ["-m", "pdb", "-c", "continue", "-c", "quit", "shop.py"]),
        ("shop.py", "shop", ["-m", "runpy", "shop"]),
        ("shop.py", "shop", ["-c", "import runpy; runpy.run_path('shop.py', run_name='__main__')"]),
        ("shop.py", "shop", ["-c", "import runpy; runpy.run_module('shop', run_name='__main__', alter_sys=True)"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_a_script_sends_is_the_modules_own_and_comes_back_as_the_scripts(
    shop: Shop, file: str, module: str, arguments: list[str]
) -> None:
    shop.put(file)
    shop.work(module)
    check(shop.found(*arguments, "check"), module)


UNCOUNTED = f"--ignore-dir={processes.ROOT / 'hotqueue'}:{sysconfig.get_path('stdlib')}:{sysconfig.get_path('purelib')}"


@only_server
@pytest.mark.parametrize("tool", [["profile"], ["trace", "--count", "--no-report", UNCOUNTED]], ids=["profile", "trace"])
def test_tools_that_are_too_slow_for_all_of_it(shop: Shop, tool: list[str]) -> None:
    shop.put("shop.py")
    shop.work("shop")
    assert "SENT shop.echo True" in shop.run("-m", *tool, "shop.py", "send")


@only_server
def test_a_process_that_multiprocessing_spawns_sends_the_same(shop: Shop) -> None:
    shop.put("shop.py")
    shop.work("shop")
    assert "SENT shop.echo True\n" in shop.run("shop.py", "spawn")
    assert "SENT shop.echo True\n" in shop.run("-m", "shop", "spawn")


def test_in_place_all_is_the_scripts_own(tmp_path: Path) -> None:
    shutil.copy(APP, tmp_path / "shop.py")
    env = {"QUEUE": "x", "STORE": "redis://127.0.0.1:1/0"}
    done = processes.run_python(tmp_path / "shop.py", "in place", env=env)
    check(json.loads(done.stdout.partition("FOUND ")[2]), "shop")


@only_server
def test_a_script_that_works_itself_uses_its_own_classes_and_is_not_imported_again(shop: Shop) -> None:
    shop.put("shop.py")
    sends = "import shop; s = shop; print(s.look.delay(s.Order(1), s.Order, 'Order').id, s.fails.delay(s.Order(4)).id)"
    looked, failed = shop.run("-c", sends).split()[-2:]
    assert shop.run("shop.py", "work") == "loaded as __main__\nRAN 2\n"
    assert shop.queue.result(looked).get(30) == [True, True, True]
    asks = (
        f"import shop\ntry: shop.queue.result({failed!r}).get(30)\nexcept shop.NoStock as error: print(error, type(error.order))"
    )
    assert shop.run("-c", asks).splitlines()[-1] == "0 left of 4 <class 'shop.Order'>"


@only_server
def test_what_is_defined_only_when_the_script_is_run_goes_by_value(shop: Shop) -> None:
    shop.put("shop.py")
    shop.work("shop")
    assert shop.run("shop.py", "guarded").splitlines()[-1] == "GUARDED True __main__.only_here OnlyHere"


PROMPT = "class Typed: pass\n\n@queue.task\ndef typed(v): return [isinstance(v, Typed), __name__]\n\nprint('FOUND', typed.name, "
PROMPT += "typed.delay(Typed()).get(30), type(echo.delay(Typed()).get(30)) is Typed, echo.name)\n"


@only_server
def test_what_is_typed_after_a_script_goes_by_value(shop: Shop) -> None:
    shop.put("shop.py")
    shop.work("shop")
    assert "FOUND __main__.typed [True, '__main__'] True shop.echo" in shop.run("-i", "shop.py", stdin=PROMPT)


BY_VALUE = """
import os
from hotqueue import HotQueue
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
class Order: pass
class NoStock(Exception): pass
@queue.task
def same(order, kind):
    return [isinstance(order, Order), kind is Order, order]
@queue.task
def fails(): raise NoStock("none")
if __name__ == "__main__":
    one, two, order = same.delay(Order(), Order).get(30)
    try:
        fails.delay().get(30)
    except NoStock as error:
        print("FOUND", same.name, one, two, type(order) is Order, error)
"""


@only_server
@pytest.mark.parametrize(
    "arguments",
    [["my-shop.py"], ["time.py"], ["site.py"], ["-P", "queue.py"], ["both.py"], ["app"], ["-c", BY_VALUE], ["-"]],
    ids=lambda a: " ".join(a)[:12].strip(),
)
def test_what_a_worker_cannot_import_or_would_find_elsewhere_goes_by_value(shop: Shop, arguments: list[str]) -> None:
    if "." in arguments[-1][:20]:
        shop.put(arguments[-1], BY_VALUE)
    shop.put("both/part.py", "")  # with it, `import both` is the folder
    (shop.folder / "app").mkdir()
    (shop.folder / "app" / "__main__.py").write_text(BY_VALUE)
    shop.work("-Q", shop.queue.name, "--url", shop.env["STORE"])
    stdin = BY_VALUE if arguments == ["-"] else ""
    assert shop.run(*arguments, stdin=stdin) == "FOUND __main__.same True True True none\n"


@only_server
def test_what_is_submitted_goes_by_value_with_all_that_it_uses(shop: Shop) -> None:
    """A generic worker has none of the script's code."""
    shop.put(
        "shop.py", BY_VALUE.partition("if __name__")[0] + "print(queue.submit(lambda o: [isinstance(o, Order)], Order()).get(30))"
    )
    shop.work("-Q", shop.queue.name, "--url", shop.env["STORE"])
    assert shop.run("shop.py") == "[True]\n"


@only_server
@pytest.mark.parametrize("name", ["my-shop.py", "shop.py"])
def test_so_it_does_from_a_process_that_multiprocessing_spawns(shop: Shop, name: str) -> None:
    """There the script is called `__mp_main__`, which looks like a module that a worker could import."""
    defined, _, sends = BY_VALUE.partition('if __name__ == "__main__":')
    spawns = """
def look(order): return [isinstance(order, Order), order]
def go():
    is_order, back = queue.submit(look, Order()).get(30)
    print("SUBMITTED", is_order, type(back) is Order)
"""
    starts = "    import multiprocessing\n    child = multiprocessing.get_context('spawn').Process(target=go)\n"
    starts += "    child.start()\n    child.join()\n"
    if name == "my-shop.py":
        spawns += sends
    shop.put(name, defined + spawns + 'if __name__ == "__main__":\n' + starts)
    shop.work("-Q", shop.queue.name, "--url", shop.env["STORE"])
    wanted = "SUBMITTED True True\n" + ("FOUND __main__.same True True True none\n" if name == "my-shop.py" else "")
    assert shop.run(name) == wanted


OTHER = """
import os
from hotqueue import HotQueue
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
@queue.task
def kind_of(value): return [type(value).__module__, value]
"""
SENDS = """
from other import kind_of, queue
class Order: pass
def look(value): return type(value).__module__
name, back = kind_of.delay(Order()).get(30)
print(name, type(back) is Order, queue.submit(look, Order()).get(30))
"""


@only_server
@pytest.mark.parametrize("own", ["", "@queue.task\ndef own(): ...\n"], ids=["no task", "a task"])
def test_a_script_that_sends_to_others_is_not_run_in_their_worker(shop: Shop, own: str) -> None:
    shop.put("other.py", OTHER)
    shop.put("client.py", SENDS.replace("name, back", own + "name, back"))
    shop.work("other")
    assert shop.run("client.py") == "__main__ True __main__\n"
    assert shop.run("client.py") == "__main__ True __main__\n"


def test_a_module_of_the_same_name_that_a_tool_did_not_run_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that runs a script with runpy must not change what the next one imports."""
    import runpy

    from hotqueue.tasks.wire import payload

    name = "run_and_imported"
    code = "from hotqueue import HotQueue\nclass Order: pass\n@HotQueue('x').task\ndef f(): ...\n"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(main_module, "_script", None)
    monkeypatch.setattr(main_module, "_mark", None)
    ran = runpy.run_path(str(tmp_path / f"{name}.py"), run_name="__main__")
    assert ran["f"].name == f"{name}.f"
    assert type(payload.loads(payload.dumps(ran["Order"]()))) is ran["Order"]
    imported = __import__(name)
    monkeypatch.delitem(sys.modules, name)
    sys.modules[name] = imported
    assert type(payload.loads(payload.dumps(imported.Order()))) is imported.Order


SCRIPT = "from hotqueue.tasks.wire.functions import *\ndef f(): ...\nprint(name_of(f), needs_value(f))"


@pytest.mark.parametrize(
    ("text", "finds"),
    [
        ("def f(): ...\nasync def g(): ...\nclass C: ...\n", "f g C"),
        ("a = b, *c = 1, 2\nd: int = 3\nfor e in (): f = 1\nwith open('x') as g: ...\n(h := 2)\n", "a b c d e f g h"),
        ("import os.path, json as j\nfrom x import y as z\n", "os j z"),
        ("try:\n    def f(): ...\nexcept E:\n    class C: ...\nif 1:\n    a = 1\nelse:\n    b = 1\n", "f C a b"),
        ("if __name__ == '__main__':\n    a = 1\nelse:\n    b = 1\n", "b"),
        ("if '__main__' != __name__:\n    a = 1\nelse:\n    b = 1\n", "a"),
        ("def f():\n    global x\n    x = 1\n", "f"),
    ],
)
def test_what_the_import_of_a_script_binds(tmp_path: Path, text: str, finds: str) -> None:
    (tmp_path / "s.py").write_text(text)
    assert main_module._Script({}, str(tmp_path / "s.py"), "s").names == set(finds.split())


@pytest.mark.parametrize("text", ["from x import *\n", "def", None])
def test_where_that_cannot_be_said_it_is_all_that_there_is(tmp_path: Path, text: str | None) -> None:
    if text:
        (tmp_path / "s.py").write_text(text)
    assert main_module._Script({"a": 1}, str(tmp_path / "s.py"), "s").names == {"a"}


def test_this_process_runs_no_script_of_a_users() -> None:
    assert functions.name_of(check) == f"{__name__}.check"
