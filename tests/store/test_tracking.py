"""What a server says of keys that were read: each change once, until they are read again; and where it cannot be heard.

Of this kind: whatever ends or starves the tracking. A connection of the two is cut, the server is emptied, the user may not
listen, the key is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.store.tracking import LAYOUT, Moved, Tracking, layout_of
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("embedded", "server", "cluster")


@pytest.fixture
def tracking(store: Store, key: str) -> Iterator[Tracking]:
    made = Tracking(store)
    made.connect(key)
    yield made
    made.close()


def heard(tracking: Tracking) -> list[bytes] | None:
    """Return what has changed, once something has."""
    found: list[list[bytes] | None] = []

    def is_heard() -> bool:
        found[:] = [tracking.changed()]
        return found != [[]]

    wait_until(is_heard, what="a change is heard of")
    return found[0]


def push(store: Store, key: str) -> None:
    store.command(key, "RPUSH", key, "a")


def test_a_change_is_said_once_and_again_when_the_key_was_read_again(store: Store, key: str, tracking: Tracking) -> None:
    name = key.encode()
    push(store, key)
    assert tracking.changed() == []  # nobody has read it
    assert tracking.ask([(b"LLEN", name)]) == [1]
    for _ in range(2):
        push(store, key)
    assert heard(tracking) == [name]
    push(store, key)
    assert tracking.changed() == []
    assert tracking.ask([(b"LLEN", name), (b"LPOP", name)]) == [4, b"a"]  # what the reader does itself is no news
    assert tracking.ask([(b"LLEN", name)]) == [3]
    assert tracking.changed() == []
    push(store, key)
    assert heard(tracking) == [name]


def test_a_key_that_is_not_there_is_heard_of_when_it_comes(store: Store, key: str, tracking: Tracking) -> None:
    assert tracking.ask([(b"EXISTS", key.encode())]) == [0]
    push(store, key)
    assert heard(tracking) == [key.encode()]


def test_answers_come_in_order_and_a_refusal_is_one(store: Store, key: str, tracking: Tracking) -> None:
    name = key.encode()
    push(store, key)
    tracking.send([(b"LLEN", name), (b"GET", name), (b"LLEN", name)])
    assert not tracking.is_overdue
    found: list[object] = []
    wait_until(lambda: found.extend(tracking.answers()) or len(found) == 3)
    assert (found[0], found[2]) == (1, 1)
    assert isinstance(found[1], HotQueueError)
    assert tracking.is_connected


@pytest.mark.parametrize("which", [0, 1])
def test_one_connection_that_is_cut_ends_both(store: Store, key: str, tracking: Tracking, which: int) -> None:
    tracking.ask([(b"LLEN", key.encode())])
    tracking._both()[which].close()
    assert not tracking.is_connected
    assert tracking.filenos() == []
    with pytest.raises(ConnectionFailed):
        tracking.connect(key) or tracking._both()[1].close() or tracking.send([(b"LLEN", key.encode())])
    tracking.connect(key)
    assert tracking.ask([(b"LLEN", key.encode())]) == [0]


@pytest.mark.servers("server")
def test_of_a_server_that_was_emptied_all_keys_have_changed(start_redis: Callable[[], RedisServer]) -> None:
    server = start_redis()
    tracking = Tracking(Store(resolve(url=server.url)))
    tracking.connect("a")
    assert tracking.ask([(b"EXISTS", b"a")]) == [0]
    server.client().flushall()
    assert heard(tracking) is None
    tracking.close()


@pytest.mark.servers("server")
@pytest.mark.parametrize("rights", ["+@all -client|tracking &*", "+@all -client &*", "+@all resetchannels"])
def test_who_may_not_listen_may_read(start_redis: Callable[[], RedisServer], rights: str) -> None:
    server = start_redis()
    try:
        server.client().execute_command("ACL", "SETUSER", "deaf", "on", ">x", "~*", *rights.split())
    except Exception as error:
        pytest.skip(f"this server has no such permission: {error}")
    tracking = Tracking(Store(resolve(url=server.url.replace("//", "//deaf:x@"))))
    tracking.connect("a")
    assert tracking.is_deaf
    assert tracking.is_connected
    assert len(tracking.filenos()) == 1
    assert tracking.ask([(b"EXISTS", b"a")]) == [0]
    assert tracking.changed() == []
    tracking.close()


@pytest.mark.servers("cluster")
def test_a_key_that_is_elsewhere_is_told_and_ends_nothing(store: Store, key: str, tracking: Tracking) -> None:
    other = next(f"k{n}" for n in range(1000) if store.place_of(f"k{n}") != store.place_of(key))
    found = tracking.ask([(b"LLEN", other.encode()), (b"LLEN", key.encode())])
    assert isinstance(found[0], Moved)
    assert found[1] == 0


@pytest.mark.servers("cluster")
def test_a_layout_is_the_same_until_an_epoch_begins(tracking: Tracking) -> None:
    first, second = tracking.ask([LAYOUT, LAYOUT])
    assert layout_of(first) == layout_of(second)
    assert layout_of(first.replace(b"current_epoch:", b"current_epoch:1")) != layout_of(first)
    assert layout_of(first.replace(b"messages_sent:", b"messages_sent:1")) == layout_of(first)
    assert layout_of(first.replace(b"state:ok", b"state:fail")) != layout_of(first)
