"""A store with a few queues in it, and the monitor in this process, moved by textual's pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue.store.store import Store
from hotqueue.watch.app import LiveApp
from hotqueue.watch.asking import Asking
from hotqueue.watch.canvas import Canvas
from tests.support.terminal import Terminal
from tests.support.waiting import await_until

PATIENCE = 30.0  # seconds


class Live:
    """The monitor, and who presses its keys."""

    def __init__(self, app: LiveApp, pilot: Any) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> str:
        """All lines that are shown, those of what is on top last."""
        canvases = (canvas for screen in self.app.screen_stack for canvas in screen.query(Canvas))
        return "\n".join(line for canvas in canvases for line in canvas.texts)

    async def asks(self, text: str) -> None:
        """Wait until a question is asked that has this text."""

        def asked() -> str:
            return self.app.screen.question if isinstance(self.app.screen, Asking) else ""

        await await_until(lambda: text in asked(), timeout=PATIENCE, what=f"{text!r} asked, not {asked()!r}")

    async def shows(self, *texts: str) -> str:
        """Wait until all these texts are shown."""
        try:
            return await await_until(lambda: self.screen if all(text in self.screen for text in texts) else "", timeout=PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None

    async def shows_no(self, text: str) -> None:
        """Wait until a text is shown no more."""
        await await_until(lambda: text not in self.screen, timeout=PATIENCE, what=f"{text!r} gone")

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self.pilot.press(*keys)


Steps = Callable[[Live], Awaitable[None]]


@pytest.fixture
def live(store: Store, queue_name: str) -> Callable[..., None]:
    """``live(steps)`` shows this test's queues, and has ``await steps(live)`` look and press keys."""

    def run(steps: Steps, size: tuple[int, int] = (150, 24), **options: Any) -> None:
        async def watched() -> None:
            app = LiveApp(store, [f"{queue_name}*"], **{"every": 0.1, **options})
            async with app.run_test(size=size) as pilot:
                await steps(Live(app, pilot))

        asyncio.run(watched())

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """``terminal(*command, width=80, height=24)`` → a program in a terminal of its own."""
    opened: list[Terminal] = []

    def start(*command: object, **options: Any) -> Terminal:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(Terminal(folder, *command, **options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
