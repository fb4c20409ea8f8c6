"""Only y is a yes."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App

from hotqueue.watch.asking import Asking


@pytest.mark.parametrize(("key", "answer"), [("y", True), ("n", False), ("escape", False), ("enter", False), ("q", False)])
def test_only_y_is_a_yes(key: str, answer: bool) -> None:
    async def steps() -> None:
        app: App[None] = App()
        answers: list[bool | None] = []
        async with app.run_test() as pilot:
            app.push_screen(Asking("Throw [bold]3 tasks[/] away?"), answers.append)
            await pilot.pause()
            await pilot.press("Y", key)
            assert answers == [answer]

    asyncio.run(steps())
