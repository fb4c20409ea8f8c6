"""What the death of a child comes to, in words and charges. What becomes of tasks then is in tests/crash/test_deaths.py."""

from __future__ import annotations

import json
import signal

import pytest

from hotqueue.tasks.rules import history
from hotqueue.tasks.supervisor.child_deaths import NAMED, death_of, how_it_died
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.supervisor.processes import Dead
from tests.tasks.supervised import slot_of


def dead(*running: str, code: int = -9, ended_for: tuple[str, str] | None = None, fate: int = 0) -> Dead:
    child = Child(1, -1, -1, [], [])
    child.slots = {n: slot_of(task_id, fate=fate) for n, task_id in enumerate(running)}
    child.ended_for = ended_for
    return Dead(child, code, 2048)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "exited with 3 without finishing its task (peak memory 2 MB)"),
        (-signal.SIGSEGV, "was killed by SIGSEGV (peak memory 2 MB)"),
        (-signal.SIGKILL, "was killed by SIGKILL, by hand or for want of memory (peak memory 2 MB)"),
        (-250, "was killed by signal 250 (peak memory 2 MB)"),
    ],
)
def test_how_a_process_died_is_said_in_words(code: int, said: str) -> None:
    assert how_it_died(code, 2048) == said


def test_one_that_ran_alone_is_charged_and_runs_again_in_quarantine() -> None:
    death = death_of(dead("t"))
    assert (death.charge.ids, death.charge.ran, death.charge.verdict) == (["t"], 1, history.KILLED)
    assert death.aftermath == "; it ran t, which runs again in quarantine: it is suspected of killing its process"
    assert json.loads(death.cause)["exit"] == -9


def test_those_that_ran_side_by_side_run_again_as_before() -> None:
    death = death_of(dead("t", "u"))
    assert (death.charge.ids, death.charge.ran) == (["t", "u"], 2)
    assert death.aftermath == "; it ran side by side t, u, which run again as before"


def test_of_very_many_a_line_names_a_few() -> None:
    death = death_of(dead(*(f"t{n}" for n in range(NAMED + 5))))
    assert "t19 and 5 more, which run again" in death.aftermath


@pytest.mark.parametrize(("why", "verdict"), [("time limit", history.TIME_LIMIT), ("revoked", history.REVOKED)])
def test_who_was_ended_for_one_task_charges_that_alone(why: str, verdict: str) -> None:
    death = death_of(dead("t", "u", ended_for=("t", why)))
    assert (death.charge.ids, death.charge.verdict, death.aftermath) == (["t"], verdict, "")


@pytest.mark.parametrize("why", ["shutdown", "stuck"])
def test_who_was_ended_by_us_charges_nobody(why: str) -> None:
    death = death_of(dead("t", ended_for=("", why)))
    assert (list(death.charge.ids or ()), death.last) == ([], [])
