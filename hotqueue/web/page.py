"""Page and Action: what a page of the dashboard is made of, and what somebody does there; View: what both are given.

A page reads, and returns what its template shows; an action changes something, and says what. Neither knows a request or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from hotqueue.errors import ConfigError
from hotqueue.monitor.history import History
from hotqueue.monitor.snapshot import Snapshot, Snapshots
from hotqueue.store.store import Store
from hotqueue.web.access import Viewer


class NotThere(Exception):
    """Raised by a page: there is nothing of that name."""


class CannotDo(ConfigError):
    """Raised by an action: it cannot be done, and why; somebody reads that on the page."""


class Amiss(CannotDo):
    """Raised by an action: a form is filled in wrongly; it is shown again, with what was typed and what is wrong.

    Attributes:
        page: the page with the form.
        shown: what its template shows.
    """

    def __init__(self, page: Page, shown: Mapping[str, Any]) -> None:
        super().__init__("the form is not filled in as it should be")
        self.page, self.shown = page, shown


@dataclass
class View:
    """Who looks at what.

    Attributes:
        root: the path where the dashboard is mounted; "" at the top.
        path: of the page, below `root`.
        params: the parts of the path that the page names.
        query: what stands behind the "?" of the address; of a name that is there twice, the last.
        rights: what the viewer may do.
        said: what the last action said.
        theme: "light" or "dark", as the viewer chose; "" as their system says.
        found: what the snapshot was; see `snapshot`.
    """

    store: Store
    snapshots: Snapshots
    history: History
    viewer: Viewer
    rights: frozenset[str]
    root: str = ""
    path: str = "/"
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    theme: str = ""
    found: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot:
        """How the store is: the same one for all that a page asks."""
        if self.found is None:
            self.found = self.snapshots.get()
        return self.found

    def may(self, right: str) -> bool:
        """Tell whether the viewer may do something."""
        return right in self.rights

    def shows(self, queue: str) -> bool:
        """Tell whether the dashboard shows a queue of this name, if it is there: it may be for some alone."""
        return self.snapshots.is_meant(queue)

    def url(self, path: str, /, **query: Any) -> str:
        """Return the address of a page; what is None or "" is left out of the query."""
        kept = {name: str(value) for name, value in query.items() if value not in (None, "")}
        behind = urlencode(kept, errors="replace")  # of what is no character, half of a pair, there is no address
        return f"{self.root}{quote(path, safe='/:@', errors='replace')}{'?' if kept else ''}{behind}"

    def here(self, /, **query: Any) -> str:
        """Return the address of this page with some of its query changed."""
        return self.url(self.path, **{**self.query, **query})


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        path: as Starlette's routes have it: ``/queues/{queue:path}``.
        title: what it is called; "" of one that names itself in what it returns, as ``title``.
        template: the file that shows it.
        read: returns what the template shows.
        section: the entry of the navigation under which it stands; "" for its own title.
    """

    path: str
    title: str
    template: str
    read: Callable[[View], Mapping[str, Any]]
    section: str = ""


@dataclass(frozen=True)
class Said:
    """What an action did.

    Attributes:
        text: for whoever did it.
        which: what it was done to, for the audit: ``queue mail``, ``tasks 4f2, 77a of queue mail``.
        back: the path of another page than the one where they were, to go on at; `query`: what stands behind its "?".
    """

    text: str
    which: str = ""
    back: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """Something that can be done.

    Attributes:
        name: its last part of the path: ``POST /do/<name>``; and what the audit calls it.
        right: of access.RIGHTS: who has it may.
        act: takes what the form says, each name with all its values.
    """

    name: str
    right: str
    act: Callable[[View, Form], Said]


class Form(dict[str, Sequence[str]]):
    """What a form says."""

    def one(self, name: str) -> str:
        """Return what it says of a name; "" where it says nothing."""
        return self.get(name, ("",))[-1]

    def need(self, name: str) -> str:
        """Return what it says of a name.

        Raises:
            CannotDo: nothing.
        """
        if not (value := self.one(name)):
            raise CannotDo(f"the form does not say which {name} is meant")
        return value
