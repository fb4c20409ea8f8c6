"""A wrong value of an option, or of an argument: exit code 2, and one sentence that says what may stand there.

The kind: every command of `hotqueue`, every option that is no text; and what is wrong with texts that have a form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from hotqueue.cli.admin import hotqueue
from hotqueue.cli.watch import hotwatch
from hotqueue.cli.worker import command as worker

NOBODY = "redis://127.0.0.1:1"  # at which nobody answers: so the value is seen before


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command with the words that name it."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        yield (*before, name), found
        if isinstance(found, click.Group):
            yield from commands(found, (*before, name))


def numbers_and_choices() -> Iterator[tuple[tuple[str, ...], str, click.ParamType[Any]]]:
    """Yield each option of each command that is no text and no flag."""
    for words, command in [*commands(hotqueue), (("hotwatch",), hotwatch), (("hotqueue-worker",), worker)]:
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag and option.type is not click.STRING and not option.hidden:
                yield words, option.opts[-1], option.type


OPTIONS = list(numbers_and_choices())


def said_of(words: tuple[str, ...], option: str, value: str) -> str:
    """Return what is said of a value."""
    command = {"hotwatch": hotwatch, "hotqueue-worker": worker}.get(words[0], hotqueue)
    args = list(words if command is hotqueue else words[1:])
    with pytest.raises(click.UsageError) as raised:
        command.main([*args, option, value], prog_name="hotqueue", standalone_mode=False)
    return raised.value.format_message()


def test_there_are_options_of_each_kind() -> None:
    kinds = {type(kind).__name__ for _, _, kind in OPTIONS}
    assert {"Whole", "Number", "Choice", "HostPort", "Size"} <= kinds
    assert not kinds & {"IntRange", "FloatRange", "IntParamType", "FloatParamType"}  # whose messages speak of ranges


@pytest.mark.parametrize("words", dict.fromkeys(words for words, _, _ in OPTIONS), ids=" ".join)
def test_what_is_no_value_of_it_is_told_what_may_stand_there(words: tuple[str, ...]) -> None:
    for option, kind in [(option, kind) for some, option, kind in OPTIONS if some == words]:
        said = said_of(words, option, "abc")
        assert option in said
        assert "'abc'" in said
        assert "range" not in said
        expected = kind.choices if isinstance(kind, click.Choice) else ["number", "size", "PORT", "span of time"]
        assert any(str(each) in said for each in expected)
        assert "\n" not in said


def test_a_number_is_told_from_where_to_where() -> None:
    assert said_of(("info",), "--port", "99999").endswith("'99999' is no whole number from 0 to 65535")
    assert said_of(("tasks",), "--limit", "0").endswith("'0' is no whole number of at least 1")
    assert said_of(("stats",), "--every", "nan").endswith("'nan' is no number from 0.1 to 3600")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["info", "--url", "http://x"], "unknown store URL 'http://x'; the known forms are redis://"),
        (["info", "--url", "localhost:6379"], "unknown store URL 'localhost:6379'; did you mean 'redis://localhost:6379'?"),
        (["info", "--url", "example.org"], "did you mean 'redis://example.org'?"),
        (["info", "--url", "reddis://h:1/0"], "did you mean 'redis://'?"),
        (["info", "--url", ""], "url= is empty"),
        (["info", "--url", NOBODY, "--dbfilename", "x.rdb"], "a queue lives in one store"),
        (["tasks", "--url", "http://x"], "unknown store URL"),
        (["retry", "--all", "--url", "http://x"], "unknown store URL"),
        (["metrics", "--url", "http://x"], "unknown store URL"),
        (["metrics", "[b-a]", "--dbfilename", "DB"], "the range b-a runs backwards"),
        (["web", "--url", "http://x"], "unknown store URL"),
        (["web", "--url", NOBODY, "--allow", "fly", "--port", "0"], "--allow: there is no right 'fly'; there are "),
        (["doctor", "--url", "http://x"], "unknown store URL"),
        (["upgrade", "--all", "--url", "http://x"], "unknown store URL"),
        (["upgrade", "a{b", "--dbfilename", "DB"], "a{b"),
        (["enqueue", "t", "--id", "", "-Q", "q", "--dbfilename", "DB"], "id"),
        (["pause", "a{b", "--dbfilename", "DB"], "a{b"),
        (["embedded", "export", "http://x", "copy.rdb"], "unknown store URL"),
    ],
)
def test_a_text_of_no_form_is_a_mistake_of_the_users(call: Callable[..., Any], tmp_path: Any, args: list[str], said: str) -> None:
    found = call(*(str(tmp_path / "db.rdb") if each == "DB" else each for each in args))
    assert said in found.err
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)


def test_what_settings_say_wrong_is_one_too(call: Callable[..., Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_URL", "http://x")
    found = call("info")
    assert (found.code, found.out) == (2, "")
    assert "$HOTQUEUE_URL: unknown store URL" in found.err
    monkeypatch.delenv("HOTQUEUE_URL")
    (tmp_path / "pyproject.toml").write_text('[tool.hotqueue]\nurl = "http://x"\n')
    monkeypatch.chdir(tmp_path)
    assert call("info").code == 2
