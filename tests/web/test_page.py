"""View: addresses of pages, and what forms say."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue.web.access import Viewer
from hotqueue.web.page import CannotDo, Form, View


def view(**more: Any) -> View:
    store: Any = None
    return View(store, store, store, Viewer("ann"), frozenset({"pause"}), **more)


def test_addresses_are_below_where_it_is_mounted() -> None:
    shown = view(root="/ops", path="/queues", query={"sort": "name", "page": "2"})
    assert shown.url("/queues/a b/ü?#") == "/ops/queues/a%20b/%C3%BC%3F%23"
    assert shown.url("/", q="a&b=c", sort=None) == "/ops/?q=a%26b%3Dc"
    assert shown.here(page=3) == "/ops/queues?sort=name&page=3"
    assert shown.here(page=None, sort="") == "/ops/queues"
    named_so = view(path="/queues", query={"path": "x", "self": "y"})  # by whoever wrote the address
    assert named_so.here(page=2) == "/queues?path=x&self=y&page=2"
    assert (shown.may("pause"), shown.may("purge")) == (True, False)


def test_a_form_says_what_it_says() -> None:
    form = Form({"id": ["a", "b"], "queue": ["mail"], "empty": [""]})
    assert (form.one("id"), form.one("none"), form.need("queue"), form["id"]) == ("b", "", "mail", ["a", "b"])
    with pytest.raises(CannotDo, match="which task is meant"):
        form.need("task")
    with pytest.raises(CannotDo, match="which empty is meant"):
        form.need("empty")
