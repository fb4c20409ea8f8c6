"""hotqueue doctor: looks for what is wrong, and says what to do."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import progress, tables
from hotqueue.cli.entry import settings
from hotqueue.cli.reading import json_option, watched
from hotqueue.cli.store import opened, store_options

if TYPE_CHECKING:
    from hotqueue.monitor.doctor import Finding

_STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command(context_settings=settings)
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@store_options
@json_option
@watched
@click.pass_context
def doctor(ctx: click.Context, /, modules: tuple[str, ...], as_json: bool, **where: Any) -> None:
    """Examine the store, its server, its queues and workers; and import each MODULE, as a worker would. Changes nothing.

    Exits with 1 if there is a problem; what is only to be noted is none.
    """
    from hotqueue.monitor.doctor import PROBLEM, examine

    is_well = True
    with opened(**where) as store:
        findings = examine(store, modules)
        while (finding := _next(findings)) is not None:
            is_well &= finding.level != PROBLEM
            if as_json:
                click.echo(tables.json_line(dataclasses.asdict(finding)))
            else:
                level = click.style(finding.level.ljust(8), fg=None if os.environ.get("NO_COLOR") else _STYLES[finding.level])
                first, *rest = finding.text.splitlines()
                click.echo(f"{level} {finding.about:11}  {tables.printable(first)}")
                for line in rest:  # of a traceback
                    click.echo(f"{'':22}{tables.printable(line)}")
    ctx.exit(0 if is_well else 1)


def _next(findings: Iterator[Finding]) -> Finding | None:
    with progress.shown("examining"):
        return next(findings, None)
