"""Which wire version a process of the chaos run speaks: today's, or the next one, as a release to come would. Workers of the next
one run the package of tests/support/next_version.py, whose queues have a schema more; producers all do.

There is one version so far, so the next release is played: it writes the next number and reads both, by the same code that will
read old envelopes then. To a process of today its envelopes are what they will be: of a version it does not know.
"""

from __future__ import annotations

import os

from hotqueue.tasks.wire import envelope

NOW = envelope.WIRE_VERSION
NEXT = NOW + 1
VARIABLE = "CHAOS_WIRE"


def speak() -> int:
    """Have this process speak the version that the environment names; return it."""
    envelope.WIRE_VERSION = int(os.environ.get(VARIABLE, NOW))
    return envelope.WIRE_VERSION
