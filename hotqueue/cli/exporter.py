"""The process that answers /metrics for a worker: started with it, told where its queues are, gone when it is.

It is started before anything else, so that a taken port is said at once, and as a program of its own: the supervisor forks.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import metrics

if TYPE_CHECKING:
    from hotqueue.store.store import Store

log = logging.getLogger("hotqueue.worker")


class Exporter:
    """One worker's exporter; without a port it does nothing.

    Args:
        where: host and port to listen at.

    Raises:
        click.UsageError: the port is taken, or the address is none of this machine's; prometheus-client is not installed.
    """

    def __init__(self, where: tuple[str, int] | None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if where is None:
            return
        if importlib.util.find_spec("prometheus_client") is None:
            raise click.UsageError(metrics.EXTRA)
        with metrics.listening(where, "--metrics-port") as listener:
            self._address = metrics.shown(*listener.getsockname()[:2])
            command = [sys.executable, "-m", "hotqueue.cli.exporter", str(listener.fileno()), str(os.getpid())]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])

    def begin(self, stores: Sequence[Store], names: Sequence[str]) -> None:
        """Tell it where the queues are.

        Args:
            names: of queues, and globs.
        """
        if self._process is None or self._process.stdin is None:
            return
        first, *others = {str(store): store for store in stores}.values()
        try:
            said = json.dumps({"address": vars(first.address), "names": names})
        except TypeError:  # a client of the user's, or an option that is an object
            log.warning("no metrics: %s cannot be named to another process; run `hotqueue metrics --listen` for it", first)
            said = ""
        if others:
            log.warning("metrics are those of %s; run `hotqueue metrics --listen` for %s", first, ", ".join(map(str, others)))
        with suppress(BrokenPipeError):  # it died, and said why
            self._process.stdin.write(f"{said}\n".encode())
            self._process.stdin.close()
        if said:
            log.info("metrics: http://%s/metrics", self._address)

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def exporting(where: tuple[str, int] | None) -> Iterator[Exporter]:
    """Have an exporter while a worker runs."""
    exporter = Exporter(where)
    try:
        yield exporter
    finally:
        exporter.end()


def main(listener: int, parent: int) -> None:
    """Answer for a worker until it has gone."""
    from hotqueue.store.address import Address
    from hotqueue.store.store import Store

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends us
    said = sys.stdin.buffer.readline()  # not to its end: processes of the worker have that pipe too
    if not said.strip():
        return
    facts: dict[str, Any] = json.loads(said)
    given = facts["address"]
    store = Store(Address(**{**given, "hosts": tuple(map(tuple, given["hosts"]))}))
    scrapes = metrics.scrapes(store, facts["names"])
    metrics.serve(socket.socket(fileno=listener), scrapes, lambda: os.getppid() == parent)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
