"""What stands under /api/ is what commands print by --json, a page at a time; a dashboard of some queues tells of no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.cli.conftest import Called
from tests.cli.conftest import call as call
from tests.support import dashboards
from tests.support.elsewhere import task_by_name
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
Call = Callable[..., Called]


def refuse(*_args: object, **_named: object) -> None:
    raise ValueError("no")


def thrice(n: int) -> int:
    return 3 * n


def with_all(queue: HotQueue) -> str:
    """Have something of each kind in a queue; return the id of a task that waits."""
    task, fail = queue.task(name="shop.thrice")(thrice), queue.task(name="shop.fail")(refuse)
    queue.periodic(900, name="often", args=(1,))(task)
    for n in range(3):
        task.delay(n)
    fail.delay(4, to="ann")
    queue.run_worker(burst=True)
    Session(Broker(queue._store, queue.name), "w", "s", ["shop.thrice"]).register(
        60_000, {"host": "h", "pid": "1", "since": "5000"}
    )
    task.apply_async((1,), countdown=900)
    task_by_name(queue, "shop.later").delay(4)
    queue.put("x")
    return task.delay(5).id


def without(queue: HotQueue) -> None:
    Broker(queue._store, queue.name).reap("w", known_dead=True)
    for schedule in queue.schedules():
        schedule.remove()
    queue.purge()
    queue.clear()
    queue.discard_dead(all=True)


def test_each_answers_what_its_command_prints(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    task_id = with_all(queue)
    assert call("deploy", "v1", "-Q", queue.name, "-u", store_url).code == 0
    asked = dashboards.client(queue, queues=[queue.name])

    def one(*command: str) -> Any:
        return json.loads(call(*command, "-u", store_url, "--json").out)

    def lines(*command: str) -> list[Any]:
        return [json.loads(line) for line in call(*command, "-Q", queue.name, "-u", store_url, "--json").lines]

    def answered(path: str, what: str = "") -> Any:
        answer = asked.get(f"/api/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return answer.json()[what] if what else answer.json()

    def are_alike(path: str, what: str, *command: str) -> bool:
        found, printed = answered(path, what), lines(*command)
        return len(found) > 0 and found == printed

    (described,) = [each for each in one("info")["queues"] if each["name"] == queue.name]
    assert answered("queues", "queues") == [described]
    assert answered(f"queues/{queue.name}") == described
    assert described["scheduled"] == described["dead"] == described["workers"] == described["messages"] == 1
    facts = {name: value for name, value in answered("info").items() if name not in ("queues", "next")}
    assert facts == {name: value for name, value in one("info").items() if name != "queues"}
    for what in ("show", "why"):
        path = f"{'tasks' if what == 'show' else what}/{task_id}"
        assert answered(path) == answered(f"{path}?queue={queue.name}") == one(what, task_id, "-Q", queue.name)
    for path, what, *command in (
        ("tasks", "tasks", "tasks"),
        ("tasks?f=state:dead", "tasks", "tasks", "dead"),
        ("tasks?f=state:ended+task:*thrice", "tasks", "tasks", "ended", "--task", "*thrice"),
        ("workers", "workers", "workers"),
        ("schedules", "schedules", "schedules"),
        ("stats", "stats", "stats"),
        (
            "stats?per=hour&last=3&spans=1&task=shop.fail",
            "stats",
            "stats",
            "--spans",
            "--per",
            "hour",
            "--last",
            "3",
            "--task",
            "shop.fail",
        ),
        ("deploys", "deploys", "stats", "--deploys"),
    ):
        wait_until(lambda given=(path, what, *command): are_alike(*given))  # an instant may lie between two looks
    assert answered("stats?task=shop.nope", "stats") == lines("stats", "--task", "shop.nope") == []
    without(queue)


@pytest.mark.servers("embedded")
def test_a_list_comes_a_page_at_a_time(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(5)]
    for queue in queues:
        queue.put("x")
    for n in range(5):
        task_by_name(queues[0], "shop.price").delay(n)
    asked = dashboards.client(queues[0], queues=[f"{queue_name}-*"])
    for path, what in ((f"/api/queues?q={queue_name}&limit=2", "queues"), ("/api/tasks?limit=2", "tasks")):
        pages, following = [], path
        while following:
            answer = asked.get(following).json()
            pages.append(answer[what])
            following = answer["next"]
        assert list(map(len, pages)) == [2, 2, 1]
        assert len({each.get("id", each["name"] if what == "queues" else "") for some in pages for each in some}) == 5
    assert asked.get("/api/tasks?limit=500&page=20").json()["tasks"] == []
    assert asked.get("/api/tasks?limit=500&page=9000").json()["next"] is None
    assert asked.get("/api/tasks?f=arg:3&look_at=2").json()["is_cut"]
    queues[0].purge()
    for queue in queues:
        queue.clear()


@pytest.mark.servers("embedded")
def test_a_dashboard_of_some_queues_tells_of_no_other(make_queue: MakeQueue, queue_name: str) -> None:
    shown, hidden = make_queue(f"{queue_name}-shown"), make_queue(f"{queue_name}-hidden")
    ids = [task_by_name(queue, "shop.price").delay("secret").id for queue in (shown, hidden)]
    asked = dashboards.client(shown, queues=[shown.name])
    for path in (
        "info",
        "queues",
        "tasks",
        "workers",
        "schedules",
        "stats",
        "deploys",
        "tasks?f=queue:*hidden",
        f"tasks?f=id:{ids[1]}",
    ):
        answer = asked.get(f"/api/{path}")
        assert answer.status_code == 200, path
        assert hidden.name not in answer.text, path
    for path in (
        f"queues/{hidden.name}",
        f"tasks/{ids[1]}",
        f"why/{ids[1]}",
        f"stats?queue={hidden.name}",
        f"tasks/{ids[1]}?queue={hidden.name}",
    ):
        assert asked.get(f"/api/{path}").status_code == 404, path
    for queue in (shown, hidden):
        queue.purge()
