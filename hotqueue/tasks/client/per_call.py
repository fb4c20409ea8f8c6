"""What one call says beside its arguments: when it is due, when it expires, its id, its headers. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hotqueue.errors import SerializationError
from hotqueue.sizes import PAYLOAD_MAX, in_words
from hotqueue.tasks.rules.options import instant_ms, seconds

# What a call has none of where it says None; of all other options that is a value, such as no time limit.
_OF_A_CALL = frozenset(
    ["countdown", "eta", "expires", "priority", "queue", "task_id", "headers", "link", "link_error", "depends_on"]
)


def said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a call that it says."""
    return {name: value for name, value in options.items() if value is not None or name not in _OF_A_CALL}


def due_of(countdown: float | timedelta | None, eta: datetime | None, where: str) -> tuple[str, int | None]:
    """Return when a call may run, as `Broker.enqueue` takes it, and in ms since the epoch by the clock here."""
    if countdown is not None and eta is not None:
        raise TypeError(f"{where} got both countdown= and eta=; give one of them")
    if countdown is not None:
        ms = int(seconds(countdown, f"{where} countdown=") * 1000)
        return f"+{ms}", int(time.time() * 1000) + ms
    if eta is not None:
        ms = instant_ms(eta, f"{where} eta=")
        return str(ms), ms
    return "", None


def expiry_of(expires: float | timedelta | datetime | None, where: str) -> str:
    """Return when a call must not start any more, as `Broker.enqueue` takes it."""
    if expires is None:
        return ""
    if isinstance(expires, datetime):
        return str(instant_ms(expires, f"{where} expires="))
    return f"+{int(seconds(expires, f'{where} expires=') * 1000)}"


def checked_id(task_id: Any) -> str:
    """Return an id that the caller gives."""
    if isinstance(task_id, str) and task_id and not {"\0", "\n"} & set(task_id):
        try:
            if len(task_id.encode()) <= 200:
                return task_id
        except UnicodeEncodeError:
            pass
    raise ValueError(f"task_id= takes a str of 1 to 200 bytes (as UTF-8) without NUL or newline, not {task_id!r:.80}")


def checked_headers(headers: Any, where: str) -> dict[str, Any]:
    """Return headers as the worker will see them."""
    what = f"{where} headers= takes a dict of JSON values with str keys"
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        raise SerializationError(f"{what}, not {headers!r:.80}")
    try:
        data = json.dumps(dict(headers), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"{what}: {error}") from None
    if len(data) > PAYLOAD_MAX:
        limit = in_words(PAYLOAD_MAX)
        raise SerializationError(
            f"{where} headers= take {in_words(len(data))}, but may have {limit}; send where they are instead"
        )
    return dict(json.loads(data))
