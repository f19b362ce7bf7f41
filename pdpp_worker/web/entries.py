"""Records as people read them: title, author, text, and the passage in which a word was found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Any

from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.store.views.search_views import FoundRecord
from pdpp_worker.web.access import Access

_TITLES = ("title", "subject", "name")
"""Members that hold a title where the manifest does not say."""
_TAG = re.compile(r"<(?:!--|(/?[A-Za-z][A-Za-z0-9]*)|[!?])[^<>]*>")
_HIDDEN = {"script", "style", "title", "template"}
_COLUMNS = 5
_LONGEST_TITLE = 100
_AROUND = 80
_SCALARS = {"string", "integer", "number", "boolean"}


@dataclass(frozen=True)
class Entry:
    """A record in short."""

    connection_id: int
    connection: str
    stream: str
    name: str
    """It stands for the record's key in URLs."""
    title: str
    author: str | None
    at: datetime
    deleted_at: datetime | None
    text: str | None
    has_html: bool
    passage: tuple[str, str, str] | None = None
    """Text before a word that was looked for, the word, and text after it."""


def entry_of(record: FoundRecord, connection: str, declared: StreamManifest | None, access: Access) -> Entry:
    """A record in short, by what its stream declares."""
    reading = declared.reading if declared else None
    return Entry(
        connection_id=record.connection_id,
        connection=connection,
        stream=record.stream,
        name=access.name_of(record.key),
        title=title_of(record, declared),
        author=member(record.data, reading.author if reading else None),
        at=record.at,
        deleted_at=record.deleted_at,
        text=member(record.data, reading.text if reading else None),
        has_html=member(record.data, reading.html if reading else None) is not None,
    )


def title_of(record: FoundRecord, declared: StreamManifest | None) -> str:
    """The title, else the beginning of the text, else the key."""
    reading = declared.reading if declared else None
    named = [reading.title, reading.text] if reading else []
    found = (member(record.data, name) for name in (*named, *_TITLES))
    title = " ".join((next((one for one in found if one), None) or record.key).split())
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"


def member(data: Mapping[str, Any], name: str | None) -> str | None:
    """A member as text; None where it is empty or not there."""
    value = data.get(name) if name is not None else None
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def columns(declared: StreamManifest | None) -> list[str]:
    """The members that a table shows beside title, author and time: the first plain ones of the schema."""
    if declared is None:
        return []
    reading = declared.reading
    shown = {reading.title, reading.author, reading.text, reading.html, declared.own_time_field}
    plain = [name for name, schema in declared.schema_.get("properties", {}).items() if _is_plain(schema)]
    return [name for name in plain if name not in shown][:_COLUMNS]


def passage(data: Mapping[str, Any], words: str, declared: StreamManifest | None = None) -> tuple[str, str, str] | None:
    """The first passage that holds one of the words that were looked for; of HTML the text."""
    if declared is not None and isinstance(html := data.get(declared.reading.html or ""), str):
        data = {**data, declared.reading.html or "": shown_text(html)}
    asked = [re.escape(word) for word in re.findall(r"\w+", words) if word not in ("OR", "or")]
    pattern = re.compile(rf"\b(?:{'|'.join(asked)})\b", re.IGNORECASE) if asked else None
    for text in _texts(data) if pattern else ():
        if found := pattern and pattern.search(text):
            before, after = text[: found.start()], text[found.end() :]
            return _end_of(before), found[0], _end_of(after[::-1])[::-1]
    return None


def _end_of(text: str) -> str:
    """The end of a text, from a whole word on, with dots for what is left out."""
    cut = text[-_AROUND:]
    return text if cut == text else f"…{cut[cut.find(' ') :]}" if " " in cut else f"…{cut}"


def shown_text(html: str) -> str:
    """The text of a page on one line, without tags, comments, scripts and styles."""
    parts, at, hidden = list[str](), 0, ""
    for tag in _TAG.finditer(html):
        if not hidden:
            parts.append(html[at : tag.start()])
        name, at = (tag[1] or "").lower(), tag.end()
        if hidden and name == f"/{hidden}":
            hidden = ""
        elif not hidden and name in _HIDDEN:
            hidden = name
    parts.append("" if hidden else html[at:])
    return " ".join(unescape(" ".join(parts)).split())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _is_plain(schema: Any) -> bool:
    kinds = schema.get("type") if isinstance(schema, dict) else None
    named = kinds if isinstance(kinds, list) else [kinds]
    return bool(_SCALARS.intersection(one for one in named if isinstance(one, str)))
