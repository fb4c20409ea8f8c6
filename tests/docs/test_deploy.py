"""docs/deploy.md: what is in examples/deploy/ is well-formed, and is run as far as a test can."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from hotqueue import HotQueue
from tests.docs.conftest import EXAMPLES
from tests.support.needs import lacking
from tests.support.processes import ROOT, environment
from tests.support.waiting import wait_until

DEPLOY = EXAMPLES / "deploy"
PAGE = ROOT / "docs" / "deploy.md"
EXPOSURE = 30  # of 100, as systemd-analyze reckons it

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the examples need the embedded server and workers")


def tool(name: str, package: str = "") -> str:
    """Return a command of the virtual environment, or of the system."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise lacking(name, package)
    return found


def checked(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_page_names_each_file() -> None:
    named = re.findall(r"\[(?:examples/deploy/)?([\w.-]+)\]", PAGE.read_text())
    assert {path.name for path in DEPLOY.iterdir()} <= set(named)


@pytest.mark.parametrize("block", re.findall(r"^```(?:ini|text)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
def test_what_the_page_shows_is_in_the_files(block: str) -> None:
    lines = {line for path in DEPLOY.iterdir() for line in path.read_text().replace("%(here)s", "/srv/shop").splitlines()}
    assert set(block.splitlines()) <= lines


# --- systemd ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path: Path, env: dict[str, str]) -> Path:
    """The unit, with a worker that is there."""
    made = tmp_path / "hotqueue.service"
    worker = shutil.which("hotqueue-worker", path=env["PATH"])
    made.write_text((DEPLOY / "hotqueue.service").read_text().replace("/srv/shop/.venv/bin/hotqueue-worker", str(worker)))
    return made


def test_systemd_knows_all_of_the_unit(unit: Path) -> None:
    assert checked(tool("systemd-analyze", "systemd"), "verify", unit) == ""  # an unknown key is only a line of text


def test_the_unit_leaves_few_rights(unit: Path) -> None:
    checked(tool("systemd-analyze", "systemd"), "security", "--offline=true", f"--threshold={EXPOSURE}", unit)


def test_a_unit_is_not_started_again_for_what_that_does_not_mend() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    assert "| 2 | wrong options |" in reference
    assert "| 3 | a module cannot be imported, or has no tasks |" in reference
    assert "RestartPreventExitStatus=2 3" in (DEPLOY / "hotqueue.service").read_text()


# --- containers ------------------------------------------------------------------------------------------------------


def test_dockerfile() -> None:
    assert checked(tool("hadolint"), "--failure-threshold", "style", DEPLOY / "Dockerfile") == ""


def test_compose_file() -> None:
    checked(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_kubernetes_manifests() -> None:
    printed = checked(tool("kubernetes-validate"), "--strict", DEPLOY / "kubernetes.yaml")
    assert len(re.findall(r"passed", printed)) == 3


# --- metrics ---------------------------------------------------------------------------------------------------------

ALERTS = """
rule_files: [prometheus-rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'hotqueue_tasks{queue="mail",state="ready"}', values: "5x20"}
      - {series: 'hotqueue_workers{queue="mail"}', values: "0x20"}
      - {series: 'hotqueue_tasks{queue="busy",state="ready"}', values: "5x20"}
      - {series: 'hotqueue_workers{queue="busy"}', values: "2x20"}
      - {series: 'hotqueue_tasks{queue="busy",state="dead"}', values: "0x9 1x11"}
      - {series: 'hotqueue_tasks_started_total{queue="busy",task="shop.bill"}', values: "0+100x30"}
      - {series: 'hotqueue_tasks_failed_total{queue="busy",task="shop.bill"}', values: "0+10x30"}
      - {series: 'hotqueue_oldest_task_seconds{queue="mail"}', values: "660x20"}
      - {series: 'hotqueue_paused{queue="mail"}', values: "0x20"}
      - {series: 'hotqueue_oldest_task_seconds{queue="held"}', values: "660x20"}
      - {series: 'hotqueue_paused{queue="held"}', values: "1x20"}
      - {series: 'hotqueue_server_memory_bytes{kind="used"}', values: "90x20"}
      - {series: 'hotqueue_server_memory_bytes{kind="max"}', values: "100x20"}
    alert_rule_test:
      - eval_time: 15m
        alertname: HotqueueNoWorker
        exp_alerts:
          - exp_labels: {queue: mail, state: ready, severity: page}
            exp_annotations: {summary: "mail: 5 tasks wait, and no worker listens"}
      - eval_time: 8m
        alertname: HotqueueTasksDie
      - eval_time: 30m
        alertname: HotqueueTasksFail
        exp_alerts:
          - exp_labels: {queue: busy, task: shop.bill, severity: warn}
            exp_annotations: {summary: "busy: of shop.bill more than one in twenty fails (hotqueue stats)"}
      - eval_time: 15m
        alertname: HotqueueTasksWait
        exp_alerts:
          - exp_labels: {queue: mail, severity: warn}
            exp_annotations: {summary: "mail: the oldest task has waited for 11m 0s"}
      - eval_time: 15m
        alertname: HotqueueServerFull
        exp_alerts:
          - exp_labels: {severity: page}
            exp_annotations: {summary: "the server of the queues has less than a fifth of its memory left"}
"""


def queries() -> list[str]:
    """Return all queries in the files."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = re.findall(r"^ +query: (.*)$", (DEPLOY / "keda.yaml").read_text(), re.MULTILINE)
    rules = (DEPLOY / "prometheus-rules.yaml").read_text()
    return [*shown, *asked, *re.findall(r"expr: (?:>-\n)?((?:.*)(?:\n {10}\S.*)*)", rules)]


def test_what_is_asked_of_prometheus_is_told() -> None:
    metrics = pytest.importorskip("hotqueue.monitor.metrics", exc_type=ImportError)
    counted = {f"{name}_total" for name in metrics.COUNTERS}
    told = {*metrics.GAUGES, *counted, *metrics.HISTOGRAMS, "hotqueue_server_memory_bytes", "hotqueue_build_info"}
    text = "\n".join(queries())
    assert len(queries()) == 29
    assert {name.removesuffix("_bucket") for name in re.findall(r"hotqueue_[a-z_]+", text)} <= told
    assert told <= set(re.findall(r"`(hotqueue_[a-z_]+)`", PAGE.read_text()))
    states = {state for found in re.findall(r"state=~?\"([a-z|]+)\"", text) for state in found.split("|")}
    assert states <= set(metrics.STATES)


def test_prometheus_understands_all_of_it(tmp_path: Path) -> None:
    promtool = tool("promtool", "prometheus")
    checked(promtool, "check", "rules", DEPLOY / "prometheus-rules.yaml")
    rules = [
        {"record": f"a:b{n}", "expr": query.replace("$queue", ".*").replace("$__rate_interval", "5m")}
        for n, query in enumerate(queries())
    ]
    (tmp_path / "queries.yaml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))  # JSON is YAML
    assert f"{len(rules)} rules found" in checked(promtool, "check", "rules", tmp_path / "queries.yaml")
    shutil.copy(DEPLOY / "prometheus-rules.yaml", tmp_path)
    (tmp_path / "alerts.yaml").write_text(ALERTS)
    checked(promtool, "test", "rules", tmp_path / "alerts.yaml")


# --- a Procfile ------------------------------------------------------------------------------------------------------


def test_procfile(examples: Path, env: dict[str, str]) -> None:
    shutil.copy(examples / "deploy" / "Procfile", examples)
    command = [tool("honcho"), "start", "--no-colour"]
    log = examples / "log"
    with open(log, "w") as out:
        running = subprocess.Popen(command, cwd=examples, env=environment(env), stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: len(re.findall(r"hotqueue .* pid \d+", log.read_text())) == 2, 60)
        running.terminate()
        assert running.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert log.read_text().count("(rc=0)") == 2, log.read_text()  # each ended in good order
    finally:
        running.kill()
        running.wait()


# --- supervisord -----------------------------------------------------------------------------------------------------


@pytest.fixture
def supervisord(examples: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """Supervisord on "supervisord.conf", whose worker imports "tasks.py"."""
    pytest.importorskip("supervisor")
    shutil.copy(examples / "deploy" / "supervisord.conf", examples)
    code = "import sys; from supervisor.supervisord import main; main(['-c', 'supervisord.conf'])"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=examples, env=environment(env), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_supervisord_runs_a_worker_and_starts_it_again(
    supervisord: subprocess.Popen[str], env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", env["XDG_STATE_HOME"])
    monkeypatch.delenv("HOTQUEUE_URL", raising=False)
    assert supervisord.stdout is not None
    try:
        with HotQueue("myqueue") as queue:
            square = queue.task(name="tasks.square")(_square)
            assert square.delay(4).get(timeout=30) == 16
            os.kill(_pid_of_worker(supervisord.stdout), signal.SIGKILL)
            _pid_of_worker(supervisord.stdout)  # another one says that it is there
            assert square.delay(5).get(timeout=30) == 25
        supervisord.terminate()
        assert "stopped: hotqueue (exit status 0)" in supervisord.communicate(timeout=40)[0]
        assert supervisord.returncode == 0
    finally:
        if supervisord.poll() is None:
            supervisord.terminate()
            supervisord.communicate()


def _square(n: int) -> int:
    return n * n


def _pid_of_worker(lines: IO[str]) -> int:
    """Read on until a worker's banner; return its pid."""
    for line in lines:
        if found := re.search(r"^hotqueue .* pid (\d+)", line):
            return int(found[1])
    raise AssertionError("no worker started")
