"""The version of a user's code: as somebody says; else of the distribution that his module is of."""

from __future__ import annotations

from importlib import metadata

from hotqueue.tasks.supervisor.code_version import code_version


def test_it_is_what_is_said_or_what_is_installed() -> None:
    assert code_version("v1.2", ["redis.client:queue"]) == "v1.2"
    assert code_version("", ["redis.client:queue"]) == metadata.version("redis")
    assert code_version("", ["no_such_module_of_ours"]) == code_version("", []) == ""
