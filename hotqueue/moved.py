"""Where what stored data names is now. Pickles and dead records of older versions name modules that have moved since.

What is written today names `hotqueue.X` and `hotqueue.tasks.X` alone; no line is to be added here for what was never stored.
Who moves a class or a function that stands on the right changes its line. Imports nothing of hotqueue; whoever imports hotqueue
does not import this file before something stored asks for it.
"""

from __future__ import annotations

from typing import Any

_ERRORS = (
    "ConfigError ConnectionFailed ControlFlow DuplicateTask HotQueueError Ignore LeaseLost QueueFull Reject RemoteError "
    "RemoteTraceback ResultTimeout Retry SerializationError SignatureError SoftTimeLimitExceeded TaskError TaskExpired "
    "TaskNotRegistered TaskRejected TaskRevoked TimeLimitExceeded WorkerLost"
)

# What it was called when it was stored → what it is called now.
NAMES = {
    **{f"hotqueue.errors.{name}": f"hotqueue.{name}" for name in _ERRORS.split()},
    "hotqueue.queue.HotQueue": "hotqueue.HotQueue",
    "hotqueue.queue.key_for_name": "hotqueue.key_for_name",
    "hotqueue.connection.Store": "hotqueue.store.store.Store",
    "hotqueue.address.Address": "hotqueue.store.address.Address",
    "hotqueue.embedded.EmbeddedServer": "hotqueue.embedded.server.EmbeddedServer",
    "hotqueue.tasks.context.CurrentTask": "hotqueue.tasks.context.CurrentTask",
    "hotqueue.tasks.context.TaskFilter": "hotqueue.tasks.TaskFilter",
    "hotqueue.tasks.context.current_task": "hotqueue.tasks.current_task",
    "hotqueue.tasks.envelope.CorruptEnvelope": "hotqueue.CorruptEnvelope",
    "hotqueue.tasks.envelope.NewerEnvelope": "hotqueue.NewerEnvelope",
    "hotqueue.tasks.lifecycle.State": "hotqueue.tasks.State",
    "hotqueue.tasks.loading.CannotLoad": "hotqueue.CannotLoad",
    "hotqueue.tasks.options.TaskOptions": "hotqueue.tasks.rules.options.TaskOptions",
    "hotqueue.tasks.registry.DeadTask": "hotqueue.tasks.DeadTask",
    "hotqueue.tasks.result.AsyncResult": "hotqueue.tasks.AsyncResult",
    "hotqueue.tasks.result.ResultSet": "hotqueue.tasks.ResultSet",
    "hotqueue.tasks.result.UnknownTask": "hotqueue.UnknownTask",
    "hotqueue.tasks.result._rebuild": "hotqueue.tasks.client.result.rebuilt",
    "hotqueue.tasks.task.AsyncTask": "hotqueue.tasks.AsyncTask",
    "hotqueue.tasks.task.Task": "hotqueue.tasks.Task",
}


def today(path: Any) -> Any:
    """Return what ``module.name`` is called now, of a class that stored data may name; else the same, whatever it is."""
    return NAMES.get(path, path) if isinstance(path, str) else path


def find(module: str, name: str) -> Any:
    """Return what was called ``module.name`` when it was stored.

    Raises:
        AttributeError: nothing that stored data names was called so.
    """
    home, _, now = NAMES.get(f"{module}.{name}", "").rpartition(".")
    if not home:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), now)


def spec(module: str) -> Any:
    """Return how to make a module that is no more, with nothing in it but what stored data may name; None if there was none."""
    if not any(old.rpartition(".")[0] == module for old in NAMES):
        return None
    from importlib.machinery import ModuleSpec

    return ModuleSpec(module, _Loader)  # type: ignore[arg-type]


class _Loader:
    @staticmethod
    def create_module(spec: Any) -> None:
        """Have Python make it."""

    @staticmethod
    def exec_module(module: Any) -> None:
        """Look up its names when they are asked for."""
        module.__getattr__ = lambda name: find(module.__name__, name)
