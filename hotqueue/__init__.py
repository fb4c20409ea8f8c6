"""hotqueue: a task queue for Python over Redis, embedded or not.

The public names, each imported when first used (PEP 562): ``import hotqueue`` costs neither redis nor cloudpickle.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotqueue.errors import (
        ConfigError,
        ConnectionFailed,
        DuplicateTask,
        HotQueueError,
        Ignore,
        LeaseLost,
        QueueFull,
        Reject,
        RemoteError,
        ResultTimeout,
        Retry,
        SerializationError,
        SignatureError,
        SoftTimeLimitExceeded,
        TaskExpired,
        TaskNameWarning,
        TaskNotRegistered,
        TaskRejected,
        TaskRevoked,
        TimeLimitExceeded,
        WorkerLost,
    )
    from hotqueue.queue import HotQueue, key_for_name

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "ConnectionFailed",
    "DuplicateTask",
    "HotQueue",
    "HotQueueError",
    "Ignore",
    "LeaseLost",
    "QueueFull",
    "Reject",
    "RemoteError",
    "ResultTimeout",
    "Retry",
    "SerializationError",
    "SignatureError",
    "SoftTimeLimitExceeded",
    "TaskExpired",
    "TaskNameWarning",
    "TaskNotRegistered",
    "TaskRejected",
    "TaskRevoked",
    "TimeLimitExceeded",
    "WorkerLost",
    "__version__",
    "key_for_name",
]

# Where a public name is defined; the rest are errors.
_HOMES = {"HotQueue": "hotqueue.queue", "key_for_name": "hotqueue.queue"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hotqueue' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(_HOMES.get(name, "hotqueue.errors")), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
