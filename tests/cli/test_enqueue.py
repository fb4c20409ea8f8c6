"""hotqueue enqueue: arguments are JSON, or text; the queue is the one whose workers know the task; --wait shows how it ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, Ignore
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session

Call = Callable[..., Any]
pytestmark = pytest.mark.servers("server")


def test_wrong_arguments_are_said_in_a_line(call: Call, store_url: str) -> None:
    for wrong, says in (
        (["x=1", "4"], "behind an argument by name"),
        (["[1"], "begins like JSON"),
        (["--wiat"], "no option '--wiat'"),
        (["[" * 50_000], "nested too deeply"),
    ):
        done = call("enqueue", "shop.price", "-Q", "q", "-u", store_url, *wrong)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert says in done.err


def test_it_is_sent_by_name(make_queue: Callable[..., HotQueue], store_url: str, call: Call) -> None:
    queue = make_queue()
    done = call("enqueue", "shop.price", "4", "-5", "x=[1]", "-Q", queue.name, "-u", store_url, "--priority", 7, "--id", "an-id")
    listens = f"hotqueue: no worker listens on queue '{queue.name}' of {queue._store}: it waits until one does"
    assert (done.code, done.out) == (0, "an-id\n")
    assert done.err.startswith(listens)
    assert done.err.count("\n") == 1
    shown = json.loads(call("show", "an-id", "-u", store_url, "-Q", queue.name, "--json").out)
    assert (shown["task"], shown["args"], shown["priority"]) == ("shop.price", "4, -5, x=[1]", 7)
    done = call("enqueue", "shop.price", "-Q", queue.name, "-u", store_url, "--countdown", "15m", "--json")
    assert json.loads(done.out)["queue"] == queue.name
    done = call("enqueue", "no such name", "-Q", queue.name, "-u", store_url)
    assert (done.code, done.err.count("\n")) == (2, 1)
    done = call("enqueue", "shop.price", "-Q", queue.name, "-u", store_url, "--wait", "--timeout", "0.1")
    assert (done.code, done.out) == (1, "")
    assert "has not ended within 0.1 s: no worker listens" in done.err
    queue.purge()


def test_it_goes_to_the_queue_whose_workers_know_it(make_queue: Callable[..., HotQueue], store_url: str, call: Call) -> None:
    queue = make_queue()
    name = f"{queue.name}.price"  # which no worker of another test knows
    done = call("enqueue", name, "-u", store_url)
    assert done.code == 2
    assert f"no worker knows a task '{name}'" in done.err
    session = Session(Broker(queue._store, queue.name), "w", "s", [name])
    session.register(60_000, {})
    done = call("enqueue", name, "-u", store_url)
    assert (done.code, done.err) == (0, "")
    done = call("enqueue", name, "-u", store_url, "--countdown", "15m")
    assert (done.code, done.err) == (0, "")
    done = call("enqueue", f"{name}s", "-u", store_url, "-Q", queue.name, "--id", "an-id")
    told = f"knows a task '{name}s': it is kept for one that does; did you mean '{name}'?\n"
    assert (done.code, done.out, done.err) == (0, "an-id\n", f"hotqueue: no worker of queue '{queue.name}' {told}")
    done = call("enqueue", name, "-u", store_url, "-Q", f"{queue.name}s")
    assert (done.code, done.err.count("\n"), done.err.endswith(f"; did you mean '{queue.name}'?\n")) == (0, 1, True)
    make_queue(f"{queue.name}s").purge()
    assert queue.pending() == 3
    done = call("enqueue", f"{name}x", "-u", store_url)
    assert f"did you mean '{name}'?" in done.err
    session.broker.reap("w", known_dead=True)
    queue.purge()


@pytest.mark.parametrize(
    ("argument", "code", "out", "err"),
    [("4", 0, "{'of': 4, 'twice': 8}\n", ""), ("-1", 1, "", "has ended: FAILURE, ValueError: negative\n")],
)
def test_wait_shows_how_it_ended(
    make_queue: Callable[..., HotQueue], store_url: str, call: Call, argument: str, code: int, out: str, err: str
) -> None:
    queue = make_queue()

    @queue.task(name="shop.twice")
    def twice(n: int) -> dict[str, int]:
        if n < 0:
            raise ValueError("negative")
        return {"of": n, "twice": 2 * n}

    worker = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": 1})
    worker.start()
    done = call("enqueue", "shop.twice", argument, "-Q", queue.name, "-u", store_url, "--wait", "--timeout", 60, "--id", "an-id")
    worker.join()
    assert (done.code, done.out) == (code, out)
    assert done.err.endswith(err)
    queue.discard_dead(all=True)
    queue.result("an-id").forget()


def test_wait_for_what_stores_no_result(make_queue: Callable[..., HotQueue], store_url: str, call: Call) -> None:
    queue = make_queue()

    @queue.task(name="shop.ignored")
    def ignored() -> None:
        raise Ignore

    worker = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": 1})
    worker.start()
    done = call("enqueue", "shop.ignored", "-Q", queue.name, "-u", store_url, "--wait", "--timeout", 60, "--id", "an-id")
    worker.join()
    assert (done.code, done.out) == (0, "an-id has ended: no result was kept\n")


@pytest.mark.servers("embedded")
def test_a_task_that_ran_here_once_is_not_taken_for_another(
    make_queue: Callable[..., HotQueue], store_url: str, call: Call
) -> None:
    queue = make_queue()
    queue.task(name="shop.gone")(abs)
    queue.send("shop.gone", (1,))
    queue.run_worker(burst=True)
    done = call("enqueue", "shop.gone", "4", "-u", store_url)
    said = "hotqueue: no worker knows a task 'shop.gone' (any more); say --queue to send it all the same\n"
    assert (done.code, done.out, done.err) == (2, "", said)
