"""Inside `queue.testing()` what was thrown away comes back, as it does from the store."""

from __future__ import annotations

import pytest

from hotqueue import HotQueue

AWAY = "redis://127.0.0.1:1"


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


def test_what_was_thrown_away_comes_back() -> None:
    queue = HotQueue("shop", url=AWAY)
    task = queue.task(name="shop.fail")(fail)
    with queue.testing():
        sent = [task.delay(n) for n in range(2)]
        assert queue.discard_dead(sent[0].id) == 1
        assert [dead.id for dead in queue.dead()] == [sent[1].id]
        assert queue.undo_discard(sent[0].id) == 1
        with pytest.raises(ValueError, match="a task of this id is there"):
            queue.undo_discard(sent[0].id)
        with pytest.raises(ValueError, match="it was not thrown away within the last five minutes"):
            queue.undo_discard("nobody")
        assert queue.discard_dead(all=True) == queue.undo_discard() == 2
        assert queue.undo_discard() == 0
