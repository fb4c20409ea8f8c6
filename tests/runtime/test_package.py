"""The folder of the package holds all of its files, and none of the user's."""

from __future__ import annotations

from pathlib import Path

import hotqueue.queue
import hotqueue.tasks.client.name_clashes
from hotqueue.runtime import package


def test_the_folder_is_the_packages() -> None:
    for module in (hotqueue, hotqueue.queue, hotqueue.tasks.client.name_clashes):
        assert str(Path(str(module.__file__)).resolve()).startswith(str(Path(package.FOLDER).resolve()))
        assert str(module.__file__).startswith(package.FOLDER)
    assert not __file__.startswith(package.FOLDER)
