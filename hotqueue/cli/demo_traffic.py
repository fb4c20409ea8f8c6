"""What goes on at the end of `hotqueue demo` until somebody presses a key: tasks of all kinds, and where to look at them."""

from __future__ import annotations

import importlib.util
import os
import random
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

ROUND = 0.5  # seconds from one handful of tasks to the next
DASHBOARD = ("starlette", "uvicorn", "jinja2")  # what the extra [web] brings


def until_a_key(tasks: Any, folder: Path) -> None:
    """Send tasks of all kinds until a key is pressed; where there is no terminal, until there is a line, or no more to come."""
    url = os.environ["HOTQUEUE_URL"]
    click.echo("\nIt goes on until you press a key. In another terminal:")
    click.echo(f"$ hotqueue tasks --url {url}")
    if importlib.util.find_spec("textual"):
        click.echo(f"$ hotwatch --live --url {url}")
    else:
        click.echo(f"and, with `pip install hotqueue[watch]`, full-screen: hotwatch --live --url {url}")
    with _dashboard(url), _each_key():
        while not select.select([sys.stdin], [], [], ROUND)[0]:
            send(tasks, folder)


@contextmanager
def _each_key() -> Iterator[None]:
    """Have the terminal tell of a key at once, and not show it, instead of a line at its end; and take it."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSAFLUSH, before)


def send(tasks: Any, folder: Path) -> None:
    """Send a handful of tasks: quick and slow ones, limited and failing ones, now and then a workflow and a stream."""
    from hotqueue.tasks import chord

    tasks.square.map(range(random.randrange(20, 100)))
    tasks.polite.map([random.uniform(0.02, 0.2) for _ in range(6)])
    tasks.rest.map([random.lognormvariate(-4, 1) for _ in range(10)])
    if random.random() < 0.3:
        tasks.flaky.delay(str(folder / uuid.uuid4().hex))
    if random.random() < 0.1:
        tasks.refuse.delay(random.choice(["the moon", "the sea", "yesterday"]))
    if random.random() < 0.1:
        tasks.count_down.apply_async([10], countdown=2)
    if random.random() < 0.2:
        chord((tasks.square.s(n) for n in range(12)), tasks.total.s()).delay()


@contextmanager
def _dashboard(url: str) -> Iterator[None]:
    """Run the dashboard, if what it needs is installed; it says its address itself."""
    if not all(map(importlib.util.find_spec, DASHBOARD)):
        click.echo("and, with `pip install hotqueue[web]`, the dashboard: hotqueue web --url " + url)
        yield
        return
    dashboard = subprocess.Popen([sys.executable, "-m", "hotqueue", "web", "--url", url, "--port", "0"])
    try:
        yield
    finally:
        dashboard.terminate()
        dashboard.wait()
