"""/api/: who is let in, and that whatever goes wrong is said in JSON with the status that fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue
from tests.support import dashboards
from tests.support.servers import RedisServer

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def test_it_says_what_there_is(make_queue: MakeQueue) -> None:
    asked = dashboards.client(make_queue())
    for path in ("/api", "/api/"):
        found = asked.get(path).json()["addresses"]
        assert {"address": "/api/tasks/{id}", "asks": ["queue"], "as": "hotqueue show --json"} in found
    for each in found:
        if "{" not in each["address"]:
            assert asked.get(each["address"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/nothing", 404, "/api says what there is"),
        ("/api/queues/none", 404, "no queue 'none'"),
        ("/api/tasks/none", 404, "no task 'none'"),
        ("/api/tasks?f=stat:dead", 400, "state"),
        ("/api/tasks?filter=state:dead", 400, "nothing here is asked by filter="),
        ("/api/tasks?limit=0", 400, "limit=0 is no number from 1 to 500"),
        ("/api/tasks?page=%C2%B2", 400, "no number"),
        ("/api/stats?per=week", 400, "none of minute, hour, day"),
        ("/api/stats?per=hour&last=745", 400, "from 1 to 744"),
        ("/api/stats?queue=none", 404, "no queue 'none'"),
    ],
)
def test_what_is_wrong_is_said_in_json(make_queue: MakeQueue, path: str, status: int, says: str) -> None:
    answer = dashboards.client(make_queue()).get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert says in answer.json()["error"]


def test_nothing_is_changed_here(make_queue: MakeQueue) -> None:
    answer = dashboards.client(make_queue()).post("/api/tasks")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "GET" in answer.json()["error"]


def test_who_asks_logs_in_as_for_a_page(make_queue: MakeQueue) -> None:
    queue = make_queue()
    asked = dashboards.client(queue, token="s3cret", users={"ann": "pw"})
    refused = asked.get("/api/queues")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "Bearer" in refused.json()["error"]
    assert asked.get("/api/queues", headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert asked.get("/api/queues", auth=("ann", "pw")).status_code == 200
    for _ in range(5):
        assert asked.get("/api/queues", headers={"authorization": "Bearer wrong"}).status_code == 401
    waits = asked.get("/api/queues", headers={"authorization": "Bearer wrong"})
    assert (waits.status_code, waits.headers["retry-after"].isdecimal()) == (429, True)
    elsewhere = dashboards.client(queue, address="10.0.0.9").get("/api/queues")
    assert elsewhere.status_code == 403
    assert "no password" in elsewhere.json()["error"]


def test_what_has_not_changed_is_not_sent_again_and_is_read_by_nobody_else(make_queue: MakeQueue) -> None:
    asked = dashboards.client(make_queue())
    first = asked.get("/api/schedules")
    assert asked.get("/api/schedules", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert "access-control-allow-origin" not in first.headers
    assert first.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_server_that_is_away_is_said_to_be_so(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    asked = dashboards.client(server.url)
    assert asked.get("/api/queues").status_code == 200
    server.stop()
    answer = asked.get("/api/tasks/none?queue=mail")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "error" in answer.json()
