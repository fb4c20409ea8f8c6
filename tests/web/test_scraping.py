"""/metrics of a dashboard: the same as `hotqueue metrics` prints, for who may see the pages, of the queues that it shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hotqueue import HotQueue
from hotqueue.monitor import metrics
from hotqueue.tasks.client.client import client_of
from tests.support import dashboards
from tests.support.servers import RedisServer

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def families(text: str) -> dict[str, list[object]]:
    return {
        each.name: each.samples for each in text_string_to_metric_families(text) if each.name != "hotqueue_server_memory_bytes"
    }


def test_it_tells_what_the_command_tells(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task(name="scraped.fails")
    def fails() -> None:
        raise ValueError("no")

    for _ in range(3):
        fails.delay()
    queue.run_worker(burst=True)
    queue.put("a message")
    answer = dashboards.client(queue).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert f'hotqueue_tasks_failed_total{{queue="{queue.name}",task="scraped.fails"}} 3.0' in answer.text.splitlines()
    assert families(answer.text) == families(metrics.text(client_of(queue).store, [queue.name])[0].decode())


def test_openmetrics_is_told_to_who_asks_for_it(make_queue: MakeQueue) -> None:
    answer = dashboards.client(make_queue()).get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_who_asks_logs_in_as_for_a_page(make_queue: MakeQueue) -> None:
    queue = make_queue()
    asked = dashboards.client(queue, token="s3cret", users={"ann": "pw"})
    refused = asked.get("/metrics")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "hotqueue_" not in refused.text
    assert asked.get("/metrics", headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert asked.get("/metrics", auth=("ann", "pw")).status_code == 200
    for _ in range(5):
        assert asked.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    waits = asked.get("/metrics", headers={"authorization": "Bearer wrong"})
    assert (waits.status_code, waits.headers["retry-after"].isdecimal()) == (429, True)
    assert dashboards.client(queue, address="10.0.0.9").get("/metrics").status_code == 403
    assert dashboards.client(queue, authorize=lambda _request: None).get("/metrics").status_code == 403


def test_only_queues_that_are_shown_are_told_of(make_queue: MakeQueue) -> None:
    shown, other = make_queue("shown-1"), make_queue("other-1")
    shown.put("a message")
    other.put("a message")
    text = dashboards.client(shown, queues=["shown-*"]).get("/metrics").text
    assert 'queue="shown-1"' in text
    assert "other-1" not in text


def test_a_server_that_is_away_is_said_to_be_so(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.stop()
    answer = dashboards.client(server.url).get("/metrics")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "Connection" in answer.text


def test_without_prometheus_client_it_says_what_to_install(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = dashboards.client(make_queue()).get("/metrics")
    assert answer.status_code == 501
    assert "pip install 'hotqueue[metrics]'" in answer.text
