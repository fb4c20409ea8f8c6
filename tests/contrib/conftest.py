"""A worker without any code of its own; see tests/support/generic_worker.py."""

from tests.support.generic_worker import queue, served

__all__ = ["queue", "served"]
