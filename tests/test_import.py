"""What importing hotqueue costs: neither redis nor cloudpickle before a queue is used; every public name is real."""

from __future__ import annotations

import json

import pytest

import hotqueue
from tests.processes import run_python

HEAVY = {"redis", "cloudpickle", "asyncio", "multiprocessing"}


def modules_after(code: str, **options: object) -> set[str]:
    """Return the modules that a new process has imported after running `code`."""
    tail = "\nimport json, sys; print('\\n' + json.dumps(list(sys.modules)))"
    return set(json.loads(run_python(code + tail, **options).stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not modules_after("import hotqueue; hotqueue.__version__; hotqueue.QueueFull; dir(hotqueue)") & HEAVY


@pytest.mark.parametrize("name", hotqueue.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hotqueue, name) is not None
    assert name in dir(hotqueue)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'HotKeue'"):
        hotqueue.HotKeue  # noqa: B018


def test_a_star_import_brings_all_public_names() -> None:
    run_python("from hotqueue import *; HotQueueError, Retry, __version__")
