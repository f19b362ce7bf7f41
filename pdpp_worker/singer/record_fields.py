"""Reads key, time and deletion of a record from a Singer RECORD."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

_DELETED = "_sdc_deleted_at"
"""The field in which taps that read a database's log say that a row is gone."""

_OWN = "_sdc_"
_OF_THE_RUN = frozenset(
    f"{_OWN}{name}"
    for name in (
        *("extracted_at", "received_at", "batched_at", "started_at", "sync_started_at", "synced_at", "loaded_at"),
        *("sequence", "table_version", "batch_id", "run_id", "sync_id"),
    )
)
"""Fields that tell of the tap's run and not of the row: with them every row would change in every run. Others that
begin alike may be data, such as the repository of a row."""


def without_run(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what the tap says of its own run."""
    return {name: value for name, value in row.items() if name not in _OF_THE_RUN}


def key_of(row: Mapping[str, Any], key_properties: Sequence[str], mixed: Collection[str] = ()) -> str | list[str]:
    """A row's key: its key properties as text. One without them goes by its content.

    `mixed`: key properties that hold numbers and texts, so that 1 and "1" have to be told apart.
    """
    parts = [row.get(name) for name in key_properties]
    if not parts or any(part is None for part in parts):
        return f"content:{_digest({name: value for name, value in row.items() if not name.startswith(_OWN)})}"
    texts = [_text(part, is_mixed=name in mixed) for name, part in zip(key_properties, parts, strict=True)]
    return texts[0] if len(texts) == 1 else texts


def mixed_properties(schema: Mapping[str, Any]) -> set[str]:
    """The properties of which a schema says that they hold numbers and texts."""
    properties = schema.get("properties")
    types = {name: _types(spec) for name, spec in properties.items()} if isinstance(properties, dict) else {}
    return {name for name, each in types.items() if "string" in each and each & {"integer", "number"}}


def is_deletion(row: Mapping[str, Any]) -> bool:
    """Whether the tap says that the row is gone at its source."""
    said = row.get(_DELETED)
    return bool(said.strip() if isinstance(said, str) else said)


def _types(spec: Any) -> set[str]:
    named = spec.get("type") if isinstance(spec, dict) else None
    return {named} if isinstance(named, str) else {one for one in named or () if isinstance(one, str)}


def _text(part: Any, *, is_mixed: bool) -> str:
    if not isinstance(part, str):
        return json.dumps(part, default=str, sort_keys=True)
    is_plain = part and not part.startswith('"') and not (is_mixed and _is_number(part))
    return part if is_plain else json.dumps(part)


def _is_number(text: str) -> bool:
    try:
        return isinstance(json.loads(text), int | float)
    except (ValueError, RecursionError):
        return False


def _digest(value: Any) -> str:
    text = json.dumps(value, default=str, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
