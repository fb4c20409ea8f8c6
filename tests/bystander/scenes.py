"""The troubles, a class each: what servers it needs, and what it does to them and to the worker; never to the queue looked at."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

from redis.crc import key_slot

from tests.support import processes
from tests.support.proxy import Proxy
from tests.support.servers import SLOTS, Cluster, RedisServer

SLOW = 2e6  # bytes a second on the slow link


class Scene:
    """A trouble: a server to itself, one queue that is looked at, and one that has the trouble, at the same worker.

    Attributes:
        options: of the worker.
        others: further queues of the worker's, while there is trouble.
        wrapper: a command that runs the worker's.
    """

    options: tuple[str, ...] = ("-p2",)
    others = 0
    calm_others = 0
    name, trouble = "bystander", "bystander-trouble"
    start_another: Callable[[], subprocess.Popen[bytes]]  # starts one more worker like this one

    def __init__(self, folder: Path, ending: ExitStack) -> None:
        self.folder, self.ending = folder, ending
        self.worker = 0
        self.tasks: ModuleType
        self.set_up()

    def set_up(self) -> None:
        """Start what servers it needs."""
        self.url = self.trouble_url = self._server("one").url

    def _server(self, name: str) -> RedisServer:
        server = RedisServer(self.folder / name)
        self.ending.callback(server.stop)
        return server

    def wrapper(self, is_troubled: bool) -> list[str]:
        """Return the command that is to run the worker's."""
        return []

    def begin(self) -> None:
        """Begin the trouble."""

    def go_on(self, elapsed: float) -> None:
        """Go on with it; called every few milliseconds with the seconds since it began."""

    def end(self) -> None:
        """End what would outlive the worker."""


class Nothing(Scene):
    """The same again: how far two runs without trouble differ."""


class SlowLink(Scene):
    """Results of 24 MB, over a link of 2 MB/s."""

    def set_up(self) -> None:
        self.url = self._server("one").url
        self.link = Proxy(self._server("two").url)
        self.ending.callback(self.link.close)
        self.trouble_url = self.link.url

    def begin(self) -> None:
        self.tasks.large.delay(24)
        self.link.rate = SLOW
        self.tasks.large.delay(24)

    def end(self) -> None:
        self.link.rate = 0


class CrashLoop(Scene):
    """A task that kills whatever process runs it, again and again."""

    def begin(self) -> None:
        self.tasks.die.delay()


class SilentServer(Scene):
    """Two servers; one stops answering in the middle of its work."""

    def set_up(self) -> None:
        self.url = self._server("one").url
        self.silent = self._server("two")
        self.trouble_url = self.silent.url

    def begin(self) -> None:
        self.tasks.sleep.map([0.01] * 300)
        self.silent.pause()

    def end(self) -> None:
        os.kill(self.silent.pid, signal.SIGCONT)


class SilentNode(Scene):
    """A Cluster of three nodes and twenty queues; one node stops answering."""

    others = calm_others = 20

    def set_up(self) -> None:
        cluster = Cluster(self.folder / "cluster", "--cluster-require-full-coverage", "no")
        self.ending.callback(cluster.stop)
        self.silent = cluster.nodes[2]
        self.url = self.trouble_url = cluster.url
        self.name = next(name for name in map("bystander{}".format, range(100)) if self._node_of(name) < 2)
        self.trouble = next(name for name in map("trouble{}".format, range(100)) if self._node_of(name) == 2)

    def _node_of(self, queue: str) -> int:
        return key_slot(f"hotqueue:{queue}".encode()) * 3 // SLOTS

    def begin(self) -> None:
        self.tasks.sleep.map([0.01] * 300)
        self.silent.pause()

    def end(self) -> None:
        os.kill(self.silent.pid, signal.SIGCONT)


class ManyQueues(Scene):
    """Two hundred queues in which nothing happens."""

    others = 200


class Suspect(Scene):
    """Tasks that have killed their process, while others take long: two processes of four threads."""

    options = ("-p2", "-t4")
    EVERY, LONG = 5.0, 4.0  # seconds

    def begin(self) -> None:
        self._next = 0.0

    def go_on(self, elapsed: float) -> None:
        if elapsed >= self._next:
            self._next += self.EVERY
            self.tasks.sleep.map([self.LONG] * 2)
            self.tasks.die_once.delay(self.LONG)


class HangUp(Scene):
    """SIGHUP, again and again, while tasks take long."""

    EVERY, LONG = 4.0, 2.0  # seconds

    def begin(self) -> None:
        self._next = 0.0

    def go_on(self, elapsed: float) -> None:
        if elapsed >= self._next:
            self._next += self.EVERY
            self.tasks.sleep.delay(self.LONG)
            os.kill(self.worker, signal.SIGHUP)


class FullFolder(Scene):
    """The folder of presence files is on a file system that is full (root only), and processes are replaced."""

    def wrapper(self, is_troubled: bool) -> list[str]:
        where = f"/tmp/hotqueue-{os.getuid()}"
        mount = f"mkdir -p {where} && mount -t tmpfs -o size=16k,mode=700 full {where}"
        fill = f'{mount} && (cat /dev/zero >{where}/x || true) && exec "$@"'
        return ["unshare", "-m", "sh", "-c", fill, "sh"] if is_troubled else []

    def begin(self) -> None:
        self.tasks.die_once.delay(0.1)


class Others(Scene):
    """Random faults on others: a second worker that is killed, paused and hung up on, a second server that goes silent, tasks
    that kill processes, large results, long ones."""

    EVERY = 2.0  # seconds

    def set_up(self) -> None:
        self.url = self._server("one").url
        self.second = self._server("two")
        self.trouble_url = self.second.url
        self._another: subprocess.Popen[bytes] | None = None
        self._frozen_until = self._paused_until = 0.0

    def begin(self) -> None:
        self._dice, self._next = random.Random(7), 0.0

    def go_on(self, elapsed: float) -> None:
        if self._another is None or self._another.poll() is not None:
            self._another = self.start_another()
        if self._frozen_until and elapsed >= self._frozen_until:
            self._frozen_until = 0.0
            os.kill(self.second.pid, signal.SIGCONT)
        if self._paused_until and elapsed >= self._paused_until:
            self._paused_until = 0.0
            self._signal(signal.SIGCONT)
        if elapsed >= self._next:
            self._next += self.EVERY
            self._dice.choice([self._freeze, self._send, self._send, self._kill_a_process, self._kill, self._pause])(elapsed)

    def _family(self) -> list[int]:
        assert self._another is not None
        return [self._another.pid, *processes.worker_processes(self._another.pid)]

    def _signal(self, number: int, at: int = 0) -> None:
        for pid in self._family()[at:]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _freeze(self, elapsed: float) -> None:
        self.second.pause()
        self._frozen_until = elapsed + self._dice.uniform(1, 20)

    def _send(self, _elapsed: float) -> None:
        if not self._frozen_until:
            task, args = self._dice.choice(
                [(self.tasks.die, ()), (self.tasks.die_once, (1,)), (self.tasks.large, (12,)), (self.tasks.sleep, (3,))]
            )
            task.apply_async(args, max_deliveries=5)

    def _kill_a_process(self, _elapsed: float) -> None:
        if len(family := self._family()) > 1:
            os.kill(family[1], signal.SIGKILL)

    def _kill(self, _elapsed: float) -> None:
        self._signal(signal.SIGKILL)

    def _pause(self, elapsed: float) -> None:
        self._signal(signal.SIGSTOP)
        self._paused_until = elapsed + self._dice.uniform(1, 20)

    def end(self) -> None:
        os.kill(self.second.pid, signal.SIGCONT)
        if self._another is not None:
            self._signal(signal.SIGKILL)
            self._another.wait()


SCENES: dict[str, type[Scene]] = {
    "nothing": Nothing,
    "a 24 MB result on a slow link": SlowLink,
    "a crash loop": CrashLoop,
    "one silent server of two": SilentServer,
    "one silent node of three": SilentNode,
    "200 queues": ManyQueues,
    "a suspect waits": Suspect,
    "HUP": HangUp,
    "a full folder": FullFolder,
    "faults on others": Others,
}


def is_possible(scene: type[Scene]) -> bool:
    """Tell whether this user may do what a scene does."""
    return scene is not FullFolder or (os.getuid() == 0 and shutil.which("unshare") is not None)
