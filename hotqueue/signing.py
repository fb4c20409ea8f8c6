"""Secret keys: what they may be, signing and verifying with them, and that none is pickled by accident.

No error message and no log line names a key. Where a signature stands: tasks/wire/envelope.py (calls), tasks/wire/record.py
(results). Raw messages are not signed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hotqueue.errors import ConfigError, SignatureError

VARIABLE = "HOTQUEUE_SECRET_KEY"
KEPT_BACK = ""  # in a pickle, instead of the key; no key is empty
SIGNATURE_BYTES = 32


def split(given: object, what: str = "secret_key") -> list[bytes]:
    """Return the keys in a text, the one that signs first.

    Raises:
        ConfigError: not text, or a key in it is empty; a key left out by mistake must not mean "unsigned".
    """
    if not isinstance(given, str):
        raise ConfigError(f"{what} is a str (several keys separated by commas), not {type(given).__name__}")
    found = [key.strip().encode("utf-8", "surrogateescape") for key in given.split(",")]
    if not any(found):
        raise ConfigError(f"{what} is empty; give a long random text, or leave it out")
    if not all(found):
        raise ConfigError(f"{what}: key {found.index(b'') + 1} of {len(found)} is empty; put exactly one comma between two keys")
    return found


def may_travel() -> bool:
    """Tell whether what is being pickled goes to a child that multiprocessing starts, and nowhere else."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and context.get_spawning_popen() is not None


class Signer:
    """HMAC-SHA256 with a list of keys: the first signs, all verify.

    Args:
        scope: signed in front of everything, so that what was signed for one purpose is good for no other.
        also: other scopes, of which what was signed for them is good here as well.
    """

    def __init__(self, keys: Sequence[bytes], scope: bytes = b"", *also: bytes) -> None:
        self._keys = list(keys)
        self._scope, self._scopes = scope, (scope, *also)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer is not pickled: its secret keys would go along")

    def for_results(self, queue: str, *others: str) -> Signer:
        """Return the signer of the results of a queue; an envelope begins with other bytes than its scope.

        Args:
            others: queues whose results it takes as well.
        """
        names = [name.encode() for name in (queue, *others)]
        return Signer(self._keys, *(b"result" + len(name).to_bytes(4, "big") + name for name in names))

    def for_schedules(self, queue: str) -> Signer:
        """Return the signer of the schedules of a queue."""
        name = queue.encode()
        return Signer(self._keys, b"schedule" + len(name).to_bytes(4, "big") + name)

    def for_checkpoints(self, queue: str) -> Signer:
        """Return the signer of what tasks of a queue keep for their next run."""
        name = queue.encode()
        return Signer(self._keys, b"checkpoint" + len(name).to_bytes(4, "big") + name)

    def agrees_with(self, other: Signer | None) -> bool:
        """Tell whether both have the same keys."""
        return other is not None and self._keys == other._keys

    def sign(self, body: bytes) -> bytes:
        """Return the signature to append to `body`."""
        return hmac.digest(self._keys[0], self._scope + body, hashlib.sha256)

    def verify(self, body: bytes, signature: bytes, what: str) -> None:
        """Raise SignatureError unless one of the keys made this signature."""
        messages = [scope + body for scope in self._scopes]
        found = (hmac.digest(key, message, hashlib.sha256) for message in messages for key in self._keys)
        if not any(hmac.compare_digest(each, signature) for each in found):
            raise SignatureError(f"the signature of {what} fits none of the secret keys: altered, or signed with another key")


def signer_of(secret_key: str | None, queue: str) -> Signer | None:
    """Return the signer for a secret key: the argument, else ``$HOTQUEUE_SECRET_KEY``."""
    if secret_key:
        return Signer(split(secret_key))
    text = os.environ.get(VARIABLE)
    if text is not None:
        return Signer(split(text, f"${VARIABLE}"))
    if secret_key == KEPT_BACK:
        raise ConfigError(
            f"queue {queue!r} came here in a pickle, and its secret key does not travel in one; import the queue instead, or set "
            f"${VARIABLE}"
        )
    return None
