"""Scripts: package files as Redis gets them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hotqueue.store.scripts import load


def test_scripts_are_loaded_once_over_their_prelude() -> None:
    turn = load("hotqueue.messages.lua", "turn", "held")
    assert turn is load("hotqueue.messages.lua", "turn", "held")
    assert turn.text.startswith(b"-- Prelude")
    assert turn.text.endswith(b"return message\n")
    assert turn.sha == hashlib.sha1(turn.text).hexdigest().encode()
    with pytest.raises(FileNotFoundError):
        load("hotqueue.messages.lua", "no-such")


def test_a_shared_file_can_have_another_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "including_lua" / "shared").mkdir(parents=True)
    (tmp_path / "including_lua" / "__init__.py").touch()
    (tmp_path / "including_lua" / "shared" / "outer.lua").write_text(
        "local function f()\n  -- include inner\n  return g()\nend\n"
    )
    (tmp_path / "including_lua" / "shared" / "inner.lua").write_text("local MOST = 5\n-- include innermost\n")
    (tmp_path / "including_lua" / "shared" / "innermost.lua").write_text("local function g() return MOST end\n")
    (tmp_path / "including_lua" / "one.lua").write_text("return f()\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = load("including_lua", "one", "shared/outer").text.decode()
    assert text == "local function f()\nlocal function g() return 5 end\n  return g()\nend\n\nreturn f()\n"


def test_constants_are_put_in_their_places_and_stand_for_one_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lua_of_a_test").mkdir()
    (tmp_path / "lua_of_a_test" / "__init__.py").touch()
    (tmp_path / "lua_of_a_test" / "shared.lua").write_text("local MOST = 5 -- at most\n")
    lua = "local ITEMS, _ = KEYS[1]\nlocal LINE, WHO = KEYS[2], ARGV[1]\nreturn f('LINE', LINE, WHO, MOST, MOSTLY, 'MOST')\n"
    (tmp_path / "lua_of_a_test" / "one.lua").write_text(lua)
    (tmp_path / "lua_of_a_test" / "two.lua").write_text("local MOST = 6\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = load("lua_of_a_test", "one", "shared").text.decode()
    assert text == "\nlocal ITEMS, _ = KEYS[1]\nreturn f('LINE', KEYS[2], ARGV[1], 5, MOSTLY, 'MOST')\n"
    with pytest.raises(ValueError, match="MOST stands for 5 and for 6"):
        assert load("lua_of_a_test", "two", "shared").text
