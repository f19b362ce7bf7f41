"""The files that a message names: what its owner uploaded, and what the platform made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

from connectors.chatgpt.fields import identity, iso
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector.json_fields import rest_of, table, tables, text

Row = dict[str, Any]
Held = Callable[[str], Row]
"""From a file's id to the fields `path` and `sha256` of its bytes, where they are on disk."""

_POINTER = re.compile(r"(?:file-service|sediment)://(?:[^#?]*/)?([^/#?]+)")
_ATTACHMENT = frozenset({"id", "name", "mime_type", "mimeType", "size", "width", "height"})
_ASSET = frozenset({"asset_pointer", "size_bytes", "width", "height", "mime_type"})


def files(key: str, detail: Conversation, held: Held) -> Iterator[Row]:
    """One row for every file of every message; a file that several messages name has a row for each."""
    for name, node in detail.messages():
        body = table(node["message"])
        for found in _of_message(body).values():
            origin = "uploaded" if table(body.get("author")).get("role") == "user" else "generated"
            place = {"conversation_id": key, "message_id": name, "created_at": iso(body.get("create_time"))}
            yield _EMPTY | found | place | {"origin": origin} | held(found["id"])


_EMPTY: Row = dict.fromkeys(("name", "mime_type", "size_bytes", "width", "height", "prompt", "path", "sha256", "extra"))


def _of_message(body: Row) -> dict[str, Row]:
    """The files by their ids: one that is both attached and shown is told once."""
    metadata = table(body.get("metadata"))
    rows: list[Row | None] = [_asset(one) for one in _assets(body.get("content"))]
    if "attachments" in metadata or "aggregate_result" in metadata:
        attached = map(_attachment, tables(metadata.get("attachments")))
        made = map(_picture, _pictures(metadata.get("aggregate_result")))
        rows = [*attached, *rows, *made]
    found: dict[str, Row] = {}
    for row in rows:
        if row is not None:
            known = found.get(row["id"], {})
            extra = {**(known.get("extra") or {}), **(row["extra"] or {})} or None
            told = {name: value for name, value in row.items() if value is not None}
            found[row["id"]] = {**told, **known, "extra": extra}
    return found


def _attachment(item: Row) -> Row | None:
    key = identity(item.get("id"))
    if key is None:
        return None
    return {
        "id": key,
        "name": text(item.get("name")),
        "mime_type": text(item.get("mime_type")) or text(item.get("mimeType")),
        **_sizes(item, "size"),
        "extra": rest_of(item, _ATTACHMENT) or None,
    }


def _asset(item: Row) -> Row | None:
    made = table(item.get("metadata"))
    prompt = text(table(made.get("dalle")).get("prompt")) or text(table(made.get("generation")).get("prompt"))
    return {
        "id": _id_of(item["asset_pointer"]),
        "mime_type": text(item.get("mime_type")),
        **_sizes(item, "size_bytes"),
        "prompt": prompt,
        "extra": rest_of(item, _ASSET) or None,
    }


def _picture(address: str) -> Row | None:
    return {"id": _id_of(address), "extra": None}


def _sizes(item: Row, size: str) -> Row:
    names = {"size_bytes": size, "width": "width", "height": "height"}
    told = {name: item.get(given) for name, given in names.items()}
    return {name: value if isinstance(value, int) and value >= 0 else None for name, value in told.items()}


def _assets(content: Any) -> Iterator[Row]:
    """The objects with a pointer to a file, wherever in the content they are."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("asset_pointer"), str):
                yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


def _pictures(result: Any) -> Iterator[str]:
    """The addresses of pictures that a program drew."""
    for message in tables(table(result).get("messages")):
        address = message.get("image_url")
        if isinstance(address, str) and _POINTER.match(address):
            yield address


def _id_of(pointer: str) -> str:
    """The id in a pointer; a short form of a pointer that holds none."""
    found = _POINTER.match(pointer)
    return identity(found[1] if found else pointer) or blake2b(pointer.encode(), digest_size=16).hexdigest()
