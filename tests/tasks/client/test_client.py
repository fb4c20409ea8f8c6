"""Client: one for each queue object, with what its owner says; other queues of its store are reached through it."""

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, SignatureError
from hotqueue.tasks.client.client import client_of, open_batch
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]


def test_a_queue_has_one_client_which_reaches_all_queues_of_its_store(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = client_of(queue)
    assert client is client_of(queue)
    assert client.owner is queue
    assert client.broker is client.broker_of(queue.name)
    assert (client.broker_of("other").name, client.broker_of("other").store) == ("other", queue._store)
    assert client.replies("other") is client.replies("other") is not client.replies(queue.name)


def test_a_queue_that_moves_takes_all_that_is_sent_through_it_along(make_queue: MakeQueue) -> None:
    queue, elsewhere = make_queue(), HotQueue("elsewhere", url="redis://elsewhere")
    client = client_of(queue)
    old = client.broker, client.replies(queue.name)
    client.move(elsewhere._store)
    assert queue._store is client.store is client.broker.store is elsewhere._store
    assert client.broker is not old[0]
    assert client.replies(queue.name) is not old[1]


def test_a_batch_collects_what_its_own_client_sends(make_queue: MakeQueue) -> None:
    queue, other = make_queue(), make_queue()
    with queue.batch(), other.batch():
        for client in (client_of(queue), client_of(other)):
            found = open_batch(client)
            assert found is not None
            assert found.client is client
    assert open_batch(client_of(queue)) is None


def test_the_key_of_a_queue_signs_its_envelopes_and_its_results(make_queue: MakeQueue) -> None:
    client = client_of(make_queue(secret_key="k" * 32))
    signer = client.signer
    assert signer is not None
    results = client.result_signer("other")
    assert results is not None
    signature = results.sign(b"a record")
    results.verify(b"a record", signature, "a record")
    with pytest.raises(SignatureError):
        signer.verify(b"a record", signature, "a record")
    assert client_of(make_queue()).result_signer("other") is None


@pytest.mark.servers("server")
def test_a_queue_that_is_closed_leaves_no_connection_behind_and_can_wait_again(
    make_queue: Callable[..., HotQueue], start_redis: Callable[..., RedisServer]
) -> None:
    """The garbage collector would find the one on which results were waited for, and complain."""
    server = start_redis()
    admin, queue = server.client(), make_queue(url=server.url)
    result = queue.task(sample.square).delay(4)
    queue.run_worker(burst=True)
    for _ in range(2):
        assert queue.result(result.id).get(30) == 16
        queue.close()
        wait_until(lambda: len(admin.client_list()) == 1)
