"""``MODULE[:ATTR]`` → the queues and tasks in it. Each in a process of its own, since modules stay imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import run_python

FILES = {
    "one.py": """
from hotqueue import HotQueue
queue = HotQueue("q1", host="one")
@queue.task
def a(): ...
""",
    "two.py": """
from hotqueue import HotQueue
queue, other = HotQueue("q1", host="two"), HotQueue("q2", host="two")
@queue.task
def b(): ...
@other.task
def c(): ...
""",
    "again.py": """
from hotqueue import HotQueue
queue = HotQueue("q1", url="redis://one?socket_timeout=7")
@queue.task
def d(): ...
""",
    "client.py": """
import redis
from hotqueue import HotQueue
queue = HotQueue("q1", redis=redis.Redis(host="one"))
@queue.task
def e(): ...
""",
    "user.py": "from two import c\n",
    "package/__init__.py": "",
    "package/tasks.py": "from hotqueue import HotQueue\nclass Holder:\n    queue = HotQueue('q3')\nnumber = 3\n",
    "wrong.py": "def f(:\n",
    "through.py": "import wrong\n",
    "typo.py": "from hotqueue import HotQueue\nqueue = HotQueue('q', url='ftp://x')\n",
    "package/broken.py": "import package.missing\n",
}
CODE = """
import sys
from hotqueue import HotQueue
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.worker.loading import CannotLoad, load
from hotqueue.tasks.worker.queue_making import QueueMaking
modules, names, url = eval(sys.argv[1])
try:
    found = load(modules, names, QueueMaking(HotQueue, Store(resolve(url=url)) if url else None))
except CannotLoad as error:
    print(error)
else:
    print(sorted((r.name, str(r.store), sorted(t.partition(".")[2] for t in r.tasks)) for r in found))
    queues = {id(t.client): t.client for r in found for t in r.definitions.values()}.values()
    print(sorted({str(r.store) for r in queues}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def loaded(folder: Path, *modules: str, names: tuple[str, ...] = (), url: str = "") -> list[str]:
    return run_python(CODE, (modules, names, url), cwd=folder).stdout.splitlines()


def at(host: str) -> str:
    return f"redis://{host}:6379/0"


@pytest.mark.parametrize(
    ("modules", "names", "wanted"),
    [
        (["one"], (), [("q1", at("one"), ["a"])]),
        (["two"], (), [("q1", at("two"), ["b", "c"]), ("q2", at("two"), ["b", "c"])]),
        (["two:other"], (), [("q2", at("two"), ["c"])]),
        (["two:c"], (), [("q2", at("two"), ["c"])]),
        (["user"], (), [("q2", at("two"), ["c"])]),
        (["one", "two"], (), [(name, at(host), ["a", "b", "c"]) for name, host in (("q1", "one"), ("q1", "two"), ("q2", "two"))]),
        (["one", "again", "client"], (), [("q1", at("one"), ["a", "d", "e"])]),
        (["two"], ("q2",), [("q2", at("two"), ["b", "c"])]),
        (["one"], ("more", "q1"), [("more", at("one"), ["a"]), ("q1", at("one"), ["a"])]),
        (["package.tasks:Holder.queue"], ("q9",), None),
    ],
    ids=str,
)
def test_queues_and_tasks_are_found(folder: Path, modules: list[str], names: tuple[str, ...], wanted: Any) -> None:
    found = loaded(folder, *modules, names=names)[0]
    if wanted is None:
        assert found.startswith("[('q9', ")
    else:
        assert found == repr(wanted)


def test_a_store_that_is_named_is_where_all_of_it_lives(folder: Path) -> None:
    queues, stores = loaded(folder, "one", "two", names=("q1", "q2", "more"), url="redis://named:1/0")
    assert queues.count("redis://named:1/0") == 3
    assert stores == "['redis://named:1/0']"


def test_a_queue_without_a_module_is_a_generic_one(folder: Path) -> None:
    assert loaded(folder, names=("any",), url=at("x")) == [repr([("any", at("x"), [])]), "[]"]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("oen", "no module named 'oen'; did you mean 'one'? (looked in "),
        ("package.task", "no module named 'package.task'; did you mean 'package.tasks'? (looked in "),
        ("xyzzy", "no module named 'xyzzy' (looked in "),
        ("one:queeu", "one has no 'queeu'; did you mean 'queue'?"),
        ("package.tasks:Holder.quee", "package.tasks.Holder has no 'quee'; did you mean 'queue'?"),
        ("", "'' names no module; write the module with your tasks"),
        ("one:", "'one:' names no module; write module:queue"),
        (":queue", "':queue' names no module; write module:queue"),
        (".one", "'.one' is relative; name the module in full"),
        ("package/tasks", "'package/tasks' is a file; name the module: package.tasks"),
        ("package.tasks:number", "package.tasks:number is a int, not a HotQueue or a task"),
        ("package/tasks.py", "'package/tasks.py' is a file; name the module: package.tasks"),
        ("./package/tasks.py", "'./package/tasks.py' is a file; name the module: package.tasks"),
        ("./one.py", "'./one.py' is a file; name the module: one"),
        ("../one.py", "'../one.py' is a file; start in /"),
        ("two:xyzzy", "two has no 'xyzzy'; there are queue, other, b, c"),
        ("package.tasks:xyzzy", "package.tasks has no 'xyzzy'; there is no queue and no task in it"),
        ("package", "no queue and no task in package (/"),
        ("package.broken", "package.broken cannot be imported: it needs 'package.missing', which is not installed here"),
    ],
)
def test_what_cannot_be_loaded_says_why_in_one_line(folder: Path, module: str, text: str) -> None:
    (line,) = loaded(folder, module)
    assert line.startswith(text)


@pytest.mark.parametrize(("module", "own"), [("wrong", []), ("through", ["through.py"])])
def test_a_mistake_of_the_module_shows_its_own_lines_alone_and_is_told_once(folder: Path, module: str, own: list[str]) -> None:
    lines = loaded(folder, module)
    assert lines[0] == f"{module} cannot be imported:"
    assert lines[-1] == "SyntaxError: invalid syntax"
    assert [line.split('"')[1] for line in lines if "File" in line] == [str(folder / name) for name in [*own, "wrong.py"]]
    assert sum("invalid syntax" in line for line in lines) == 1


def test_an_error_that_hotqueue_raises_shows_the_users_line_and_none_of_ours(folder: Path) -> None:
    lines = loaded(folder, "typo")
    assert [line.split('"')[1] for line in lines if "File" in line] == [str(folder / "typo.py")]
    assert lines[-1].startswith("hotqueue.ConfigError: unknown store URL 'ftp://x'")


@pytest.mark.parametrize("module", ["queue", "email", "queue:queue", "email.tasks"])
@pytest.mark.parametrize("has_own", [True, False])
def test_a_module_of_the_standard_library_is_called_that(folder: Path, module: str, has_own: bool) -> None:
    """They are imported before the user's own of the same name can be, and have no tasks."""
    name = module.partition(":")[0].partition(".")[0]
    own = folder / f"{name}.py"
    if has_own:
        own.write_text(FILES["one.py"])
    code = f"import queue, email; {CODE}"
    said = run_python(code, ((module,), (), ""), cwd=folder, env={"PYTHONSAFEPATH": "1"}).stdout
    assert f"module {name!r} is the standard library's" in said
    assert (f"so that {own} is not found" in said) is has_own
    assert "give yours another name" in said
    assert said.count("\n") == 1


def test_what_was_found_is_named_by_its_file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another module of that name may come first: what was imported is what the message names."""
    other = tmp_path_factory.mktemp("other")
    (other / "tasks.py").write_text("number = 3\n")
    (folder / "tasks.py").write_text(FILES["one.py"])
    code = f"import sys; sys.path.insert(0, {str(other)!r}); import tasks; {CODE}"
    said = run_python(code, (("tasks",), (), ""), cwd=folder).stdout
    assert said.startswith(
        f"no queue and no task in tasks ({other}/tasks.py); module 'tasks' is another, {other}/tasks.py, so that "
    )
    assert f"so that {folder}/tasks.py is not found" in said
