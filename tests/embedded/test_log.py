"""What a server that does not start has written, in one sentence that says what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotqueue.embedded.files import Files
from hotqueue.embedded.log import explained, last_complaint, log_size, read_log, rotate_log
from hotqueue.errors import ConfigError, ConnectionFailed
from tests.support.embedded_users import (
    Refusal,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
STAMP = "1:M 01 Jan 2026 00:00:00.000"


def test_a_server_that_cannot_start_says_why(refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\n[ \"$1\" = -v ] && echo 'Redis server v=6.2.14 sha=0' && exit\necho 'Fatal: bad luck' >&2; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("HOTQUEUE_SERVER", str(program))
    assert "did not start: Fatal: bad luck" in refusal(kind=ConnectionFailed)


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        (f"{STAMP} # Bad file format reading the file\n{STAMP} * Bye", "Bad file format reading the file"),
        (f"{STAMP} # WARNING Memory overcommit must be enabled! Background save may fail", ""),
        ("*** FATAL CONFIG FILE ERROR (Redis 6.2) ***\nat line 2\n>>> 'x'", "at line 2 >>> 'x'"),
        (f"{STAMP} * Ready to accept connections", ""),
    ],
)
def test_the_last_complaint_of_a_log(log: str, complaint: str) -> None:
    assert last_complaint(log) == complaint


def test_a_long_log_is_put_aside(path: Path) -> None:
    files = Files.of(str(path))
    os.mkdir(files.run)
    for size, rotated in ((1000, False), (2 << 20, True)):
        Path(files.at("redis.log")).write_bytes(b"x" * size)
        rotate_log(files)
        assert os.path.exists(files.at("redis.log.old")) is rotated
    assert (log_size(files), read_log(files)) == (0, "")


def test_what_the_system_refuses_is_said_of_the_database(path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"cannot use .* as an embedded database .*: choose"),
        explained(str(path)),
    ):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(ConnectionFailed, match="disk full"), explained(str(path)):
        raise OSError(28, "No space left on device")
