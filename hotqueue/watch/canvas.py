"""Canvas: lines of text in a few styles, of which only those are painted that changed.

Textual's own tables and labels lay out and paint all of themselves for one cell: too much once a second, and over ssh.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from hotqueue.monitor.words import printable

Piece = tuple[str, str]  # a text, and the name of its style
Line = tuple[Piece, ...]

# Colours are the terminal's own sixteen: textual turns them into others for its themes, or leaves them out.
STYLES = {
    "": Style(),
    "bold": Style(bold=True),
    "dim": Style(dim=True),
    "good": Style(color="green"),
    "note": Style(color="yellow"),
    "bad": Style(color="red", bold=True),
    "accent": Style(color="cyan"),
    "title": Style(color="cyan", bold=True),
    "key": Style(color="cyan", bold=True),
    "head": Style(dim=True, underline=True),
    "sorted": Style(bold=True, underline=True),
    "marked": Style(color="yellow", bold=True),
    "cursor": Style(reverse=True),
    "alarm": Style(color="red", bold=True, reverse=True),
}


@lru_cache(maxsize=4096)
def fitted(text: str, width: int, is_right: bool = False) -> str:
    """Return a text in as many columns of the terminal: filled up with blanks, or cut with ``…``."""
    text = printable(text)
    have = cell_len(text)
    if have > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * (width - have) + text if is_right else text + " " * (width - have)


def width_of(line: Line) -> int:
    """Return how many columns a line takes."""
    return sum(cell_len(text) for text, _ in line)


def both_ends(left: Sequence[Piece], right: Sequence[Piece], width: int) -> Line:
    """Return a line with one part at its left end and another at its right, which gives way where there is no room."""
    gap = width - width_of(tuple(left)) - width_of(tuple(right))
    return (*left, (" " * gap, ""), *right) if gap > 0 else tuple(left)


class Canvas(Widget):
    """A widget of lines.

    Args:
        height: how many there is room for; None: all that is left.
    """

    def __init__(self, *, id: str | None = None, height: int | None = None) -> None:
        super().__init__(id=id)
        self.styles.height = "1fr" if height is None else height
        self._painted: list[Line] = []
        self.repainted = 0  # lines that were: what a refresh costs

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines from the top on."""
        before, self._painted = self._painted, list(lines)
        width, height = self.size.width, self.size.height
        for y in _differing(before, self._painted):
            if y < height:
                self.repainted += 1
                self.refresh(Region(0, y, width, 1))

    @property
    def texts(self) -> list[str]:
        """What is shown, without its styles."""
        return ["".join(text for text, _ in line).rstrip() for line in self._painted]

    def render_line(self, y: int) -> Strip:
        """Return a line as textual wants it."""
        width = self.size.width
        pieces = self._painted[y] if y < len(self._painted) else ()
        line = Strip([Segment(text, STYLES[style]) for text, style in pieces if text]).adjust_cell_length(width)
        return line if self.app.native_ansi_color else line.apply_style(self.rich_style)  # a theme's own background


def _differing(one: Sequence[Line], other: Sequence[Line]) -> Iterator[int]:
    for y in range(max(len(one), len(other))):
        if y >= len(one) or y >= len(other) or one[y] != other[y]:
            yield y
