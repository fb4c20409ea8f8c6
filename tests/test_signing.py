"""With a secret key, nothing that others wrote is unpickled: not by a worker, not by who asks for a result.

What is planted leaves a mark when it is unpickled: a folder. The first test sees to it that it would.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import pickle
import re
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue, SerializationError, keys
from hotqueue.errors import SignatureError, TaskExpired, TaskRevoked, TimeLimitExceeded
from hotqueue.signing import SIGNATURE_BYTES, Signer
from hotqueue.tasks import AsyncResult, State
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.wire import envelope, payload, record
from hotqueue.tasks.wire.envelope import SIGNED
from hotqueue.tasks.worker.loading import CannotLoad, load
from hotqueue.tasks.worker.queue_making import QueueMaking
from tests.support.processes import run_python
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]
KEY, OLD, OTHER = "the-key-of-these-tests", "a-retired-key", "somebody-elses-key"
FIRST = 200 << 45  # a place before all others'


class Mark:
    """Something that makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "was-unpickled"


@pytest.fixture(autouse=True)
def _nothing_seen_yet() -> None:
    sample.seen.clear()
    sample.go_on.clear()


@pytest.fixture
def queue(make_queue: MakeQueue) -> HotQueue:
    """The queue of those who have the key."""
    return make_queue(secret_key=KEY)


@pytest.fixture
def room(queue: HotQueue) -> Any:
    made = Room(queue)
    yield made
    made.wipe()


def work(queue: HotQueue) -> None:
    queue.task(sample.note)
    queue.run_worker(burst=True)


def captured(queue: HotQueue, value: Any, task_id: str = "captured") -> bytes:
    """Return the envelope of a call, taken out of the queue again."""
    room = Room(queue)
    queue.task(sample.note).apply_async((value,), task_id=task_id)
    data: bytes = room.client.hget(room.prefix + "tasks", task_id)
    room.client.hdel(room.prefix + "tasks", task_id)
    room.client.zrem(room.prefix + "ready", task_id)
    return data


def plant(room: Room, envelopes: dict[str | bytes, bytes]) -> None:
    room.client.hset(room.prefix + "tasks", mapping=envelopes)
    room.client.zadd(room.prefix + "ready", {task_id: FIRST + n for n, task_id in enumerate(envelopes)})


def refused(queue: HotQueue) -> dict[str, str]:
    """Return the dead: id → what was wrong with the signature."""
    dead = {d.id: d for d in queue.dead()}
    assert {d.error for d in dead.values()} <= {"hotqueue.SignatureError"}
    return {task_id: d.message for task_id, d in dead.items()}


def stripped(data: bytes) -> bytes:
    """Return an envelope without its signature, as somebody would make it who knows the checksum."""
    body = bytearray(data[:-SIGNATURE_BYTES])
    body[3] &= ~SIGNED
    body[4:8] = zlib.crc32(body[8:], zlib.crc32(body[:4])).to_bytes(4, "big")
    return bytes(body)


# --- calls -----------------------------------------------------------------------------------------------------------


def test_what_is_planted_would_leave_a_mark(queue: HotQueue, room: Room, mark: Path) -> None:
    plant(room, {"captured": captured(queue, Mark(mark))})
    work(queue)
    assert mark.exists(), "an envelope that nobody altered is unpickled"
    assert refused(queue) == {}


def test_every_flipped_byte_and_every_cut_of_an_envelope_is_refused(queue: HotQueue, room: Room, mark: Path) -> None:
    good = captured(queue, Mark(mark))
    broken = [good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :] for n in range(len(good))]
    broken += [good[:n] for n in range(len(good))] + [good + b"\0"]
    for data in broken:  # each under the right id
        with pytest.raises(SignatureError):
            envelope.decode(data, queue._tasks.signer, queue.name, "captured")
    plant(room, {f"broken-{n}": data for n, data in enumerate(broken)})
    later = queue.task(sample.note).delay("good")
    work(queue)
    assert later.get(timeout=30) == "good"
    assert len(refused(queue)) == len(broken)
    assert not mark.exists()


def test_what_is_unsigned_or_signed_with_another_key_is_refused(
    queue: HotQueue, room: Room, make_queue: MakeQueue, mark: Path
) -> None:
    signed = captured(queue, Mark(mark))
    planted = {
        "unsigned": captured(make_queue(), Mark(mark), "unsigned"),
        "other key": captured(make_queue(secret_key=OTHER), Mark(mark), "other key"),
        "captured": stripped(signed),
        "no hotqueue": payload.dumps(Mark(mark)),
    }
    plant(room, planted)
    work(queue)
    reasons = refused(queue)
    assert set(reasons) == set(planted)
    assert "unsigned" in reasons["unsigned"]
    assert "fits none of the secret keys" in reasons["other key"]
    assert not mark.exists()


def test_a_call_is_good_for_its_own_queue_and_its_own_id_only(
    queue: HotQueue, room: Room, make_queue: MakeQueue, mark: Path
) -> None:
    elsewhere = captured(make_queue(f"{queue.name}-b", secret_key=KEY), Mark(mark), "elsewhere")
    plant(room, {"elsewhere": elsewhere, "another-id": captured(queue, Mark(mark)), b"\xff no text": captured(queue, Mark(mark))})
    work(queue)
    reasons = refused(queue)
    assert f"was signed for queue '{queue.name}-b'" in reasons["elsewhere"]
    assert "task captured stood under another id, 'another-id'" in reasons["another-id"]
    assert "another id" in reasons[keys.text(b"\xff no text")]
    assert not mark.exists()


def test_code_by_value_is_signed_with_its_call(queue: HotQueue, room: Room, make_queue: MakeQueue, mark: Path) -> None:
    path = str(mark)
    good = queue.submit(lambda n: n + 1, 4)
    stranger = make_queue(secret_key=OTHER).submit(lambda: os.mkdir(path))
    work(queue)
    assert good.get(timeout=30) == 5
    assert set(refused(queue)) == {stranger.id}
    assert not mark.exists()


def test_async_tasks_are_verified_too(queue: HotQueue, room: Room, make_queue: MakeQueue, mark: Path) -> None:
    planted = make_queue().task(sample.anote).delay(Mark(mark))
    good = queue.task(sample.anote).delay(3)
    work(queue)
    assert good.get(timeout=30) == 3
    assert set(refused(queue)) == {planted.id}
    assert not mark.exists()


# --- results ---------------------------------------------------------------------------------------------------------


def a_result(queue: HotQueue, value: Any, task_id: str = "answer") -> AsyncResult[Any]:
    """Have a task end; its value is given pickled, since a worker would unpickle it on its way in."""
    result: AsyncResult[Any] = queue.result(task_id)
    data = record.encode(State.SUCCESS, 0, 1, payload.dumps(value), task_id, queue._tasks.result_signer(queue.name))
    Room(queue).client.set(keys.result(queue.name, task_id), data, px=60_000)
    return result


def stored(queue: HotQueue, task_id: str = "answer") -> bytes:
    return bytes(Room(queue).client.get(keys.result(queue.name, task_id)))


async def awaited(result: AsyncResult[Any]) -> Any:
    try:
        return await result.aget(timeout=30)
    finally:
        await handle_of(result).client.store.leave_loop()


WAYS: dict[str, Callable[[AsyncResult[Any]], Any]] = {
    "get": lambda r: r.get(timeout=30),
    "get, not raising": lambda r: r.get(timeout=5, propagate=False),
    "aget": lambda r: asyncio.run(awaited(r)),
    "future": lambda r: r.as_future().result(5),
    "set": lambda r: ResultSet([r]).get(timeout=30),
    "as_completed": lambda r: list(ResultSet([r]).as_completed(timeout=30)),
    "state": lambda r: r.state,
    "result": lambda r: r.result,
    "traceback": lambda r: r.traceback,
    "revoke": lambda r: r.revoke(),
}


def test_a_result_that_nobody_altered_is_unpickled(queue: HotQueue, mark: Path) -> None:
    a_result(queue, Mark(mark)).get(timeout=30)
    assert mark.exists()


@pytest.mark.parametrize("way", WAYS)
def test_an_altered_result_is_refused_whichever_way_it_is_asked_for(queue: HotQueue, mark: Path, way: str) -> None:
    result = a_result(queue, Mark(mark))
    Room(queue).client.setrange(keys.result(queue.name, "answer"), 20, b"!")
    with pytest.raises(SignatureError):
        WAYS[way](result)
    assert not mark.exists()


def test_every_flipped_byte_and_every_cut_of_a_result_is_refused(queue: HotQueue, room: Room, mark: Path) -> None:
    result = a_result(queue, Mark(mark))
    good = stored(queue)
    broken = [good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :] for n in range(len(good))]
    broken += [good[:n] for n in range(1, len(good))] + [good + b"\0", good[:-SIGNATURE_BYTES]]
    for data in broken:
        room.client.set(keys.result(queue.name, "answer"), data)
        with pytest.raises(SignatureError):
            result.get(timeout=30)
    assert not mark.exists()


def test_a_result_is_good_for_its_own_task_and_queue_only(queue: HotQueue, make_queue: MakeQueue, room: Room, mark: Path) -> None:
    other = make_queue(f"{queue.name}-b", secret_key=KEY)
    a_result(other, Mark(mark))
    planted = {"answer": stored(other), "b": stored(other), "xanswer": stored(other)}
    a_result(queue, Mark(mark), "ab")
    joined = stored(queue, "ab")
    planted |= {"b": joined, "aab": joined, "a": joined}
    for task_id, data in planted.items():
        room.client.set(keys.result(queue.name, task_id), data, px=60_000)
        with pytest.raises(SignatureError):
            queue.result(task_id).get(timeout=30)
    assert not mark.exists()


def test_an_envelope_is_no_result_and_a_result_no_envelope(queue: HotQueue, room: Room, mark: Path) -> None:
    call = captured(queue, Mark(mark))
    room.client.set(keys.result(queue.name, "captured"), call, px=60_000)
    with pytest.raises(SignatureError):
        queue.result("captured").get(timeout=30)
    a_result(queue, Mark(mark))
    plant(room, {"answer": stored(queue)})
    room.client.delete(keys.result(queue.name, "answer"))
    work(queue)
    assert set(refused(queue)) == {"answer"}
    assert not mark.exists()


def test_what_is_pushed_to_whoever_waits_is_verified_too(queue: HotQueue, room: Room, mark: Path) -> None:
    result = queue.task(sample.note).delay(1)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            result.get(timeout=30)
        except BaseException as error:
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    reply = wait_until(lambda: room.client.hget(room.prefix + "waiters", result.id))
    evil = record.encode(State.SUCCESS, 0, 1, payload.dumps(Mark(mark)))
    room.client.rpush(reply, b"R" + result.id.encode() + b"\0" + evil)
    waiting.join(20)
    assert [type(error) for error in caught] == [SignatureError]
    assert not mark.exists()
    work(queue)
    assert result.get(timeout=30) == 1


def test_no_part_of_an_id_can_be_taken_for_a_record() -> None:
    """A worker signs the failure of what stood under any id, so an attacker chooses what is signed along."""
    signer = Signer([b"k"]).for_results("q")
    evil = record.encode(State.SUCCESS, 0, 1, b"evil")
    for task_id in (keys.text(b"x\0" + evil), keys.text(evil + b"x"), keys.text(b"\0\0\0\1x" + evil)):
        signed = record.encode(State.FAILURE, 0, 1, b"refused", task_id, signer)
        body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
        whole = keys.raw(task_id) + body
        for cut in range(len(whole)):
            for data, name in ((whole[cut:], whole[:cut]), (whole[:cut], whole[cut:])):
                if name != keys.raw(task_id):
                    with pytest.raises((SignatureError, SerializationError)):
                        record.decode(data + signature, keys.text(name), signer)


def test_ends_without_a_run_are_signed_as_well(queue: HotQueue) -> None:
    note = queue.task(sample.note)
    expired, revoked = note.apply_async((1,), expires=0.001), note.apply_async((2,))
    revoked.revoke()
    with pytest.raises(TaskExpired):
        expired.get(timeout=30)  # ended by who waits: there is no worker
    with pytest.raises(TaskRevoked):
        revoked.get(timeout=30)
    elsewhere = note.apply_async((3,), queue=f"{queue.name}-b", expires=0.001)
    with pytest.raises(TaskExpired):
        elsewhere.get(timeout=30)


# --- rotation and the dead list --------------------------------------------------------------------------------------


def test_keys_are_changed_without_a_pause(make_queue: MakeQueue) -> None:
    """The new key second everywhere, then first, then alone: whatever was sent in one step is understood in the next."""
    steps = [make_queue(secret_key=key) for key in (OLD, f"{OLD},{KEY}", f"{KEY} , {OLD}", KEY)]
    for before, after in itertools.pairwise(steps):
        for sender, worker in ((before, after), (after, before)):
            result = sender.task(sample.note).delay("x")
            work(worker)
            assert sender.result(result.id).get(timeout=30) == "x"


def test_a_dead_task_signed_with_a_retired_key_runs_once_that_key_is_back(
    make_queue: MakeQueue, queue: HotQueue, room: Room
) -> None:
    result = make_queue(secret_key=OLD).task(sample.note).delay("late")
    work(queue)
    for _ in range(2):
        assert list(refused(queue)) == [result.id]
        (dead,) = queue.dead()
        assert (dead.task, dead.args) == ("tests.tasks.sample.note", "'late'")
        assert queue.retry_dead(result.id) == 1
        work(queue)  # refused again, with the same reason: nothing is lost, and nothing is run
    assert sample.seen == []
    queue.retry_dead(all=True)
    both = make_queue(secret_key=f"{KEY},{OLD}")
    work(both)
    assert queue.result(result.id).get(timeout=30) == "late"
    assert refused(queue) == {}


# --- where keys come from, and where they do not go ------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", " ", ",", "a,", ",a", "a,,b", b"bytes", 7, ["a", "b"], True])
def test_an_impossible_key_is_refused_where_it_is_given(key: Any) -> None:
    with pytest.raises(ConfigError, match="secret_key") as caught:
        HotQueue("q", secret_key=key)
    assert "bytes'" not in str(caught.value)


@pytest.mark.parametrize("text", ["", " , ", "key-one,,key-two"])
def test_an_impossible_key_in_the_environment_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_SECRET_KEY", text)
    with pytest.raises(ConfigError, match=r"^\$HOTQUEUE_SECRET_KEY.*empty") as caught:
        HotQueue("q").task(sample.note)
    assert "key-one" not in str(caught.value)


def test_a_key_in_the_code_goes_before_the_environment(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_SECRET_KEY", OTHER)
    queue = make_queue(secret_key=KEY)
    assert Signer([KEY.encode()]).agrees_with(queue._tasks.signer)
    assert Signer([OTHER.encode()]).agrees_with(make_queue()._tasks.signer)


def test_no_repr_and_no_error_shows_the_key(queue: HotQueue) -> None:
    result = queue.task(sample.note).delay(1)
    shown = [repr(x) for x in (queue, queue._tasks, queue._tasks.signer, result, queue._store, queue.tasks)]
    with pytest.raises(SignatureError) as caught:
        envelope.decode(b"x" * 200, queue._tasks.signer)
    assert not [text for text in (*shown, str(caught.value)) if KEY in text]
    work(queue)


def test_no_pickle_takes_the_key_along(queue: HotQueue, room: Room) -> None:
    """Least of all one that goes to Redis: who can read there must not learn how to sign."""
    note, result = queue.task(sample.note), queue.result("x")
    for thing in (queue, note, result, lambda: (queue, note)):
        assert KEY.encode() not in payload.dumps(thing), thing
    with pytest.raises(TypeError, match="secret keys would go along"):
        pickle.dumps(queue._tasks.signer)
    queue.submit(lambda: (queue.name, result.id))
    raw = b"".join(room.client.hvals(room.prefix + "tasks"))
    assert KEY.encode() not in raw
    assert result.id.encode() in raw
    work(queue)


def test_a_queue_that_comes_by_value_finds_its_key_in_the_worker(queue: HotQueue) -> None:
    """…which has it: it is the worker of that queue."""
    again = pickle.loads(pickle.dumps(queue))
    assert again._secret_key == KEY
    name = queue.name
    inner = queue.submit(lambda: queue.task(name="inner")(lambda: name).delay().id)
    work(queue)
    assert queue.result(inner.get(timeout=30)).get(timeout=30) == name
    assert refused(queue) == {}


def test_a_queue_whose_key_stayed_behind_signs_nothing_and_believes_nothing(queue: HotQueue, store_url: str) -> None:
    """A process that has not got the key says so; sent unsigned, or unpickled unverified, would be worse."""
    result = a_result(queue, 5)
    code = """
        import pickle, sys
        from hotqueue.errors import ConfigError
        queue, result_id = pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2]
        queue.put("raw")  # messages are not signed
        for use in (lambda: queue.submit(len, ""), lambda: queue.result(result_id).get(30), lambda: queue.task(len).delay("")):
            try:
                print(use())
            except ConfigError as error:
                print("refused:", error)
    """
    done = run_python(dedent(code), pickle.dumps(queue).hex(), result.id).stdout.splitlines()
    assert [line.split("; ")[0] for line in done] == [
        f"refused: queue {queue.name!r} came here in a pickle, and its secret key does not travel in one"
    ] * 3
    done = run_python(dedent(code), pickle.dumps(queue).hex(), result.id, env={"HOTQUEUE_SECRET_KEY": KEY}).stdout.splitlines()
    assert done[1] == "5"
    queue.clear()
    Room(queue).wipe()


def _in_a_child(queue: HotQueue, result_id: str) -> None:
    assert queue.result(result_id).get(timeout=30) == 5
    queue.task(sample.note).apply_async(("from the child",), task_id="of-the-child")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_of_multiprocessing_gets_the_key(queue: HotQueue, method: str) -> None:
    result = a_result(queue, 5)
    child = multiprocessing.get_context(method).Process(target=_in_a_child, args=(queue, result.id))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    work(queue)
    assert queue.result("of-the-child").get(timeout=30) == "from the child"


# --- workers as users run them ---------------------------------------------------------------------------------------

APP = f"""
    import os
    from hotqueue import HotQueue
    from tests.support.durations import take_time
    queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"], secret_key={KEY!r})

    @queue.task
    def add(a, b): return a + b

    @queue.task(time_limit=0.3)
    def slow(): take_time(60)
"""


def stub(queue: HotQueue, name: str) -> Any:
    """Return a task as a caller sees it that has none of the code."""

    def nothing(*_: Any) -> None: ...

    task = queue.task(name=name)(nothing)
    definition_of(task).by_value = False
    return task


def test_a_supervisor_needs_no_key_and_no_log_shows_it(
    queue: HotQueue,
    room: Room,
    make_queue: MakeQueue,
    store_url: str,
    tmp_path: Path,
    start_command: Callable[..., Any],
    mark: Path,
) -> None:
    """The key is in the code, which supervisors do not import; they end tasks all the same, and workers sign for them."""
    (tmp_path / "signed_app.py").write_text(dedent(APP))
    added, slow = stub(queue, "signed_app.add").delay(1, 2), stub(queue, "signed_app.slow").delay()
    planted = stub(make_queue(), "signed_app.add").delay(Mark(mark), 2)
    with open(tmp_path / "log", "w") as log:
        worker = start_command(
            *("hotqueue-worker", "signed_app", "-v", "-p", "1"),
            env={"QUEUE": queue.name, "STORE": store_url},
            cwd=tmp_path,
            stderr=log,
            stdout=log,
        )
    assert added.get(timeout=30) == 3
    with pytest.raises(TimeLimitExceeded):
        slow.get(timeout=30)
    wait_until(lambda: planted.id in refused_ids(queue))
    worker.terminate()
    assert worker.wait(20) == 0
    assert not mark.exists()
    said = (tmp_path / "log").read_text()
    assert KEY not in said
    assert re.search(r"SignatureError: an unsigned envelope.*kept in the dead list", said)
    assert "Traceback" not in said


def refused_ids(queue: HotQueue) -> set[str]:
    return {d.id for d in queue.dead() if d.error.endswith("SignatureError")}


def test_a_generic_worker_takes_the_key_from_the_environment(
    queue: HotQueue, room: Room, make_queue: MakeQueue, store_url: str, start_command: Callable[..., Any], mark: Path
) -> None:
    path = str(mark)
    planted = make_queue().submit(lambda: os.mkdir(path))
    good = queue.submit(lambda: 7)
    arguments = ("hotqueue-worker", "-Q", queue.name, "-u", store_url, "-p", "1", "-b")
    worker = start_command(*arguments, env={"HOTQUEUE_SECRET_KEY": f"{KEY}\n"})
    assert good.get(timeout=30) == 7
    out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert refused_ids(queue) == {planted.id}
    assert not mark.exists()
    assert KEY not in out + err


def test_a_worker_with_an_empty_key_does_not_start(queue: HotQueue, store_url: str, start_command: Callable[..., Any]) -> None:
    arguments = ("hotqueue-worker", "-Q", queue.name, "-u", store_url, "-p", "1", "-b")
    worker = start_command(*arguments, env={"HOTQUEUE_SECRET_KEY": ""})
    _, err = worker.communicate(timeout=30)
    assert worker.returncode == 2
    assert "$HOTQUEUE_SECRET_KEY is empty" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("keys_", [(KEY, None), (None, KEY), (KEY, OTHER)])
def test_one_queue_with_two_keys_is_not_worked_at(
    keys_: tuple[str | None, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merged under the first one's key, a worker would unpickle what the other would have refused."""
    name = f"two_keys_{len(str(keys_))}_{keys_.index(KEY)}"
    made = "\n".join(f"q{n} = HotQueue('q', url='redis://nowhere', secret_key={key!r})" for n, key in enumerate(keys_))
    (tmp_path / f"{name}.py").write_text(f"from hotqueue import HotQueue\n{made}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CannotLoad, match="'q' is made more than once, with different secret keys") as caught:
        load([name], [], QueueMaking(HotQueue))
    assert KEY not in str(caught.value)
