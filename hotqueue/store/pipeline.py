"""Several commands to one server in one trip, answered one by one: an error of one is none of the others.

What is sent so has to be repeatable: when the connection breaks, any of it may have been carried out. Nothing here retries.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import redis.exceptions as rx

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.store.connection import limit_replies, packed, packed_at_once, reply_or_error
from hotqueue.store.scripts import Script
from hotqueue.store.store import Store
from hotqueue.store.timeouts import COMMAND_TIMEOUT
from hotqueue.store.translation import is_of_replica

MOST = 500  # commands in one trip
AT_ONCE = 50  # calls of a script that are one command, on a server that is no Cluster's: others wait for so long

# Runs a script for several queues in one go; an error of one is its own answer.
# ARGV 1 how many; then for each: how many keys, how many arguments, the arguments
_EACH = b"""
local function one(KEYS, ARGV)
%b
end
local answers, key, arg = {}, 0, 1
for n = 1, tonumber(ARGV[1]) do
  local its_keys, its_args = {}, {}
  local keys, args = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  for i = 1, keys do its_keys[i] = KEYS[key + i] end
  for i = 1, args do its_args[i] = ARGV[arg + 2 + i] end
  key, arg = key + keys, arg + 2 + args
  local fine, answer = pcall(one, its_keys, its_args)
  if not fine and type(answer) ~= 'table' then
    answer = redis.error_reply(string.match(answer, 'WRONGTYPE.*') or string.match(answer, 'OOM.*') or answer)
  end
  answers[n] = answer
end
return answers
"""

Call = tuple[Sequence[str | bytes], Sequence[Any]]  # the keys and the arguments of a script call


def run_all(store: Store, script: Script, calls: Sequence[Call], doing: str, at_once: int = AT_ONCE) -> list[Any]:
    """Run a script once for each of several queues of one server; return what each call returned.

    In the place of what was refused stands its HotQueueError.

    Args:
        at_once: how many calls may keep the server from others, where they are one command.

    Raises:
        ConnectionFailed, ConfigError: there was no connection, or it broke: any of the calls may have been carried out.
    """
    replies: list[Any] = []
    most, run = (MOST, _run_some) if store.is_cluster else (at_once, _run_as_one)
    for start in range(0, len(calls), most):
        replies += run(store, script, calls[start : start + most], doing)
    return replies


def _run_as_one(store: Store, script: Script, calls: Sequence[Call], doing: str) -> list[Any]:
    """Run a script for several queues by one command: where each command is a trip, as behind some proxies, that is one trip."""
    if len(calls) == 1:
        return [_or_error_of(store, script, calls[0], doing)]
    every_key = [key for keys, _ in calls for key in keys]
    args: list[Any] = [len(calls)]
    for keys, some in calls:
        args += (len(keys), len(some), *some)
    answers = store.run(_for_each(script.text), every_key, args, doing)
    if any(is_of_replica(answer) for answer in answers):
        store.pool.drop_idle()  # that connection is among them
    commands = [(b"EVALSHA", script.sha, len(keys), *keys, *some) for keys, some in calls]
    return [_meant(store, command, answer, doing) for command, answer in zip(commands, answers, strict=True)]


def _or_error_of(store: Store, script: Script, call: Call, doing: str) -> Any:
    """As `_alone`, but an outage is raised."""
    answer = _alone(store, script, call, doing)
    if isinstance(answer, ConnectionFailed):
        raise answer
    return answer


@functools.lru_cache(maxsize=16)
def _for_each(text: bytes) -> Script:
    return Script((_EACH % text).decode())


def _run_some(store: Store, script: Script, calls: Sequence[Call], doing: str) -> list[Any]:
    commands = [(b"EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in calls]
    replies = _exchange(store, commands, doing)
    missing = [n for n, reply in enumerate(replies) if isinstance(reply, rx.NoScriptError)]
    if missing:
        first, rest = missing[0], missing[1:]
        replies[first] = _alone(store, script, calls[first], doing)  # brings the script along
        for n, reply in zip(rest, _exchange(store, [commands[n] for n in rest], doing) if rest else [], strict=True):
            replies[n] = reply
    for n, reply in enumerate(replies):
        if isinstance(reply, rx.AskError | rx.NoScriptError):
            store.pool.suspect = True  # the queue has moved to another node
            replies[n] = _alone(store, script, calls[n], doing)
    return [_meant(store, command, reply, doing) for command, reply in zip(commands, replies, strict=True)]


def ask_all(store: Store, commands: Sequence[tuple[Any, ...]], doing: str) -> list[Any]:
    """Send commands about several queues of one server; otherwise as `run_all`."""
    replies: list[Any] = []
    for start in range(0, len(commands), MOST):
        replies += _exchange(store, commands[start : start + MOST], doing)
    for n, (command, reply) in enumerate(zip(commands, replies, strict=True)):
        if isinstance(reply, rx.AskError):
            store.pool.suspect = True
            replies[n] = _or_error(lambda command=command: store.command(command[1], *command, doing=doing))  # type: ignore[misc]
    return [_meant(store, command, reply, doing) for command, reply in zip(commands, replies, strict=True)]


def _exchange(store: Store, commands: Sequence[tuple[Any, ...]], doing: str) -> list[Any]:
    """Return the replies, or redis-py's errors in their places."""
    first = commands[0]
    pool = store.pool
    idle, connection = pool.take(first[3] if first[0] == b"EVALSHA" else first[1])
    left = store.limits.left()
    try:
        limit_replies(connection, left)
        parts = [packed_at_once(connection, command) or b"".join(packed(connection, command)) for command in commands]
        connection.send_packed_command([b"".join(parts)], check_health=False)  # in one go: a call each is slow
        replies = [reply_or_error(connection) for _ in commands]
    except BaseException as error:
        pool.give_back(idle, connection, error)
        if isinstance(error, rx.RedisError | OSError):
            raise pool.translated(error, doing) from error
        raise
    limit_replies(connection, COMMAND_TIMEOUT)
    of_replica = next((reply for reply in replies if is_of_replica(reply)), None)
    if of_replica is not None:
        pool.give_back(idle, connection, of_replica)
    else:
        idle.put(connection)
    return replies


def _alone(store: Store, script: Script, call: Call, doing: str) -> Any:
    return _or_error(lambda: store.run(script, *call, doing))


def _or_error(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except HotQueueError as error:
        return error


def _meant(store: Store, command: tuple[Any, ...], reply: Any, doing: str) -> Any:
    if not isinstance(reply, Exception) or isinstance(reply, HotQueueError):
        return reply
    return store.translated(reply, f"{doing}{store.exchange.wrong_key(reply, command)}")
