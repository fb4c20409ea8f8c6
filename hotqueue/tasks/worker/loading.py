"""``MODULE[:ATTR]`` → the queues and tasks in it. Runs in a worker process: it imports the user's code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Container, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from hotqueue import signing
from hotqueue.errors import CannotLoad, ConfigError, HotQueueError
from hotqueue.hints import did_you_mean
from hotqueue.runtime import package
from hotqueue.store.store import Store
from hotqueue.tasks.client.client import Owner
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.client.name_clashes import quietly
from hotqueue.tasks.client.registry import Registry, registry_of
from hotqueue.tasks.client.schedules import Schedules
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.execution import forks
from hotqueue.tasks.rules import globs
from hotqueue.tasks.worker.queue_making import QueueMaking

log = logging.getLogger("hotqueue.worker")


def load(
    modules: Sequence[str],
    names: Sequence[str],
    making: QueueMaking,
    defined: list[str] | None = None,
) -> list[Registry]:
    """Return the queues to work at, each knowing all tasks.

    Args:
        modules: ``package.module`` or ``package.module:queue``.
        names: queues to work at (``-Q``), and globs; all that are found if empty.
        making: makes queues that no module defines, and may know where all live, instead of where the modules say.
        defined: gets the names of the queues that the modules define.

    Raises:
        CannotLoad: says what to do.
        ConfigError: of a name that was to be one with a weight.
    """
    sys.path[:0] = [] if os.getcwd() in sys.path or "" in sys.path else [os.getcwd()]
    with quietly():
        queues = [queue for spec in modules for queue in _queues_of(spec)]
        if making.store is not None:
            for queue in queues:  # all of them: a task may send through any
                registry_of(queue).move(making.store)
        found = _merged(queues)
    every = [registry for same in found.values() for registry in same]
    if clashes := [clash for registry in every for clash in registry.clashes]:
        raise CannotLoad("\n".join(dict.fromkeys(clashes)))
    if defined is not None:
        defined += found
    if modules and not found:
        raise CannotLoad(_nothing_in(modules))
    _check_weights(names, found)
    making.know(every)
    chosen = [making.complete(registry) for registry in (_chosen(names, found, making) if names else every)]
    share_stores(chosen)
    making.find_stores(chosen, every)
    return chosen


def _chosen(names: Sequence[str], found: Mapping[str, list[Registry]], making: QueueMaking) -> list[Registry]:
    """Return the queues that names and globs mean, each once."""
    chosen: dict[int, Registry] = {}
    for name in names:
        if globs.is_glob(name):
            meant = [each for queue, same in found.items() if queue == name or globs.matches(name, queue) for each in same]
        else:
            meant = found.get(name) or found.get(globs.literal(name)) or [making.make(globs.literal(name))]
        chosen.update((id(registry), registry) for registry in meant)
    return list(chosen.values())


def share_stores(registries: Iterable[Registry]) -> None:
    """Have queues at one address share its connections: a worker is at one server then, however many queues it has there."""
    stores: list[Store] = []
    for registry in registries:
        same = next((store for store in stores if store.address == registry.store.address), None)
        if same is None:
            stores.append(registry.store)
        elif same is not registry.store:
            registry.move(same)


def _check_weights(names: Sequence[str], found: Container[str]) -> None:
    """Raise ConfigError for a name that is a queue's with something behind it that was to be a weight."""
    for name in names:
        head, colon, tail = name.rpartition(":")
        if colon and name not in found and head in found and not globs.is_glob(name):
            raise ConfigError(
                f"-Q {name!r}: {tail!r} is no weight, and there is no queue of this name; the weight of a queue is a whole "
                f"number, such as {head}:3"
            )


def _nothing_in(modules: Sequence[str]) -> str:
    """Say which files were imported, and which of them were hardly meant."""
    names = [spec.partition(":")[0] for spec in modules]
    looked = ", ".join(f"{name} ({_file_of(name)})" for name in names)
    taken = "".join(map(_taken, names))
    return f"no queue and no task in {looked}{taken or '; define one with @queue.task, or name another module'}"


def _taken(name: str) -> str:
    """Return, as the end of a message, that a module of this name came from where the user's own code is not; or ""."""
    mine = _shadowed(name)
    theirs = name.partition(".")[0] in sys.stdlib_module_names and not _file_of(name).startswith(os.getcwd() + os.sep)
    if not mine and not theirs:
        return ""
    whose = "the standard library's" if theirs else f"another, {_file_of(name)}"
    found = f", so that {mine} is not found" if mine else ""
    return f"; module {name!r} is {whose}{found}: give yours another name"


def _taken_above(name: str) -> str:
    parent = name.rpartition(".")[0]
    return _taken(parent) if parent else ""


def _file_of(name: str) -> str:
    return getattr(sys.modules.get(name), "__file__", None) or "built in"


def _shadowed(name: str) -> str:
    """Return the file in the current folder that has a module's name, where it is another one that was imported."""
    path = os.path.join(os.getcwd(), *name.split("."))
    for file in (f"{path}.py", os.path.join(path, "__init__.py")):
        if os.path.isfile(file) and not _is_same(file, _file_of(name)):
            return file
    return ""


def _is_same(file: str, other: str) -> bool:
    try:
        return os.path.samefile(file, other)
    except OSError:
        return False


def _merged(queues: Iterable[Owner]) -> dict[str, list[Registry]]:
    """Return the queues of each name, one a place: modules that each make a HotQueue("x") there mean the same queue.

    Though one has a client, or a timeout, that the other has not: a worker that took them for two would be in its own way.
    """
    found: dict[str, list[Registry]] = {}
    for queue in queues:
        registry = registry_of(queue)
        at_name = found.setdefault(queue.name, [])
        same = next((each for each in at_name if each.store.elsewhere == registry.store.elsewhere), None)
        if same is None:
            at_name.append(registry)
        elif same is not registry:
            _check_keys(same, registry)
            for task in registry.tasks.values():
                same.add(task)
            for schedule in registry.schedules.values():
                Schedules(same).declare(schedule)
            same.clashes += registry.clashes
    return found


def _check_keys(one: Registry, other: Registry) -> None:
    if not one.signer.agrees_with(other.signer) if one.signer else other.signer is not None:
        raise CannotLoad(
            f"queue {one.name!r} is made more than once, with different secret keys (or once without one); make it once, or set "
            f"${signing.VARIABLE} for all of them"
        )


def _queues_of(spec: str) -> list[Owner]:
    name, colon, attribute = spec.partition(":")
    if not name or (colon and not attribute):
        raise CannotLoad(f"{spec!r} names no module; write {'module:queue' if colon else 'the module with your tasks'}")
    module = _imported(name)
    if not attribute:
        found = [v for v in vars(module).values() if isinstance(v, Owner)]
        return found + [definition_of(v).client.owner for v in vars(module).values() if isinstance(v, Task)]
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            hint = did_you_mean(part, dir(value)) or _what_there_is(value)
            raise CannotLoad(f"{name} has no {part!r}{_taken(name) if value is module else ''}{hint}")
        value = getattr(value, part)
        name = f"{name}.{part}"
    if isinstance(value, Task):
        return [definition_of(value).client.owner]
    if not isinstance(value, Owner):
        raise CannotLoad(f"{spec} is a {type(value).__name__}, not a HotQueue or a task")
    return [value]


def _what_there_is(holder: Any) -> str:
    """Return the names of the queues and tasks in a module or a class, as the end of a message."""
    there = (
        [name for name, value in vars(holder).items() if isinstance(value, Owner | Task)] if hasattr(holder, "__dict__") else []
    )
    if not there:
        return "; there is no queue and no task in it"
    return f"; there {'are' if len(there) > 1 else 'is'} {', '.join(there[:10])}{' …' if len(there) > 10 else ''}"


def _imported(name: str) -> ModuleType:
    if name.endswith(".py") or os.sep in name:
        raise CannotLoad(f"{name!r} is a file; {_module_of(name)}")
    if name.startswith("."):
        raise CannotLoad(f"{name!r} is relative; name the module in full, as it is imported: package.module")
    try:
        return _run(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise CannotLoad(f"{name} cannot be imported: it needs {error.name!r}, which is not installed here") from error
        raise CannotLoad(
            f"no module named {error.name!r}{_taken_above(error.name)}{_nearest(error.name)} "
            f"(looked in {os.getcwd()} and sys.path)"
        ) from error
    except BaseException as error:
        trace = "".join(traceback.format_exception(error.with_traceback(_own_frames(error)))).rstrip()
        if isinstance(error, HotQueueError):
            trace = _without_ours(error)
        raise CannotLoad(f"{name} cannot be imported:\n{trace}") from error


def _run(name: str) -> ModuleType:
    """Import a module; a process that it forks while it runs does not come back from here."""
    before = forks.count
    try:
        module = importlib.import_module(name)
    except BaseException as error:
        forks.leave_if_forked(before, error)
        raise
    forks.leave_if_forked(before)
    return module


def _module_of(file: str) -> str:
    """Return what to name instead of a file."""
    path = os.path.relpath(os.path.abspath(file))
    folder, module = os.path.split(path.removesuffix(".py"))
    if path.startswith(os.pardir + os.sep):
        return f"start in {os.path.dirname(os.path.abspath(file))}, or put it on $PYTHONPATH, and name the module: {module}"
    return f"name the module: {'.'.join([*folder.split(os.sep), module] if folder else [module])}"


def _own_frames(error: BaseException) -> Any:
    """Return the traceback from the user's first line on; None where none of it ran, as with a file that is not Python."""
    trace = error.__traceback__
    while trace is not None and (
        "importlib" in trace.tb_frame.f_code.co_filename or trace.tb_frame.f_code.co_filename == __file__
    ):
        trace = trace.tb_next
    return trace


def _without_ours(error: HotQueueError) -> str:
    """Return the traceback of an error that we raised on purpose, down to the user's last line: what it says is about that."""
    trace = traceback.TracebackException.from_exception(error)
    trace.stack = traceback.StackSummary.from_list(
        [frame for frame in trace.stack if not frame.filename.startswith(package.FOLDER)]
    )
    return "".join(trace.format(chain=False)).rstrip()


def _nearest(name: str) -> str:
    import pkgutil

    parent, _, last = name.rpartition(".")
    try:
        where = list(importlib.import_module(parent).__path__) if parent else [os.getcwd()]
    except Exception:
        return ""
    return did_you_mean(last, [module.name for module in pkgutil.iter_modules(where)], f"{parent}." if parent else "")
