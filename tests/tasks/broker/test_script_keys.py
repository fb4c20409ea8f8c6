"""A key has three places that have to agree: the list that Python sends, the script's head, and its name in the script.

All scripts of the room are looked at, those that come later too: one that has no list here fails.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hotqueue
from hotqueue.tasks.broker import lost_steps, scripts, unowned_results
from hotqueue.tasks.broker.script_keys import ScriptKeys

FOLDER = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"
KEYS = ScriptKeys("q")
LISTS = {
    "audit": KEYS.audit(["w"], ["n"]),
    "claim": KEYS.claim(),
    "count_waiting": KEYS.count_waiting(),
    "discard": KEYS.discard(),
    "undo_discard": KEYS.undo_discard(),
    "step_states": KEYS.step_states(),
    "declare": KEYS.declare(),
    "due_schedules": KEYS.due_schedules(),
    "set_schedules": KEYS.schedules(),
    "enqueue": [*KEYS.enqueue(), *KEYS.received("o"), *KEYS.schedules()],
    "enqueue_one": [*KEYS.enqueue_one(False), "{hotqueue:q}:result:t"],
    "forget": KEYS.forget("t"),
    "posted": KEYS.posted("o"),
    "strike": KEYS.posted("o"),
    "renumber": KEYS.renumber("o"),
    "told": KEYS.received("o"),
    "drop_source": KEYS.received("o"),
    "own": KEYS.own(),
    "pause": KEYS.pause(),
    "may_start": KEYS.may_start(["w"]),
    "expire": KEYS.expire([("t", "n")]),
    "free_done": KEYS.free_done(),
    "fold": KEYS.fold(),
    "deploy": KEYS.deploy(),
    "has_tasks": KEYS.has_tasks(),
    "let_go": KEYS.let_go(),
    "expire_unowned": unowned_results.keys_of(scripts.EXPIRE_UNOWNED, "q"),
    "mend_owners": KEYS.mend_owners(),
    "waiting_steps": lost_steps.keys_of(scripts.WAITING_STEPS, "q"),
    "awaited_steps": lost_steps.keys_of(scripts.AWAITED_STEPS, "q"),
    "end_lost": lost_steps.keys_of(scripts.END_LOST, "q"),
    "list_dead": KEYS.list_dead(),
    "what_is_left": KEYS.what_is_left(),
    "glance": KEYS.glance(),
    "heads": KEYS.heads(),
    "spans": KEYS.spans(),
    "needs_upkeep": KEYS.needs_upkeep(),
    "list_expired": KEYS.list_expired(),
    "look": KEYS.look("t"),
    "glimpse": KEYS.glimpse(),
    "revoke_steps": KEYS.revoke_steps(),
    "follow": KEYS.follow(),
    "mend_lanes": KEYS.mend_lanes(),
    "mend_unique": KEYS.mend_unique(),
    "at_gate": KEYS.at_gate(),
    "pause_key": KEYS.pause_key(),
    "promote": KEYS.promote(),
    "reap": KEYS.reap("w"),
    "recover": KEYS.recover("w"),
    "wake_tokens": KEYS.wake_tokens("s"),
    "register": KEYS.register("w"),
    "revive": KEYS.revive(),
    "revoke": KEYS.revoke("t", "n"),
    "revoke_some": KEYS.revoke_some("{hotqueue:q}:source"),
    "ask_again": KEYS.ask_again(),
    "hear": KEYS.hear("other"),
    "share": KEYS.share(),
    "step": KEYS.step("w"),
    "stream_add": KEYS.stream_add("w", "t"),
    "stream_read": KEYS.stream_read("t"),
    "sweep": KEYS.sweep(["w"]),
    "checkpoint": KEYS.checkpoint("w"),
    "take_back": KEYS.take_back("w"),
    "upgrade": KEYS.upgrade(),
    "unpark": KEYS.unpark("n"),
    "wait": KEYS.wait("c", ["t"]),
    "why": KEYS.why("t"),
}
NO_NUMBERS = {"unstarted", "are_registered"}  # one list of one kind


def head_of(script: str) -> dict[int, str]:
    """Return what the head of a script calls each numbered key, without what stands behind its colon for somebody's name."""
    text = (FOLDER / f"{script}.lua").read_text()
    head = re.search(r"^-- KEYS (.*?)(?=^-- (?:ARGV|Returns)|^[^-])", text, re.M | re.S)
    assert head is not None
    words = head[1].replace("\n--", " ")
    return _numbered(words)


def _numbered(words: str) -> dict[int, str]:
    found = {}
    for first, last, name in re.findall(r"(?<!\S)(\d+)(?:-(\d+))? (\S+)", words):
        for number in range(int(first), int(last or first) + 1):
            found[number] = name.rstrip(",;")
    return found


def plain(key: str) -> str:
    """Return what is the same of a key whoever it belongs to: ``held:w`` → ``held``, ``dead:tasks`` as it is."""
    thing = key.partition("}:")[2]
    return (
        thing.partition(":")[0]
        if re.match(r"(held|worker|result|stream|streamed|parked|reply|progress|done|posted|received):", thing)
        else thing
    )


def test_every_script_has_its_list() -> None:
    assert {path.stem for path in FOLDER.glob("*.lua")} == LISTS.keys() | NO_NUMBERS


@pytest.mark.parametrize("script", LISTS)
def test_the_list_is_what_the_head_says(script: str) -> None:
    said = {number: re.sub(r":<\w+>$", "", name) for number, name in head_of(script).items()}
    sent = {number: plain(key) for number, key in enumerate(LISTS[script], 1)}
    if script == "enqueue_one":
        assert said.pop(4) == "the"  # bell of that ready set
    assert said.items() <= sent.items()
    assert said.keys() | {4} == set(range(1, max(said) + 1)) | {4}


@pytest.mark.parametrize("script", LISTS)
def test_a_script_calls_its_keys_what_its_head_does(script: str) -> None:
    head = head_of(script)
    named = {}
    for names, keys in re.findall(
        r"^local ([\w, ]+) = (KEYS\[\d+\](?:, KEYS\[\d+\])*)$", (FOLDER / f"{script}.lua").read_text(), re.M
    ):
        named.update(zip(map(int, re.findall(r"\d+", keys)), names.split(", "), strict=True))
    for number, name in named.items():
        said = re.sub(r":<\w+>$", "", head[number]).replace(":", "_")
        assert re.sub(r"_\d$", "", name.lower()) == said or (script, number) == ("enqueue_one", 4)


@pytest.mark.parametrize("script", LISTS)
def test_below_its_first_lines_a_script_has_no_numbers_for_keys(script: str) -> None:
    body = re.sub(r"^(--|local).*\n", "", (FOLDER / f"{script}.lua").read_text(), flags=re.M)
    assert re.findall(r"KEYS\[\d+\]", body) == []


def test_the_last_ones_are_one_a_task() -> None:
    assert KEYS.wait("c", ["a", "b"])[7:] == ["{hotqueue:q}:result:a", "{hotqueue:q}:result:b"]
    expiring = [key.partition("}:")[2] for key in KEYS.expire([("a", "x"), ("b", "-")])[16:]]
    assert expiring == ["result:a", "parked:x", "result:b", "parked:-"]
    assert [key.partition("}:")[2] for key in KEYS.audit(["v", "w"], ["n"])[14:]] == ["held:v", "held:w", "parked:n"]
    assert KEYS.unstarted(["v", "w"]) == ["{hotqueue:q}:held:v", "{hotqueue:q}:held:w"]
