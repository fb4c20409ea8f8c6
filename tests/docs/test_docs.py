"""The documentation names what there is: rooms, keys, scripts, options, states, errors; generated parts are current."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from hotqueue import errors
from hotqueue.tasks import AsyncResult, DeadTask
from hotqueue.tasks.rules import options
from hotqueue.tasks.rules.lifecycle import State
from tests.support.processes import ROOT, run_command, run_python

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference.md"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
WRITTEN_ELSEWHERE = {DOCS / "performance.md"}  # by `make bench`


def rows(page: Path, heading: str) -> list[str]:
    """Return the first cells of the table under a heading."""
    part = page.read_text().split(f"{heading}\n", 1)[1]
    part = re.split(r"^#+ ", part, maxsplit=1, flags=re.MULTILINE)[0]
    return [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("script", ["make_lifecycle.py", "make_design.py"])
def test_generated_parts_are_current(script: str) -> None:
    done = run_python(DOCS / script, "--check", check=False)
    assert done.returncode == 0, f"{done.stderr}\n(python docs/{script} makes it so)"


def test_design_names_every_room() -> None:
    text = (DOCS / "design.md").read_text()
    package = ROOT / "hotqueue"
    rooms = [path.relative_to(package).as_posix() for path in package.rglob("*.py") if path.name != "__init__.py"]
    assert [room for room in sorted(rooms) if f"`{room}`" not in text] == []


def test_design_names_no_room_that_is_not_there() -> None:
    named = re.findall(r"^\| `([a-z_/]+\.py)` \|", (DOCS / "design.md").read_text(), re.MULTILINE)
    assert [name for name in named if not (ROOT / "hotqueue" / name).exists() and not (ROOT / name).exists()] == []


def test_internals_names_no_file_that_is_not_there() -> None:
    named = re.findall(r"`([a-z_/]+\.(?:py|lua))`", (DOCS / "internals.md").read_text())
    scripts = {path.name for path in (ROOT / "hotqueue" / "tasks").rglob("*.lua")}
    assert [name for name in named if name not in scripts and not (ROOT / "hotqueue" / name).exists()] == []
    assert len(set(named)) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        where, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / where).resolve() if where else page
        assert target.exists() or target in WRITTEN_ELSEWHERE, f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """Return what a link into a page may name, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", line.lower()).replace(" ", "-") for line in headings}


def test_decisions_are_numbered_listed_and_complete() -> None:
    pages = sorted((DOCS / "decisions").glob("0*.md"))
    numbers = [page.name[:4] for page in pages]  # a number may be missing while its page is being written
    assert len(numbers) == len(set(numbers))
    index = (DOCS / "decisions" / "README.md").read_text()
    for page in pages:
        text = page.read_text()
        title = re.match(rf"# {page.name[:4]}: (.+)\n", text)
        assert title, page.name
        assert f"- [{page.name[:4]}]({page.name}): {title[1]}\n" in index
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], page.name


def test_reference_has_every_option_of_the_worker() -> None:
    from hotqueue.cli.worker import command

    context = click.Context(command, **command.context_settings)
    there = [option for option in command.get_params(context) if isinstance(option, click.Option) and not option.hidden]
    flags = [flag for option in there for flag in option.opts]
    listed = rows(REFERENCE, "## `hotqueue-worker`")
    assert sorted(re.findall(r"(?<=[`\s])--?[a-zA-Z][a-z-]*", " ".join(listed))) == sorted(flags)


def test_reference_has_every_option_of_a_task() -> None:
    listed = [row.strip("`") for row in rows(REFERENCE, "## Options of a task")]
    assert sorted(listed) == sorted({*options.NAMES, "name", "depends_on"})


def test_reference_says_which_options_a_call_may_have() -> None:
    part = REFERENCE.read_text().split("## Options of a task\n")[1].split("## States")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:]] for line in part.splitlines() if line.startswith("| `")]
    ticked = {line[0].strip("`") for line in lines if line[2] == "✓"}
    assert ticked == options.PER_CALL | {"depends_on"}


def test_reference_has_the_defaults_of_the_task_options() -> None:
    part = REFERENCE.read_text().split("## Options of a task\n")[1].split("## States")[0]
    told = {
        line.split("|")[1].strip(" `"): line.split("|")[2].strip(" `") for line in part.splitlines() if line.startswith("| `")
    }
    defaults = options.TaskOptions()
    for name in options.NAMES - {"retries", "queue"}:
        default = getattr(defaults, name)
        assert told[name] == ("" if default is None else str(default)), name


@pytest.mark.parametrize("page", [(REFERENCE, "## States"), (DOCS / "lifecycle.md", "# The life of a task")])
def test_every_state_is_told(page: tuple[Path, str]) -> None:
    assert [row.strip("`") for row in rows(*page)] == [state.value for state in State]


def test_reference_has_every_error() -> None:
    listed = set(re.findall(r"`(\w+)`", " ".join(rows(REFERENCE, "## Errors"))))
    internal = {"HotQueueError", "RemoteTraceback", "ControlFlow", "Interruption", "Retry", "Reject", "Ignore"}
    there = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert listed == there - internal


@pytest.mark.parametrize("kind", [AsyncResult, DeadTask])
def test_reference_has_every_member_of_a_result_and_of_a_dead_task(kind: type) -> None:
    part = REFERENCE.read_text().split(f"`hotqueue.tasks.{kind.__name__}`", 1)[1].split("|---|---|\n", 1)[1].split("\n\n")[0]
    listed = {name for line in part.splitlines() for name in re.findall(r"`(?!await)(\w+)", line.split("|")[1])}
    there = {name for name in (*dir(kind), *vars(kind).get("__annotations__", ())) if not name.startswith("_")}
    assert listed == there | {"id"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("name", ["hotqueue", "hotqueue-worker", "hotwatch"])
def test_the_shell_completion_of_the_reference_is_one(name: str) -> None:
    variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
    assert f'eval "$({variable}=bash_source {name})"\n' in REFERENCE.read_text()
    script = run_command(name, env={variable: "bash_source"}, check=True).stdout
    done = subprocess.run(["bash", "-c", f"{script}\ncomplete -p {name}"], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.endswith(f" {name}\n")
