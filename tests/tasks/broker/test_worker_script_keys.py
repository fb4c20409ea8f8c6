"""The lists for workers and upkeep end with as many keys as there are workers. What they begin with: test_script_keys.py."""

from __future__ import annotations

from hotqueue.tasks.broker.worker_script_keys import WorkerScriptKeys

KEYS = WorkerScriptKeys("q")


def things(keys: list[str]) -> list[str]:
    return [key.partition("}:")[2] for key in keys]


def test_a_sweep_has_what_each_of_its_workers_holds_behind_the_same_keys() -> None:
    assert things(KEYS.sweep(["v", "w"]))[-2:] == ["held:v", "held:w"]
    assert KEYS.sweep(["v", "w"])[:-2] == KEYS.sweep()


def test_all_keys_of_a_list_are_of_the_queue() -> None:
    for made in (KEYS.sweep(["w"]), KEYS.step("w"), KEYS.reap("w"), KEYS.register("w"), KEYS.audit(["w"], ["n"])):
        assert all(key.startswith("{hotqueue:q}:") for key in made)
