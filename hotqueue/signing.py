"""Secret keys: what they may be, and that none goes along in a pickle by accident. No message names one."""

from __future__ import annotations

import sys

from hotqueue.errors import ConfigError

VARIABLE = "HOTQUEUE_SECRET_KEY"
KEPT_BACK = ""  # in a pickle, instead of the key; no key is empty


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
