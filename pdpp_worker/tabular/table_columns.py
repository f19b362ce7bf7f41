"""Typed columns, made from the JSON Schema of a stream.

A column holds what fits its type. The whole record stands in `_data`, with what does not fit and what has no column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

MOST_COLUMNS = 500
"""PostgreSQL and SQLite allow not many more in one table; further members stand in `_data` alone."""
LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL."""
CONNECTION, KEY, COLLECTED, DELETED, DATA = "_connection", "_key", "_collected_at", "_deleted_at", "_data"
OWN = (CONNECTION, KEY, COLLECTED, DELETED, DATA)
"""Columns of every table."""


class Kind(StrEnum):
    """Type of a column's values."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    DATE = "date"
    JSON = "json"


class Column(NamedTuple):
    """A column: its name, the member of a record that it shows, and the type of its values."""

    name: str
    member: str
    kind: Kind


_KINDS = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
}
_FORMATS = {"date-time": Kind.INSTANT, "date": Kind.DATE}


def columns_of(schema: Mapping[str, Any]) -> list[Column]:
    """A column for each member that the schema declares, in its order, under names that differ in more than case."""
    properties = schema.get("properties")
    declared = list(properties.items())[:MOST_COLUMNS] if isinstance(properties, dict) else []
    names = distinct((member for member, _ in declared), taken=OWN)
    return [Column(name, member, kind_of(one)) for name, (member, one) in zip(names, declared, strict=True)]


def kind_of(schema: Any) -> Kind:
    """The type of a member's values: JSON where the schema allows several."""
    if not isinstance(schema, dict):
        return Kind.JSON
    said = schema.get("type")
    types = [one for one in (said if isinstance(said, list) else [said]) if one != "null"]
    if types in (["integer", "number"], ["number", "integer"]):
        return Kind.NUMBER
    if len(types) != 1 or not isinstance(types[0], str):
        return Kind.JSON
    kind = _KINDS.get(types[0], Kind.JSON)
    return _FORMATS.get(str(schema.get("format")), kind) if kind is Kind.TEXT else kind


def table_names(streams: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Connector and stream to the name of their table, CONNECTOR_STREAM."""
    ordered = sorted(set(streams))
    wanted = (re.sub(r"[^a-z0-9_]", "_", f"{connector}_{stream}".lower()) for connector, stream in ordered)
    return dict(zip(ordered, distinct(wanted), strict=True))


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> Iterator[str]:
    """The names in order, cut to what PostgreSQL allows, each unlike all before it in more than case."""
    seen = {name.lower() for name in taken}
    for name in names:
        found = next(one for one in _candidates(name) if one.lower() not in seen)
        seen.add(found.lower())
        yield found


def _candidates(name: str) -> Iterator[str]:
    clean = name.replace("\0", "").encode(errors="replace").decode() or "_"
    if len(clean.encode()) <= LONGEST_NAME:
        yield clean
    start = clean.encode()[: LONGEST_NAME - 9].decode(errors="ignore")
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()
    for place in range(0, len(digest), 8):
        yield f"{start}_{digest[place : place + 8]}"
