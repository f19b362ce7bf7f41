"""orjson and COPY: the conversations and messages of an export, read as a whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

import orjson

from bench.copy_documents import copy


def load(database_url: str, source: str) -> None:
    """Load every conversation and message."""
    copy(database_url, _rows(source))


def _rows(source: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        conversations = orjson.loads(archive.read("conversations.json"))
    for one in conversations:
        key, mapping = one["id"], one.pop("mapping")
        yield key, orjson.dumps(one)
        for name, node in mapping.items():
            if node["message"] is not None:
                yield f"{key}/{name}", orjson.dumps(node)
