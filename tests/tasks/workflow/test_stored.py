"""What pickles of signatures name: names of `hotqueue.tasks` alone, so that they can be read wherever these files go."""

from __future__ import annotations

import pickle
import pickletools

from hotqueue.tasks import chain, chord, group
from tests.tasks.workflow.tasks import Basket, caught, square, total


def test_pickles_go_by_public_names() -> None:
    made = chain(square.s(1), group(square.s(), Basket(1).put.s()), chord([square.s()], total.s())).on_error(caught.s())
    data = pickle.dumps([made, chain().delay()])
    texts = [argument for _, argument, _ in pickletools.genops(data) if isinstance(argument, str)]
    assert {text for text in texts if text.startswith("hotqueue")} == {"hotqueue.tasks"}
    assert {text for text in texts if text.startswith("make_")} == {"make_form", "make_signature", "make_nothing"}
    assert pickle.loads(data)[0] == made
