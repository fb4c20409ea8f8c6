"""What a result shows of a task that runs: that it can be asked for without anything being read."""

from __future__ import annotations

import sys

from hotqueue import HotQueue
from hotqueue.tasks.client.async_stream import AsyncStream
from hotqueue.tasks.client.stream import Stream
from tests.support.processes import run_python

ASK = """
import sys
from hotqueue import HotQueue
result = HotQueue("q", host="127.0.0.1", port=1).result("t")
print([name for name in sys.modules if name.endswith(("client.stream", "client.async_stream"))])
"""


def test_to_ask_for_a_stream_reads_nothing() -> None:
    result = HotQueue("q", host="127.0.0.1", port=1).result("t")
    stream, other = result.stream(5, 1), result.astream(5, 1)
    assert isinstance(stream, Stream)
    assert isinstance(other, AsyncStream)
    assert (stream.index, stream.attempt, other.index) == (5, None, 5)


def test_who_reads_none_imports_nothing_of_it() -> None:
    assert run_python(ASK).stdout.strip() == "[]", sys.version
