"""Calls that somebody types: their arguments as text → values, and back; which queue's workers know the task. Reads only.

What `hotqueue enqueue` takes word by word, and the dashboard in one field. Nothing is unpickled or imported for it.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hotqueue import keys
from hotqueue.hints import did_you_mean
from hotqueue.monitor.crowd import ask
from hotqueue.store.store import Store
from hotqueue.tasks.broker.session import MORE
from hotqueue.tasks.wire.envelope import ARGS_REPR_MAX

Arguments = tuple[list[Any], dict[str, Any]]  # by position, and by name

SHOWN = 20  # arguments of which there is a text; see client.arguments
_OPTION = re.compile(r"--?[A-Za-z].*", re.DOTALL)
_KEYWORD = re.compile(r"([^\W\d]\w*)=(.*)", re.DOTALL)
_NAME = re.compile(r"([^\W\d]\w*)=")
_BEGINS = ("[", "{", '"')  # JSON that is more than a word
_BLANK = re.compile(r"\s")
_read_json = json.JSONDecoder().raw_decode


# --- arguments -----------------------------------------------------------------------------------------------------------


def value_of(text: str) -> Any:
    """Return the value that an argument means: JSON; what is none, and does not begin like some, is text.

    Raises:
        ValueError: it begins like JSON and is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{text!r:.80} is nested too deeply") from None
    except ValueError as error:
        if text.startswith(_BEGINS):
            raise ValueError(f"{text!r:.200} begins like JSON, and is none: {error}") from None
        return text


def arguments_of(words: Iterable[str]) -> Arguments:
    """Return the positional arguments and those by name that the words of a command line mean: ``4``, ``'"4"'``, ``x=1``.

    Raises:
        ValueError: an argument by name comes twice, or before one without; what looks like an option, and is none.
    """
    return _put_together(map(_of_word, words))


def _of_word(word: str) -> tuple[str, Any]:
    if _OPTION.fullmatch(word):
        raise ValueError(f"there is no option {word.partition('=')[0]!r:.80}; as an argument, write it '\"{word:.80}\"'")
    if named := _KEYWORD.fullmatch(word):
        return named[1], value_of(named[2])
    return "", value_of(word)


def _put_together(some: Iterable[tuple[str, Any]]) -> Arguments:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, value in some:
        if name in kwargs:
            raise ValueError(f"argument {name}= is given twice")
        if name:
            kwargs[name] = value
        elif kwargs:
            raise ValueError(f"{json.dumps(value, ensure_ascii=False):.200} comes behind an argument by name; put it in front")
        else:
            args.append(value)
    return args, kwargs


def arguments_in(text: str) -> Arguments:
    """Return the arguments that one text means: as on a command line, or all of them as one JSON list or object.

    >>> arguments_in('4 [1, 2] name="Ann B" to=ann@example.org')
    ([4, [1, 2]], {'name': 'Ann B', 'to': 'ann@example.org'})
    >>> arguments_in('{"n": 4}')
    ([], {'n': 4})

    Raises:
        ValueError: as of `arguments_of`; and where an argument ends is not to be seen.
    """
    text = text.strip()
    if text[:1] in ("[", "{"):
        value, end = _json_at(text, 0)
        if end == len(text):
            return ([], value) if isinstance(value, dict) else (value, {})
    return _put_together(_typed(text))


def _typed(text: str) -> Iterator[tuple[str, Any]]:
    """Yield each argument of a text, with its name, "" where it has none."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        named = _NAME.match(text, at)
        start = named.end() if named else at
        first = text[start : start + 1]
        if first == "'":  # as one writes it for a shell
            end = text.find("'", start + 1)
            if end < 0:
                raise ValueError(f"{text[start:]!r:.200} has no second '")
            value, at = value_of(text[start + 1 : end]), end + 1
        elif first in _BEGINS:
            value, at = _json_at(text, start)
        else:
            word = _BLANK.split(text[start:], 1)[0]
            if not named and _OPTION.fullmatch(word):
                raise ValueError(f"{word!r:.80} looks like an option; as an argument, write it '\"{word:.80}\"'")
            value, at = value_of(word), start + len(word)
        if at < len(text) and not text[at].isspace():
            raise ValueError(f"there is no blank between {text[start:at]!r:.80} and {text[at:]!r:.80}")
        yield named[1] if named else "", value


def _json_at(text: str, at: int) -> tuple[Any, int]:
    try:
        return _read_json(text, at)
    except RecursionError:
        raise ValueError(f"{text[at:]!r:.80} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{text[at:]!r:.200} begins like JSON, and is none: {error}") from None


def typed_again(shown: str) -> str | None:
    """Return arguments as one types them, of the text in which people see those of a call: ``4, x='a'`` → ``4 x="a"``.

    None where that is not all of them (a long value is shown shortened, a sensitive one not at all), or where one is no JSON.
    """
    if len(shown) >= ARGS_REPR_MAX or "..." in shown:
        return None
    try:
        call = ast.parse(f"_({shown})", mode="eval").body
        if not isinstance(call, ast.Call) or max(len(call.args), len(call.keywords)) >= SHOWN:
            return None
        named = [("", each) for each in call.args] + [(each.arg or "*", each.value) for each in call.keywords]
        values = [(name, ast.literal_eval(value)) for name, value in named]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    if not all(name != "*" and _is_json(value) for name, value in values):
        return None
    return " ".join(f"{name}{'=' * bool(name)}{json.dumps(value, ensure_ascii=False)}" for name, value in values)


def _is_json(value: Any) -> bool:
    """Tell whether a value would be the same one, had it been sent as JSON."""
    kind = type(value)
    if kind is list:
        return all(map(_is_json, value))
    if kind is dict:
        return all(type(name) is str and _is_json(each) for name, each in value.items())
    return kind in (str, int, bool, type(None)) or (kind is float and math.isfinite(value))


# --- names ---------------------------------------------------------------------------------------------------------------


def known(store: Store, queues: Sequence[str]) -> dict[str, set[str]]:
    """Return the names of the tasks that live workers of each of some queues know, as far as they say; two trips."""
    doing = "asking which tasks workers know"
    registered = ask(store, [("ZRANGE", keys.workers(queue), 0, -1) for queue in queues], doing)
    pairs = [
        (queue, keys.text(worker))
        for queue, some in zip(queues, registered, strict=True)
        if not isinstance(some, Exception)
        for worker in some
    ]
    said = ask(store, [("HGET", keys.worker(queue, worker), "tasks") for queue, worker in pairs], doing)
    found: dict[str, set[str]] = {queue: set() for queue in queues}
    for (queue, _), names in zip(pairs, said, strict=True):
        if names and not isinstance(names, Exception):
            found[queue] |= {name for name in keys.text(names).split() if name != MORE}
    return found


def missing(store: Store, queue: str, task: str) -> str:
    """Return a sentence if nobody is there to run a call of a task: no worker, or none that knows it; else "". Two trips."""
    doing = "asking which tasks workers know"
    (registered,) = ask(store, [("ZRANGE", keys.workers(queue), 0, -1)], doing)
    if isinstance(registered, Exception):
        return ""
    if not registered:
        return f"no worker listens on queue {queue!r} of {store}: it waits until one does"
    said = ask(store, [("HGET", keys.worker(queue, keys.text(worker)), "tasks") for worker in registered], doing)
    lists = [[] if each is None or isinstance(each, Exception) else keys.text(each).split() for each in said]
    names = {name for some in lists for name in some}
    if not all(lists) or names & {task, MORE}:
        return ""  # who says nothing may know it
    return f"no worker of queue {queue!r} knows a task {task!r:.80}: it is kept for one that does{did_you_mean(task, names)}"


def queue_of(task: str, found: Mapping[str, Iterable[str]]) -> str:
    """Return the queue whose workers know a task; `found`: as of `known`.

    Raises:
        ValueError: there are several, or none, and then which name may be meant.
    """
    queues = [queue for queue, names in found.items() if task in names]
    if len(queues) == 1:
        return queues[0]
    if queues:
        raise ValueError(f"workers of {', '.join(queues[:5])} know {task}")
    hint = did_you_mean(task, {each for names in found.values() for each in names})
    raise ValueError(f"no worker knows a task {task!r:.80}{hint}")
