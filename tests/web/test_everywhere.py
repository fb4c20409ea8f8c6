"""The whole dashboard on each kind of server, and as a user who may only read: each page answers, and shows what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import chain
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.web import pages
from tests.support import dashboards
from tests.support.elsewhere import task_by_name
from tests.support.processes import ROOT
from tests.support.servers import RedisServer

MakeQueue = Callable[..., HotQueue]
FILE = ROOT / "examples" / "redis-acl.conf"


class Shop:
    """A queue in which one task waits, one is in a worker's hand, one is dead and one has ended; with a chain."""

    def __init__(self, queue: HotQueue) -> None:
        self.queue = queue

        @queue.task(name="shop.fine")
        def fine(n: int) -> int:
            return n

        @queue.task(name="shop.odd")
        def odd(n: int) -> int:
            raise ValueError(f"no {n}")

        self.ended, self.dead = fine.delay(1).id, odd.delay(2).id
        queue.run_worker(burst=True)
        self.running = task_by_name(queue, "shop.slow").delay(3).id
        self.session = Session(Broker(queue._store, queue.name), "w-1", "s")
        self.session.register(600_000, {"host": "far-away", "pid": "7", "name": "shelf", "supervisor": "boss"})
        self.session.step(room=1)
        step = task_by_name(queue, "shop.step")
        self.workflow = chain(step.si(1), step.si(2)).delay().id
        self.waiting = task_by_name(queue, "shop.later").delay(4).id

    def close(self) -> None:
        """Leave nothing."""
        self.session.broker.reap("w-1", known_dead=True)
        self.queue.purge()
        self.queue.discard_dead(all=True)

    def addresses(self) -> dict[str, str]:
        """Return the address of each page, by its path, where one of the shop's things can be seen."""
        name = quote(self.queue.name)
        return {
            "/queues/{queue:path}": f"/queues/{name}",
            "/workers/{program}": "/workers/boss",
            "/names/one": f"/names/one?queue={name}&task=shop.odd",
            "/task": f"/task?queue={name}&id={self.dead}",
            "/bulk": f"/bulk?verb=retry&q=queue:{name}",
            "/workflow": f"/workflow?queue={name}&id={self.workflow}",
        }


@pytest.fixture
def shop(make_queue: MakeQueue) -> Iterator[Shop]:
    """A shop."""
    found = Shop(make_queue())
    yield found
    found.close()


def look_at_all(asked: Any, shop: Shop) -> dict[str, str]:
    """Return the text of each page, by its path; all of them answer."""
    addresses, found = shop.addresses(), {}
    for page in pages.PAGES:
        if page.path in addresses or "{" not in page.path:
            answer = asked.get(addresses.get(page.path, page.path))
            assert answer.status_code == 200, (page.path, answer.text)
            found[page.path] = answer.text
    return found


def check_all(found: dict[str, str], asked: Any, shop: Shop) -> None:
    """Check that what there is stands where it should."""
    name = shop.queue.name
    assert name in found["/"]
    assert name in found["/queues"]
    assert "shelf" in found["/workers"]
    assert "shop.slow" in found["/workers/{program}"]
    assert "shop.odd" in found["/names"]
    assert shop.dead in found["/dead"]
    assert "no 2" in found["/task"]
    assert "1 dead task" in found["/bulk"]
    for state, task_id in (("waiting", shop.waiting), ("running", shop.running), ("ended", shop.ended)):
        assert task_id in asked.get(f"/tasks?q=state:{state}").text, state
    told = asked.get("/metrics").text.splitlines()
    assert f'hotqueue_tasks{{queue="{name}",state="dead"}} 1.0' in told
    assert f'hotqueue_tasks_failed_total{{queue="{name}",task="shop.odd"}} 1.0' in told


def test_each_page_answers_and_one_acts(shop: Shop) -> None:
    asked = dashboards.client(shop.queue, queues=[shop.queue.name])
    check_all(look_at_all(asked, shop), asked, shop)
    assert "is paused" in asked.post("/do/pause", data={"queue": shop.queue.name}).text
    assert shop.queue.stats()["paused"]
    shop.queue.resume()
    task = f"{len(shop.queue.name)} {shop.queue.name} {shop.dead}"
    assert task in asked.get("/dead").text
    assert "1 task retried" in asked.post("/do/retry", data={"task": task}).text


@pytest.mark.servers("server")
def test_a_user_who_may_only_read_sees_all_of_it_and_changes_nothing(
    start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    users = tmp_path / "users.acl"
    users.write_text("".join(line for line in FILE.read_text().splitlines(keepends=True) if line.startswith("user")))
    server = start_redis("--aclfile", str(users))
    url = f"redis://hotqueue-{{}}:change-me-{{}}@127.0.0.1:{server.port}/0"
    with closing(HotQueue("shop", url=url.format("admin", "admin"))) as queue, closing(Shop(queue)) as shop:
        asked = dashboards.client(url.format("read", "read"))
        check_all(look_at_all(asked, shop), asked, shop)
        refused = {
            "pause": {"queue": "shop"},
            "resume": {"queue": "shop"},
            "purge": {"queue": "shop"},
            "retry": {"task": f"4 shop {shop.dead}"},
            "discard": {"task": f"4 shop {shop.dead}"},
            "revoke": {"task": f"4 shop {shop.waiting}"},
            "retry-all": {"q": "", "counted": "1"},
            "quiet": {"program": "boss"},
        }
        for action, form in refused.items():
            answer = asked.post(f"/do/{action}", data=form)
            assert "did not let us" in answer.text or "NOPERM" in answer.text or "may not" in answer.text, (action, answer.text)
        assert not queue.stats()["paused"]
        assert [dead.id for dead in queue.dead()] == [shop.dead]
