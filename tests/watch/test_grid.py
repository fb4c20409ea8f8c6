"""The table on the screen shows where the cursor is, however many rows there are."""

from __future__ import annotations

import asyncio

from textual.app import App, ComposeResult

from hotqueue.watch.grid import Grid
from tests.watch.test_view import Letters, made


class Shown(App[None]):
    """A grid, and nothing else."""

    def __init__(self, view: Letters) -> None:
        super().__init__()
        self.shown = view

    def compose(self) -> ComposeResult:
        """Make it."""
        yield Grid(self.shown, id="grid")


def test_the_cursor_is_always_on_the_screen() -> None:
    view = made("abcdefghijkl")

    async def steps() -> None:
        async with Shown(view).run_test(size=(20, 5)) as pilot:
            grid = pilot.app.query_one(Grid)
            grid.focus()

            async def after(*keys: str) -> str:
                await pilot.press(*keys)
                return "".join(line.split()[0] for line in grid.texts[1:])

            assert await after() == "abcd"
            assert await after("j", "j", "down", "down") == "bcde"
            assert await after("G") == "ijkl"
            assert await after("k", "up", "up", "up") == "hijk"
            assert await after("pageup") == "defg"
            assert await after("home") == "abcd"
            assert await after("x", "x") == "●●cd"
            await pilot.resize_terminal(20, 3)
            await pilot.pause()
            assert await after() == "●c"

    asyncio.run(steps())


def test_a_table_without_rows_says_so_once_it_was_read() -> None:
    view = Letters()

    async def steps() -> None:
        async with Shown(view).run_test(size=(40, 5)) as pilot:
            grid = pilot.app.query_one(Grid)
            assert "looking …" in grid.texts[2]
            view.take([])
            grid.show()
            assert view.empty in grid.texts[2]

    asyncio.run(steps())
