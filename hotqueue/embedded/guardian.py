"""The guardian of one embedded server: a program of its own, and the parent of redis-server.

It sleeps in flock(users.lock) until the last user of the database is gone, however that one went, and then stops the
server; it ends when the server ends. Every first user waits for it to start, as `python -I -S`: it must import nothing
of hotqueue and as little as it can of anything else.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal costs a third of the start, for its enums
import os
import sys
import time
from _thread import allocate_lock, start_new_thread
from typing import IO

if sys.platform != "win32":  # there the package can be imported, and refuses
    import fcntl

PATIENCE = 5  # seconds between the first SIGTERM to a server that does not answer and SIGKILL
SMALL = 64 * 1024 * 1024  # below this much data the file that the user named is written at every stop

# In how many ms nothing is left that anybody would miss, -1: never. What has no TTL, and is no loss, counts or wakes.
WHEN_EMPTY = b"""
local NO_LOSS = { seq = true, stats = true, bell = true, ['bell:async'] = true }
if redis.call('DBSIZE') > 100000 then return -1 end
local last = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local ttl = redis.call('PTTL', key)
  if ttl == -1 and not NO_LOSS[string.match(key, '^{hotqueue:[^}]*}:(.*)$') or ''] then return -1 end
  last = math.max(last, ttl)
end
return last"""


def ask(address: str | bytes, *words: bytes, timeout: float | None = 5.0) -> bytes:
    """Send one command over a connection of its own; return the reply, an error reply with its leading "-".

    Raises:
        OSError: nobody listens at `address`, or the answer did not come whole.
    """
    import socket

    request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        link.connect(address)
        link.sendall(request)
        with link.makefile("rb") as replies:
            return _reply(replies)


def _reply(replies: IO[bytes]) -> bytes:
    line = replies.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError("the server closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        return replies.read(int(rest) + 2)[:-2] if int(rest) >= 0 else b""
    if kind == b"*":
        return b"\n".join(_reply(replies) for _ in range(int(rest)))
    return line[:-2] if kind == b"-" else rest


class Guardian:
    """One server's guardian: what it watches, and the server it is the parent of (none: a server it adopted)."""

    def __init__(self, run: bytes, address: bytes, journal: bytes, fds: dict[str, int]) -> None:
        self.run = run
        self.address = address
        self.journal = journal  # empty: a private server, whose folder goes when its users are gone
        self.fds = fds
        self.child = 0
        self.ended = False
        self.stopping = False
        self.saved = False
        self.empty_at = -1.0  # when the data that it wrote at its end is none any more; -1: never
        self.stopped = allocate_lock()
        self.stopped.acquire()

    def start_server(self, binary: bytes, conf: bytes) -> None:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))  # one before the child takes signals waits, unignored
        self.child = os.fork()
        if not self.child:
            self._become_server(binary, conf)
        _set_signals(_signal.SIG_IGN)
        os.ftruncate(self.fds["server"], 0)
        os.pwrite(self.fds["server"], f"{self.child} {os.uname().nodename}".encode("utf-8", "replace"), 0)
        os.close(self.fds["server"])  # from here on the lock is the server's alone

    def _become_server(self, binary: bytes, conf: bytes) -> None:
        try:
            _set_signals(_signal.SIG_DFL)
            for held in ("server", "name"):
                if self.fds[held] >= 0:
                    os.set_inheritable(self.fds[held], True)
            os.execv(binary, [binary, conf])
        except OSError as error:
            os.write(2, f"{os.fsdecode(binary)}: {error}\n".encode("utf-8", "replace"))
        finally:
            os._exit(127)

    def wait_for_server(self) -> None:
        if self.child:
            os.waitpid(self.child, 0)
        else:
            fcntl.flock(self.fds["server"], fcntl.LOCK_EX)  # an adopted server is no child: its lock tells its end
        self.ended = True

    def watch_users(self) -> None:
        """Stop the server when the last user is gone; both locks stay taken until this process has ended."""
        users, start = self.fds["users"], self.fds["start"]
        stopped = False
        while not stopped:
            fcntl.flock(users, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)  # who holds start.lock may want to become a user: never ask for both
            fcntl.flock(start, fcntl.LOCK_EX)
            nobody = self._nobody_uses_it()
            stopped = nobody and self._stop()
            if not stopped:
                fcntl.flock(users, fcntl.LOCK_UN)
                fcntl.flock(start, fcntl.LOCK_UN)
                time.sleep(1 if nobody else 0)
        self.stopped.release()

    def _nobody_uses_it(self) -> bool:
        try:
            fcntl.flock(self.fds["users"], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _stop(self) -> bool:
        """Have the server write what has to be written, and end. False: it cannot or must not end now."""
        try:
            info = ask(self.address, b"INFO")
        except OSError:
            info = b""
        if b"aof_last_write_status:err" in info:
            return False  # the disk is full: what was acknowledged is safer in a running server
        self.stopping = True
        self.empty_at = self._when_empty(info) if self.journal else -1
        for way in self._ways_to_stop(info):
            try:
                ask(self.address, b"SHUTDOWN", way, timeout=None)  # an answer is a refusal
            except ConnectionResetError:
                self.saved = way == b"SAVE"
                return True
            except OSError:
                break
        return self._end_child() or self.ended

    def _when_empty(self, info: bytes) -> float:
        """Nobody uses the server any more, so nothing is written between this question and the end."""
        if any(b":keys=" in line and not line.startswith(b"db0:") for line in info.split(b"\r\n")):
            return -1
        try:
            left = int(ask(self.address, b"EVAL", WHEN_EMPTY, b"0"))
        except (OSError, ValueError):
            return -1
        return time.time() + left / 1000 + 1 if left > 0 else left

    def _ways_to_stop(self, info: bytes) -> tuple[bytes, ...]:
        used = info.partition(b"\r\nused_memory:")[2].split(b"\r\n")[0]
        if not self.journal or (int(used or 0) >= SMALL and os.path.exists(self.journal)):
            return (b"NOSAVE",)
        return b"SAVE", b"NOSAVE"

    def _end_child(self) -> bool:
        """See the server, which does not answer, to its end: what it acknowledged is with the system, in the journal."""
        deadline = time.monotonic() + PATIENCE
        while self._terminate(15 if time.monotonic() < deadline else 9):
            for _ in range(100):
                if self.ended:
                    return True
                time.sleep(0.01)
        return False

    def _terminate(self, number: int = 15) -> bool:
        if not self.child or self.ended:
            return False
        try:
            os.kill(self.child, number)  # its own child, not yet waited for: the number cannot be someone else's
        except ProcessLookupError:
            pass  # it has just ended
        return True

    def answer_pokes(self) -> None:
        """Whoever connects found no way to the server: if its folder was deleted under it, it must make room."""
        import socket

        with socket.socket(fileno=self.fds["name"]) as name:
            while True:
                name.accept()[0].close()
                if not self._reachable():
                    self._terminate()

    def _reachable(self) -> bool:
        for _ in range(20):  # a second: a server that has just been started has no socket yet
            if self._in_place():
                return True
            time.sleep(0.05)
        return False

    def _in_place(self) -> bool:
        try:
            same = os.stat(self.run + b"/start.lock").st_ino == os.fstat(self.fds["start"]).st_ino
        except OSError:
            return False
        return same and os.path.exists(self.address)

    def finish(self) -> None:
        if self.stopping:
            self.stopped.acquire()  # the thread that stopped the server has yet to see that it did
        if self.journal:
            if self.saved:
                self._note_what_was_saved()
            return
        if not self.stopping:  # a private server that crashed: its users may start another, its folder stays for them
            os.close(self.fds["guardian"])
            self.stopped.acquire()
        remove_private(self.run)

    def _note_what_was_saved(self) -> None:
        """So that the next start sees whether another program has written the database since, and what it was worth."""
        mark = mark_of(self.run.removesuffix(b".hotqueue"))
        if self.empty_at >= 0:
            mark += b"\nempty %d" % self.empty_at
        fd = os.open(self.run + b"/saved", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, mark)
        os.close(fd)


def mark_of(database: str | bytes) -> bytes:
    """A mark of a database's content: its length and its end, which is a checksum."""
    with open(database, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - 8))
        return b"%d %s" % (length, file.read().hex().encode())


def remove_private(run: bytes) -> None:
    """Remove the folder of a private server, and the folder of such folders when it was the last one."""
    try:
        for name in os.listdir(run):
            os.unlink(os.path.join(run, name))
        os.rmdir(run)
        os.rmdir(os.path.dirname(run))
    except OSError:
        pass  # someone else's is still there, or someone else was faster


def main(arguments: list[bytes]) -> None:
    """Run as `guardian.py RUN SOCKET JOURNAL BINARY CONF` and five numbers, the fds to inherit (-1: none).

    Without BINARY: adopt the server that runs.
    """
    if os.fork():
        os._exit(0)  # nobody's child: the user that started it need not wait for it
    run, address, journal, binary, conf = arguments[:5]
    fds = dict(zip(("start", "users", "server", "guardian", "name"), map(int, arguments[5:]), strict=True))
    for fd in fds.values():
        if fd >= 0:
            os.set_inheritable(fd, False)
    os.umask(0o077)
    os.chdir("/")
    _set_signals(_signal.SIG_IGN)
    _lift_limits()
    guardian = Guardian(run, address, journal, fds)
    if binary:
        guardian.start_server(binary, conf)
    start_new_thread(guardian.watch_users, ())
    if fds["name"] >= 0:
        start_new_thread(guardian.answer_pokes, ())
    guardian.wait_for_server()
    guardian.finish()


def _lift_limits() -> None:
    """What a user set for itself (a worker's memory, a test's CPU time) must not end the server of everybody."""
    import resource

    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (hard, hard))


def _set_signals(ending: int) -> None:
    """Undo what the user's process had ignored or blocked; HUP, INT and TERM are for users and the server only."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, ending)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


if __name__ == "__main__":
    try:
        main([os.fsencode(argument) for argument in sys.argv[1:]])
    finally:
        os._exit(0)
