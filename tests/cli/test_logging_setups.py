"""What the user's modules set up of logging: it works in worker processes, and our log of failures survives it.

The kind: `dictConfig` and `fileConfig`, which disable the loggers that they find, when a module is imported or later, in a
task; with and without handlers of the root; `basicConfig`, forced or not, or called by a bare `logging.info`; handlers that
are removed; levels; a handler that raises. Each line is there once. What is set for the logger "hotqueue" is respected.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue
from tests.support.elsewhere import task_by_name
from tests.support.processes import start_command

pytestmark = pytest.mark.servers("embedded")

APP = """
import logging, logging.config, os
{setup}
from hotqueue import HotQueue
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
log = logging.getLogger("shop")

@queue.task
def fail():
    log.warning("about to fail")
    raise ValueError("no stock")

@queue.task
def set_up():
    logging.config.dictConfig({{"version": 1}})
"""

OURS = re.compile(r"^\d\d:\d\d:\d\d ERROR   \d+ shop\.fail\[\w+\] failed after .*ValueError: no stock", re.M)


class Shop:
    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        self.folder, self.queue = folder, queue
        self.env = {"QUEUE": queue.name, "STORE": url}

    def said(self, setup: str, *tasks: str, arguments: tuple[str, ...] = ()) -> str:
        """Run tasks in a worker whose module has this set-up of logging; return what it wrote to stderr."""
        (self.folder / "shop.py").write_text(APP.format(setup=setup))
        for name in tasks or ("fail",):
            task_by_name(self.queue, f"shop.{name}").delay()
        worker = start_command(
            "hotqueue-worker", "shop", "-b", "-p", "1", *arguments, cwd=self.folder, env=self.env, stdout=subprocess.DEVNULL
        )
        said = worker.communicate(timeout=60)[1]
        assert worker.returncode == 0, said
        self.queue.discard_dead(all=True)
        return said


@pytest.fixture
def shop(tmp_path: Path, make_queue: Callable[..., HotQueue], store_url: str) -> Shop:
    return Shop(tmp_path, make_queue(), store_url)


def test_without_any_set_up_both_are_there_once(shop: Shop) -> None:
    said = shop.said("")
    assert len(OURS.findall(said)) == 1
    assert len(re.findall(r"WARNING .*about to fail$", said, re.M)) == 1


SILENCING = {
    "a dictConfig with its defaults": 'logging.config.dictConfig({"version": 1})',
    "a dictConfig of the user's own loggers": """logging.config.dictConfig({"version": 1,
        "handlers": {"own": {"class": "logging.StreamHandler"}},
        "loggers": {"shop": {"handlers": ["own"], "propagate": False}}})""",
    "root handlers removed": "logging.getLogger().handlers.clear()",
    "the root's level": "logging.getLogger().setLevel(logging.CRITICAL)",
    "a bare line of log": 'logging.info("importing")',
    "a basicConfig": "logging.basicConfig(level=logging.ERROR)",
    "a handler for us that raises": """
class Broken(logging.Handler):
    def handle(self, record): raise OSError("the collector is away")
logging.getLogger("hotqueue").addHandler(Broken())
""",
    "only a level for hotqueue": 'logging.config.dictConfig({"version": 1, "loggers": {"hotqueue": {"level": "WARNING"}}})',
}


@pytest.mark.parametrize("name", SILENCING)
def test_our_log_of_failures_survives(name: str, shop: Shop) -> None:
    said = shop.said(SILENCING[name])
    assert len(OURS.findall(said)) == 1, said
    assert said.count("no stock") == said.count("ValueError: no stock"), said


def test_it_survives_what_a_task_sets_up(shop: Shop) -> None:
    assert len(OURS.findall(shop.said("", "set_up", "fail"))) == 1


def test_it_survives_a_file_config(shop: Shop) -> None:
    (shop.folder / "logging.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=own\n[formatters]\nkeys=own\n[logger_root]\nhandlers=own\nlevel=INFO\n"
        "[handler_own]\nclass=StreamHandler\nformatter=own\nargs=(sys.stderr,)\n[formatter_own]\nformat=OWN %(message)s\n"
    )
    said = shop.said('logging.config.fileConfig("logging.ini")')
    assert len(re.findall(r"^OWN shop\.fail.* failed .*no stock", said, re.M)) == 1
    assert said.count("OWN about to fail\n") == 1
    assert not OURS.search(said)


ROOT = {
    "dictConfig": """logging.config.dictConfig({"version": 1, "formatters": {"own": {"format": "OWN %(message)s"}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}}, "root": {"handlers": ["own"]}})""",
    "basicConfig": 'logging.basicConfig(format="OWN %(message)s")',
    "basicConfig, forced": 'logging.basicConfig(format="OWN %(message)s", force=True)',
}


@pytest.mark.parametrize("name", ROOT)
def test_where_users_set_up_the_root_all_lines_are_theirs_and_there_once(name: str, shop: Shop) -> None:
    said = shop.said(ROOT[name])
    assert len(re.findall(r"^OWN shop\.fail.* failed .*no stock", said, re.M)) == 1
    assert said.count("OWN about to fail\n") == 1
    assert not OURS.search(said)


def test_a_file_of_theirs_gets_the_lines(shop: Shop) -> None:
    said = shop.said('logging.basicConfig(filename="own.log", format="OWN %(message)s")')
    told = (shop.folder / "own.log").read_text()
    assert "no stock" in told
    assert told.count("OWN about to fail\n") == 1
    assert "about to fail" not in said


MEANT = {
    "a level": 'logging.getLogger("hotqueue").setLevel(logging.CRITICAL)',
    "all of logging disabled": "logging.disable(logging.CRITICAL)",
    "a level in a dictConfig": 'logging.config.dictConfig({"version": 1, "loggers": {"hotqueue": {"level": "CRITICAL"}}})',
}


@pytest.mark.parametrize("name", MEANT)
def test_what_is_set_for_us_on_purpose_is_respected(name: str, shop: Shop) -> None:
    assert "no stock" not in shop.said(MEANT[name])


def test_a_handler_for_us_alone_gets_our_lines_alone(shop: Shop) -> None:
    setup = """logging.config.dictConfig({"version": 1, "formatters": {"own": {"format": "OWN %(message)s"}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {"hotqueue": {"handlers": ["own"]}}})"""
    said = shop.said(setup)
    assert len(re.findall(r"^OWN shop\.fail.* failed .*no stock", said, re.M)) == 1
    assert not OURS.search(said)
    assert len(re.findall(r"WARNING .*about to fail$", said, re.M)) == 1


def test_a_line_that_cannot_be_formatted_is_no_failure(shop: Shop) -> None:
    said = shop.said('logging.getLogger("shop").addFilter(lambda record: setattr(record, "args", ("too", "many")) or True)')
    assert "a line of the log cannot be formatted" in said
    assert len(OURS.findall(said)) == 1
