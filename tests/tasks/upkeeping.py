"""What tests of upkeep begin with: an upkeep that sweeps when told to, dead and distant workers."""

from __future__ import annotations

from hotqueue.presence import Presence
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.worker.running_table import Running
from tests.tasks.contents import Room, place, sync

LATER = 9_999_999_999_999


def upkeep_of(room: Room, lease_ms: int = 60_000, **options: object) -> Upkeep:
    return Upkeep([room.broker], lease_ms, **options)  # type: ignore[arg-type]


def beat(upkeep: Upkeep) -> None:
    """Sweep now, though a second has not passed."""
    upkeep.sweep_soon()
    upkeep.beat()


def dead_presence(room: Room, *running: str, lease: int = LATER) -> Presence:
    """Return the presence of a process that died while it ran some of the tasks "a", "b", "c" that it held."""
    gone = Presence(Running.size(3))
    table = Running(gone.state)
    for task_id in running:
        table.start(task_id.encode())
    gone.let_go()
    room.fill({"tasks": {n: sync(n) for n in "abc"}, f"held:{gone.id}": {n: f"1 s {place(i)}" for i, n in enumerate("abc")}})
    room.fill({"workers": {gone.id: lease}, f"worker:{gone.id}": {"folder": gone.folder, "fetch": 1}})
    return gone


def held_out_of_sight(room: Room, lease: float) -> Upkeep:
    room.fill({"tasks": {"t": sync()}, "held:other": {"t": f"1 s {place(1)}"}, "workers": {"other": lease}})
    return upkeep_of(room, lease_ms=200)
