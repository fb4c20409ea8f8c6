"""Filters as text, such as ``task:mail -queue:low failed:>1h`` ↔ `Filter`; and what whoever types may go on with. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hotqueue.hints import did_you_mean
from hotqueue.monitor.filters import (
    ANYWHERE,
    FIELDS,
    NAME,
    NUMBER,
    OUTCOMES,
    SPAN,
    STATES,
    TEXT,
    TIME,
    Filter,
    Term,
    instant_of,
    span_of,
    state_of,
)

_FIELD = re.compile(r"([A-Za-z_]+):")
_BARE = re.compile(r"[^\s\"]\S*")  # a value without quotes
_WHOLE = re.compile(r"-?\d{1,9}")
MOST = 50  # terms of one filter
LONGEST = 2000  # characters of one filter
OFFERED = 20  # continuations that are offered


class FilterError(ValueError):
    """A filter that is none.

    Attributes:
        at, end: from where to where in the text the trouble is.
    """

    def __init__(self, said: str, text: str, at: int, end: int) -> None:
        super().__init__(f"{text[at:end]!r:.80}, at {at + 1}: {said}" if end > at else f"at {at + 1}: {said}")
        self.at, self.end = at, end


@dataclass(frozen=True, slots=True)
class _Piece:
    """A term where it stands.

    Attributes:
        at, end: from where to where it goes.
        value_at: where its value begins.
        is_quoted: the value is in quotes.
    """

    at: int
    end: int
    value_at: int
    field: str
    value: str
    is_not: bool
    is_quoted: bool


def parse(text: str) -> Filter:
    """Return the filter that a text says.

    Raises:
        FilterError: it says none: what is wrong, where, and how to write it.
    """
    if len(text) > LONGEST:
        raise FilterError(f"a filter has at most {LONGEST} characters", text, LONGEST, LONGEST)
    terms: list[Term] = []
    for piece in _pieces(text):
        terms += _terms(piece, text)
        if len(terms) > MOST:
            raise FilterError(f"a filter has at most {MOST} terms", text, piece.at, piece.end)
    return Filter(tuple(terms))


def written(wanted: Filter) -> str:
    """Return a filter as text, from which `parse` makes the same."""
    return " ".join(map(_written, wanted.terms))


# --- reading -------------------------------------------------------------------------------------------------------------


def _pieces(text: str) -> Iterable[_Piece]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        piece = _piece(text, at)
        yield piece
        at = piece.end


def _piece(text: str, at: int) -> _Piece:
    is_not = text[at] == "-" and at + 1 < len(text) and not text[at + 1].isspace()
    begin = at + is_not
    named = _FIELD.match(text, begin)
    begin, field = (named.end(), named[1].lower()) if named else (begin, ANYWHERE)
    if begin < len(text) and text[begin] == '"':
        value, end = _quoted(text, begin)
        return _Piece(at, end, begin, field, value, is_not, is_quoted=True)
    bare = _BARE.match(text, begin)
    end = bare.end() if bare else begin
    return _Piece(at, end, begin, field, text[begin:end], is_not, is_quoted=False)


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return what is in the quotes that begin here, and where they end."""
    value, i = "", at + 1
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text):
            value, i = value + text[i + 1], i + 2
        elif text[i] == '"':
            if i + 1 < len(text) and not text[i + 1].isspace():
                raise FilterError('behind a quoted value comes a space; inside of it a quote is written \\"', text, at, i + 2)
            return value, i + 1
        else:
            value, i = value + text[i], i + 1
    raise FilterError('the quote is not closed: add a " at the end', text, at, len(text))


def _terms(piece: _Piece, text: str) -> list[Term]:
    if piece.field != ANYWHERE and piece.field not in FIELDS:
        hint = did_you_mean(piece.field, list(FIELDS)) or f"; there are {', '.join(FIELDS)}."
        said = f"there is no field {piece.field!r:.40}{hint} To look for such a text, put it in quotes"
        raise FilterError(said, text, piece.at, piece.end)
    kind = TEXT if piece.field == ANYWHERE else FIELDS[piece.field].kind
    if not piece.value:
        example = "text" if piece.field == ANYWHERE else FIELDS[piece.field].example
        raise FilterError(f"there is no value; write for example {example}", text, piece.at, piece.end)
    values = piece.value.split(",") if kind == NAME and not piece.is_quoted else [piece.value]
    try:
        return [_term(piece, kind, value) for value in values if value or _refuse_empty(piece)]
    except ValueError as error:
        raise FilterError(str(error), text, piece.at, piece.end) from None


def _refuse_empty(piece: _Piece) -> bool:
    raise ValueError(f"there is no value beside a comma; write for example {piece.field}:a,b")


def _term(piece: _Piece, kind: str, value: str) -> Term:
    """Return a term.

    Raises:
        ValueError: its value is none of its kind.
    """
    if piece.field == "state":
        value = state_of(value)
    if kind in (NAME, TEXT):
        return Term(piece.field, value, is_not=piece.is_not)
    sign, rest = (value[0], value[1:]) if value[0] in "<>" else ("", value)
    example = FIELDS[piece.field].example
    if kind == NUMBER:
        if not _WHOLE.fullmatch(rest):
            raise ValueError(f"{rest!r:.40} is no whole number; write for example {example}")
        rest = str(int(rest))
    elif not sign:
        raise ValueError(f"it is compared: write for example {example}, with > or <")
    elif kind == SPAN and span_of(rest) is None:
        raise ValueError(f"{rest!r:.40} is no span of time; write for example {example}")
    elif kind == TIME:
        instant_of(rest, 0)
    return Term(piece.field, rest, sign, piece.is_not)


# --- writing -------------------------------------------------------------------------------------------------------------


def _written(term: Term) -> str:
    value = term.sign + term.value
    is_bare = _BARE.fullmatch(value) is not None
    if term.field == ANYWHERE:
        is_bare = is_bare and value[0] != "-" and _FIELD.match(value) is None
    elif term.kind == NAME:
        is_bare = is_bare and "," not in value
    if not is_bare:
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{'-' * term.is_not}{'' if term.field == ANYWHERE else term.field + ':'}{value}"


# --- going on ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to go on.

    Attributes:
        text: the whole filter with it.
        term: what was added or completed.
        says: what that is.
        cursor: where one goes on typing.
    """

    text: str
    term: str
    says: str
    cursor: int


def offers(text: str, cursor: int, known: Mapping[str, Iterable[str]]) -> list[Offer]:
    """Return how one may go on at a place in a filter: with fields; behind one's colon with values of it.

    Args:
        known: names of the store by their field: ``task``, ``queue``, ``worker``.
    """
    cursor = max(0, min(cursor, len(text)))
    at = max(text.rfind(" ", 0, cursor), text.rfind("\t", 0, cursor)) + 1
    word, behind = text[at:cursor], text[cursor:]
    behind = behind if not behind or behind[0].isspace() else behind.partition(" ")[1] + behind.partition(" ")[2]
    sign = "-" if word.startswith("-") else ""
    field, colon, value = word.removeprefix("-").partition(":")
    if colon:
        found = _values(field, value, known)
    else:
        found = [(name + ":", each.says) for name, each in FIELDS.items() if name.startswith(field.lower())]
    made = []
    for term, says in found[:OFFERED]:
        before = text[:at] + sign + term
        gap = " " if not term.endswith(":") and not behind.startswith(" ") else ""
        made.append(Offer(before + gap + behind, sign + term, says, len(before + gap)))
    return made


def _values(field: str, value: str, known: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    spec = FIELDS.get(field.lower())
    if spec is None:
        return []
    before, comma, begun = value.rpartition(",")
    names = {"state": STATES, "outcome": OUTCOMES}.get(field.lower()) or known.get(field, ())
    sought = begun.lstrip('"').casefold()
    begins = sorted({name for name in names if name.casefold().startswith(sought)})
    others = sorted({name for name in names if sought in name.casefold()} - set(begins))
    if spec.kind == NAME:
        terms = [_written(Term(field, name)).partition(":")[2] for name in (*begins, *others) if name != begun]
        return [(f"{field}:{before}{comma}{term}", "") for term in terms]
    if spec.kind in (TIME, SPAN) and not value.lstrip("<>"):
        return [(f"{field}:{sign}{span}", "") for sign in "<>" for span in ("5m", "1h", "1d") if sign.startswith(value[:1])]
    return []
