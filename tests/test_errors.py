"""The tree of errors: what a user can meet is exported, and can be pickled; what steers a task is no error of the store."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable

import pytest

import hotqueue
from hotqueue import errors

INTERNAL = {"ControlFlow", "RemoteTraceback"}
CLASSES = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception | Warning)]
MADE: dict[type, Callable[[], Exception]] = {
    errors.RemoteError: lambda: errors.RemoteError("shop.OutOfStock", "why", "Traceback …"),
    errors.Retry: lambda: errors.Retry(countdown=2.5, max_retries=1),
}
OURS = [kind for kind in CLASSES if kind.__module__.partition(".")[0] == "hotqueue"]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_each_is_found_under_its_public_name(kind: type[Exception]) -> None:
    assert kind.__doc__
    if kind.__name__ not in INTERNAL:
        assert getattr(hotqueue, kind.__name__) is kind
        assert kind.__name__ in hotqueue.__all__


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_each_can_be_pickled(kind: type[Exception]) -> None:
    made = MADE.get(kind, lambda: kind("why"))()
    copied = pickle.loads(pickle.dumps(made))
    assert type(copied) is kind
    assert (copied.args, vars(copied)) == (made.args, vars(made))


def test_what_people_catch_by_pythons_names() -> None:
    assert issubclass(errors.ConnectionFailed, ConnectionError)
    assert issubclass(errors.ResultTimeout, TimeoutError)
    assert issubclass(errors.ConfigError, ValueError)


def test_what_steers_a_task_is_caught_by_nobody_who_catches_errors_of_the_store() -> None:
    for kind in (errors.Retry, errors.Reject, errors.Ignore, errors.SoftTimeLimitExceeded, errors.LeaseLost):
        assert not issubclass(kind, errors.STORE_ERRORS)
