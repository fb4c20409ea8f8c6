"""hotqueue: a task queue for Python over Redis, embedded or not.

The public names, each imported when first used (PEP 562): ``import hotqueue`` costs neither redis nor cloudpickle. What is
stored goes by them as well, or by those of `hotqueue.tasks`, so that a file may move (docs/decisions/0038).
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotqueue.errors import (
        CannotLoad,
        ConfigError,
        ConnectionFailed,
        ControlFlow,
        CorruptEnvelope,
        DuplicateTask,
        EarlierStepFailed,
        HotQueueError,
        Ignore,
        Interruption,
        LeaseLost,
        NewerEnvelope,
        NewerQueue,
        NoTask,
        NoThread,
        NotTaken,
        QueueFull,
        Refused,
        Reject,
        RemoteError,
        RemoteTraceback,
        ResultTimeout,
        Retry,
        SerializationError,
        SignatureError,
        SoftTimeLimitExceeded,
        StreamGap,
        StreamRestarted,
        TaskError,
        TaskExpired,
        TaskNameWarning,
        TaskNotRegistered,
        TaskRejected,
        TaskRevoked,
        TimeLimitExceeded,
        UnknownTask,
        WorkerLost,
    )
    from hotqueue.queue import HotQueue, key_for_name
    from hotqueue.tasks.futures.executor import Executor

__version__ = "0.1.0"

__all__ = [
    "CannotLoad",
    "ConfigError",
    "ConnectionFailed",
    "ControlFlow",
    "CorruptEnvelope",
    "DuplicateTask",
    "EarlierStepFailed",
    "Executor",
    "HotQueue",
    "HotQueueError",
    "Ignore",
    "Interruption",
    "LeaseLost",
    "NewerEnvelope",
    "NewerQueue",
    "NoTask",
    "NoThread",
    "NotTaken",
    "QueueFull",
    "Refused",
    "Reject",
    "RemoteError",
    "RemoteTraceback",
    "ResultTimeout",
    "Retry",
    "SerializationError",
    "SignatureError",
    "SoftTimeLimitExceeded",
    "StreamGap",
    "StreamRestarted",
    "TaskError",
    "TaskExpired",
    "TaskNameWarning",
    "TaskNotRegistered",
    "TaskRejected",
    "TaskRevoked",
    "TimeLimitExceeded",
    "UnknownTask",
    "WorkerLost",
    "__version__",
    "key_for_name",
]

# Where a public name is defined; the rest are errors.
_HOMES = {"Executor": "hotqueue.tasks.futures.executor", "HotQueue": "hotqueue.queue", "key_for_name": "hotqueue.queue"}


class _OldModules:
    """Finds modules that are no more, of which pickles of older versions know; for sys.meta_path."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> Any:
        if not name.startswith("hotqueue."):
            return None
        from hotqueue import moved

        return moved.spec(name)


sys.meta_path.append(_OldModules)  # the last one: nobody waits for it who finds a module otherwise


def __getattr__(name: str) -> Any:
    if name == "web":  # hotqueue.web.app(queue), with no other import
        return import_module("hotqueue.web")
    if name not in __all__:
        raise AttributeError(f"module 'hotqueue' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(_HOMES.get(name, "hotqueue.errors")), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "tasks", "web"})
