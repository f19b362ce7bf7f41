"""Records as lines of a file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from pdpp_worker.store.views.record_views import ExportedRecord

_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Characters that JSON allows as they are, and at which many readers of lines end a line."""
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
Writer = Callable[[TextIO, Iterable[ExportedRecord], Sequence[str]], int]
"""Writes records with these fields, and returns how many there were."""

_OWN = ("key", "emitted_at", "deleted_at", "other_fields")


def write_jsonl(out: TextIO, records: Iterable[ExportedRecord], _fields: Sequence[str]) -> int:
    """One JSON object a line: `key`, `emitted_at`, `deleted_at` and, exactly as it came in, `data`."""
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007 - counted, also when there are none
        head = {
            "key": record.key,
            "emitted_at": record.emitted_at.isoformat(),
            "deleted_at": record.deleted_at.isoformat() if record.deleted_at else None,
        }
        out.write(f'{json.dumps(head)[:-1]}, "data": {record.json.translate(_SEPARATORS)}}}\n')
    return count


def write_csv(out: TextIO, records: Iterable[ExportedRecord], fields: Sequence[str]) -> int:
    """A column for each field of the manifest; whatever else a record holds is JSON in `other_fields`.

    Text stands as it is, everything else as JSON; what is absent is empty. Characters that files of text cannot hold
    stand as JSON escapes.
    """
    writer = csv.writer(out)
    own_key, *own_rest = _OWN
    writer.writerow([own_key, *(f"data.{name}" if name in _OWN else name for name in fields), *own_rest])
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007 - counted, also when there are none
        data: dict[str, Any] = json.loads(record.json)
        writer.writerow([_escaped(record.key), *(_cell(data, name) for name in fields), *_rest(record, data, fields)])
    return count


WRITERS: dict[str, Writer] = {"jsonl": write_jsonl, "csv": write_csv}


def _rest(record: ExportedRecord, data: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, str, str]:
    other = {name: value for name, value in data.items() if name not in fields}
    deleted = record.deleted_at.isoformat() if record.deleted_at else ""
    return record.emitted_at.isoformat(), deleted, json.dumps(other) if other else ""


def _cell(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    return _escaped(value) if isinstance(value, str) else json.dumps(value)


def _escaped(text: str) -> str:
    return _UNREADABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
