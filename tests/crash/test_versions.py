"""What earlier releases wrote, byte for byte: every later one runs it. One set of files in `golden` a wire version.

A change of the format adds files, made by the release that writes them; none is ever changed. A call by value is not among
them: it is good for one minor version of Python, and parked for a worker of that.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotqueue import keys
from hotqueue.signing import signer_of
from hotqueue.tasks.wire import envelope
from tests.crash.rig import Rig

GOLDEN = Path(__file__).parent / "golden"
RUN = [path for path in sorted(GOLDEN.glob("wire-*.bin")) if "signed" not in path.name]  # signed for another queue than ours


def test_there_are_files_of_every_version() -> None:
    for version in range(envelope.OLDEST_READ, envelope.WIRE_VERSION + 1):
        assert {f"wire-{version}-{what}.bin" for what in ("sync", "async", "options", "signed")} <= set(os.listdir(GOLDEN))


@pytest.mark.parametrize("ahead", [0, 1], ids=["this version", "the next"])
def test_envelopes_of_every_version_run(rig: Rig, ahead: int) -> None:
    """Row 50: by the worker of this release; and by one whose wire version is the next, as after an upgrade."""
    for n, path in enumerate(RUN):
        task_id, kind = path.stem.rpartition("-")[2], path.read_bytes()[1:2]
        rig.redis.hset(keys.tasks(rig.name), task_id, path.read_bytes())
        rig.redis.zadd(keys.ready_async(rig.name) if kind == b"a" else keys.ready(rig.name), {task_id: n})
    upgrade = rig.log.parent / "sitecustomize.py"
    upgrade.write_text(f"from hotqueue.tasks.wire import envelope\nenvelope.WIRE_VERSION += {ahead}\n")
    rig.start(env={"PYTHONPATH": os.pathsep.join([str(upgrade.parent), rig.env["PYTHONPATH"]])})
    assert [rig.queue.result(path.stem.rpartition("-")[2]).get(30) for path in RUN] == [7] * len(RUN)
    assert rig.starts() == {"7": len(RUN)}
    rig.check_nothing_left()


def test_signatures_of_every_version_are_verified() -> None:
    """Row 50."""
    for path in GOLDEN.glob("wire-*-signed.bin"):
        found = envelope.decode(path.read_bytes(), signer_of("golden", "golden"), "golden", "signed")
        assert (found.task, found.args_repr) == ("fault_tasks.work", "7")
