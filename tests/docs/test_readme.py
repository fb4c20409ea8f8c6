"""The README and the pages that go on with it, tried: their blocks run in their order, as a reader would run them, in an empty
folder with a database of its own.

An HTML comment above a block says what is done with it: ``file: NAME`` writes it, ``run`` runs it in a shell, ``background``
starts it and lets it run to the end, ``output`` is what the block before has to have printed, ``not run: WHY`` leaves it out. A
Python block without one is typed at a prompt: all of them share one process. Any other block has to say why it is not run.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import ROOT, command_code, environment

README = ROOT / "README.md"
PAGES = [
    README,
    *(ROOT / "docs" / name for name in ("tasks.md", "deploy.md", "operations.md", "reference.md")),
]  # as they are read
BLOCK = re.compile(r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)

# Reads blocks, one JSON line each, types them at a prompt, answers with what went wrong ("" if nothing did). Run with -c, so
# that, as at a prompt, no file holds what is defined.
PROMPT = r"""
import doctest, json, sys
seen = sys.modules["__main__"].__dict__
answers, sys.stdout = sys.stdout, sys.stderr
class Typed(doctest.DocTestRunner):
    def run_block(self, text, at):
        said = []
        test = doctest.DocTestParser().get_doctest(text, seen, at, at, 0)
        test.globs = seen  # a copy would hide from a function what is defined after it
        self.run(test, out=said.append, clear_globs=False)
        return "".join(said)
typed = Typed(optionflags=doctest.ELLIPSIS)
for line in sys.stdin:
    at, text = json.loads(line)
    wrong = ""
    if ">>>" in text:
        wrong = typed.run_block(text, at)
    else:
        exec(compile(text, at, "exec"), seen)
    print(json.dumps(wrong), file=answers, flush=True)
"""


@dataclass
class Block:
    """A fenced block: the page it is on, the comment above it, its language, its text, the line it begins at."""

    page: str
    mark: str
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path = README) -> list[Block]:
    """Return the blocks of a page in order."""
    text = page.read_text()
    return [
        Block(page.name, found["mark"] or "", found["language"], found["text"], text[: found.start("text")].count("\n") + 1)
        for found in BLOCK.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_is_seen_and_says_what_becomes_of_it(page: Path) -> None:
    found = blocks(page)
    assert len(found) * 2 == len(re.findall(r"^```", page.read_text(), re.MULTILINE))
    for block in found:
        marked = re.fullmatch(r"file: \S+|run|background|output|not run: .{10,}", block.mark)
        assert marked or (block.language == "python" and not block.mark), f"{block} says {block.mark!r}"


def test_code_begins_in_the_first_20_lines_and_the_quickstart_has_at_most_15() -> None:
    first = blocks()[0]
    assert first.line <= 20
    assert first.mark == "file: tasks.py"
    assert first.text.count("\n") <= 15


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no hotqueue-worker here")
def test_every_block_does_what_the_page_says(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]], start_command: Callable[..., subprocess.Popen[str]]
) -> None:
    reader = Reader(tmp_path, start_python, start_command)
    for page in PAGES:
        for block in blocks(page):
            reader.follow(block)
    reader.leave()


class Reader:
    """Somebody who does what the README says, in an empty folder, at a prompt and in a few terminals."""

    def __init__(
        self,
        folder: Path,
        start_python: Callable[..., subprocess.Popen[str]],
        start_command: Callable[..., subprocess.Popen[str]],
    ) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        commands = folder / "bin"
        commands.mkdir()
        for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]:
            self._command(commands / name, f"#!{sys.executable}\n{command_code(name)}\n")
        self._command(commands / "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        self.env = {"XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder), "PATH": path}
        self.start_command = start_command
        self.workers: list[subprocess.Popen[str]] = []
        self.printed = ""
        self.prompt = start_python(PROMPT, cwd=self.folder, env={**self.env, "PYTHONPATH": f"{self.folder}:{ROOT}"}, stderr=None)

    @staticmethod
    def _command(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        what, _, rest = block.mark.partition(": ")
        if what == "file":
            (self.folder / rest).write_text(block.text)
        elif what == "run":
            self.printed = self._shell(block)
        elif what == "output":
            assert doctest.OutputChecker().check_output(block.text, self.printed, doctest.ELLIPSIS), self.printed
        elif what == "background":
            self._start(block.text.split())
        elif not what:
            self._type(block)

    def _shell(self, block: Block) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", block.text],
            cwd=self.folder, env=environment(self.env), text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _start(self, words: list[str]) -> None:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": None, "stderr": None}
        self.workers.append(self.start_command(words[0], *words[1:], cwd=self.folder, env=self.env, **pipes))

    def _type(self, block: Block) -> None:
        assert self.prompt.stdin is not None
        assert self.prompt.stdout is not None
        self.prompt.stdin.write(json.dumps([str(block), block.text]) + "\n")
        self.prompt.stdin.flush()
        answer = self.prompt.stdout.readline()
        assert answer, f"{block} ended the prompt; see stderr"
        wrong = json.loads(answer)
        assert not wrong, wrong

    def leave(self) -> None:
        """Stop the workers, which have to end well, and close the prompt."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        assert [worker.wait(30) for worker in self.workers] == [0] * len(self.workers)
        self.prompt.communicate(timeout=30)
        assert self.prompt.returncode == 0
