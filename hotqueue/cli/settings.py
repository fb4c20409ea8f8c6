"""Where a command's options come from when the command line does not say: HOTQUEUE_* and [tool.hotqueue]. Also sizes, CPUs."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import click


def from_pyproject() -> dict[str, Any]:
    """Return the ``[tool.hotqueue]`` table of the nearest pyproject.toml, as click's default map.

    Raises:
        click.UsageError: the file cannot be parsed.
    """
    for folder in (Path.cwd(), *Path.cwd().parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text()).get("tool", {}).get("hotqueue", {})
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise click.UsageError(f"{path} cannot be read: {error}") from None
            return {name.replace("-", "_"): value for name, value in table.items()}
    return {}


def usable_cpus() -> int:
    """Return how many CPUs this process may use: by affinity and by its cgroup's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return max(1, count)


class Size(click.ParamType[int]):
    """A number of bytes: 512M, 2G, 1048576."""

    name = "size"
    _UNITS = {"K": 10, "M": 20, "G": 30}  # noqa: RUF012

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        if isinstance(value, int):
            return value
        text = str(value).strip().upper().removesuffix("B").removesuffix("I")
        shift = self._UNITS.get(text[-1:], 0)
        digits = text[:-1] if shift else text
        try:
            found = int(float(digits) * (1 << shift))
        except ValueError:
            found = 0
        if found <= 0:
            self.fail(f"{value!r} is no size; write 512M, 2G or a number of bytes", param, ctx)
        return found
