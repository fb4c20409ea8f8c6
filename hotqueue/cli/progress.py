"""What a terminal shows of something that takes longer than a second, nobody knows how long: what is done, since when, how far.

Where it is known how much there is, a bar says so: click's. On standard error, and gone once it is over.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

AFTER = 1.0  # seconds from which on it is shown
EVERY = 0.2  # seconds between two looks


@contextmanager
def shown(what: str, how_far: Callable[[], str] = str) -> Iterator[None]:
    """Show that something is done as long as the block lasts.

    Args:
        what: "looking for tasks", say.
        how_far: returns what is to be added, such as "12,000 looked at".
    """
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(what, how_far, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _show(what: str, how_far: Callable[[], str], over: threading.Event) -> None:
    began = time.monotonic()
    if over.wait(AFTER):
        return
    while True:
        parts = [f"{what} …", how_far(), f"{time.monotonic() - began:.0f} s"]
        click.echo(f"\r\x1b[K{' '.join(filter(None, parts))}", err=True, nl=False)
        if over.wait(EVERY):
            click.echo("\r\x1b[K", err=True, nl=False)
            return
