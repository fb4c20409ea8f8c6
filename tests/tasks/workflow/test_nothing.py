"""The result of an empty chain: it has ended, and asks nobody."""

from __future__ import annotations

import asyncio
import pickle

from hotqueue.tasks import AsyncResult, State, chain


def test_it_has_ended_with_none() -> None:
    found = chain().delay()
    assert isinstance(found, AsyncResult)
    assert (found.get(), found.state, found.ready(), found.successful(), found.result) == (None, State.SUCCESS, True, True, None)
    assert (found.traceback, found.retries, found.progress, found.history, found.children) == (None, 0, None, [], [])
    assert found.revoke() == "finished or unknown"
    assert found.as_future().result(timeout=1) is None
    assert "chain without a step" in str(found.why())
    found.forget()
    assert repr(found) == "<AsyncResult of an empty chain>"
    assert pickle.loads(pickle.dumps(found)).get() is None

    async def main() -> None:
        assert await found is None

    asyncio.run(main())
