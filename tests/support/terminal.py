"""A real terminal: a program in tmux, whose keys are typed and whose screen is read."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import needs
from tests.support.waiting import wait_until

COMMANDS = Path(sys.executable).parent


class Terminal:
    """A terminal with a program in it.

    Args:
        folder: where its socket is.
        command: the program, with its arguments.
        env: what the program finds in its environment besides.
    """

    def __init__(
        self, folder: Path, *command: object, width: int = 80, height: int = 24, env: dict[str, str] | None = None
    ) -> None:
        if not shutil.which("tmux"):
            raise needs.lacking("tmux", "tmux", required=needs.are_required())
        self._socket = str(folder / "tmux")
        told = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})}
        program = shlex.join(["env", *(f"{name}={value}" for name, value in told.items()), *map(str, command)])
        left = f'{program}; echo "ended with $?"; exec sleep 600'  # so that what stands there at the end can be read
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-s", "t", left)

    def _tmux(self, *args: str) -> str:
        env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR")}
        done = subprocess.run(
            ["tmux", "-u", "-S", self._socket, *args], capture_output=True, text=True, check=True, env=env, timeout=20
        )
        return done.stdout

    @property
    def screen(self) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    @property
    def coloured_screen(self) -> str:
        """The same, with the escapes of colours and styles."""
        return self._tmux("capture-pane", "-e", "-p", "-t", "t")

    def shows_escape(self, *escapes: str) -> str:
        """Wait until one of these escapes is on the screen; return it, with the others."""

        def one_there() -> str:
            screen = self.coloured_screen
            return screen if any(escape in screen for escape in escapes) else ""

        return wait_until(one_there, what=f"one of {escapes} on the screen")

    def line(self, text: str) -> str:
        """Return the line of the screen that has a text; "" where none has."""
        return next((line for line in self.screen.splitlines() if text in line), "")

    def shows(self, *texts: str) -> str:
        """Wait until all these texts are on the screen; return it."""

        def all_there() -> str:
            screen = self.screen
            return screen if all(text in screen for text in texts) else ""

        try:
            return wait_until(all_there, what=f"{texts} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None

    def shows_no(self, text: str) -> str:
        """Wait until a text is not on the screen any more; return the screen."""
        return wait_until(lambda: "" if text in (screen := self.screen) else screen, what=f"{text!r} gone")

    def press(self, *keys: str) -> None:
        """Press keys, as tmux names them: ``Enter``, ``Escape``, ``C-c``, ``a``."""
        self._tmux("send-keys", "-t", "t", "--", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-l", "-t", "t", "--", text)

    def resize(self, width: int, height: int) -> None:
        """Make it larger or smaller."""
        self._tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def close(self) -> None:
        """End it, and what is in it."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False, timeout=20)
