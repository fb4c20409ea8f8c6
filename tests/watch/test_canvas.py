"""Only lines that changed are painted, and nothing in them moves the cursor of the terminal."""

from __future__ import annotations

import asyncio

from textual.app import App, ComposeResult

from hotqueue.watch.canvas import STYLES, Canvas, both_ends, fitted


class Shown(App[None]):
    """A canvas, and nothing else."""

    def compose(self) -> ComposeResult:
        """Make it."""
        yield Canvas(id="canvas")


def test_only_lines_that_changed_are_painted() -> None:
    async def steps() -> None:
        async with Shown().run_test(size=(20, 5)) as pilot:
            canvas = pilot.app.query_one(Canvas)
            canvas.paint([(("one", ""),), (("two", "bad"),), (("three", ""),)])
            assert canvas.repainted == 3
            canvas.paint([(("one", ""),), (("two", "good"),), (("three", ""),)])
            canvas.paint([(("one", ""),), (("two", "good"),)])
            assert canvas.repainted == 5
            assert canvas.texts == ["one", "two"]
            assert canvas.render_line(1).text == "two" + " " * 17
            assert next(segment.style for segment in canvas.render_line(1)).color == STYLES["good"].color
            assert canvas.render_line(4).text == " " * 20

    asyncio.run(steps())


def test_a_text_is_cut_or_filled_up_to_its_width() -> None:
    assert [fitted("abc", 5), fitted("abc", 5, True), fitted("abcdef", 4), fitted("abc", 0)] == ["abc  ", "  abc", "abc…", ""]
    assert fitted("日本語", 5) == "日本…"


def test_nothing_moves_the_cursor() -> None:
    assert fitted("a\x1b[2Jb\n", 12) == "a\\x1b[2Jb\\n "


def test_the_right_end_gives_way() -> None:
    assert both_ends([("left", "")], [("right", "")], 12) == (("left", ""), ("   ", ""), ("right", ""))
    assert both_ends([("left", "")], [("right", "")], 9) == (("left", ""),)
