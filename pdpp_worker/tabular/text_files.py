"""Records as lines of a file: JSON lines, which are exact, and CSV."""

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
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""Beginnings by which spreadsheets know a formula, in full width too."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_SURROGATES = re.compile(
    r"((?:\\\\)+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escaped backslash or a whole pair, which stay; else an escape of half a pair."""
Writer = Callable[[TextIO, Iterable[ExportedRecord], Sequence[str]], int]
"""Writes records with these fields, and returns how many there were."""

_OWN = ("key", "emitted_at", "deleted_at", "other_fields")


def write_jsonl(out: TextIO, records: Iterable[ExportedRecord], _fields: Sequence[str]) -> int:
    """One JSON object a line: `key`, `emitted_at`, `deleted_at` and, exactly as it came in, `data`."""
    return _write_lines(out, records, lambda json_text: json_text)


def write_readable_jsonl(out: TextIO, records: Iterable[ExportedRecord], _fields: Sequence[str]) -> int:
    """The same for readers that refuse half a surrogate pair, such as jq: U+FFFD stands in its place."""
    return _write_lines(out, records, _without_lone_surrogates)


def _write_lines(out: TextIO, records: Iterable[ExportedRecord], shown: Callable[[str], str]) -> int:
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007 - counted, also when there are none
        head = {
            "key": record.key,
            "emitted_at": record.emitted_at.isoformat(),
            "deleted_at": record.deleted_at.isoformat() if record.deleted_at else None,
        }
        line = f'{json.dumps(head)[:-1]}, "data": {record.json.translate(_SEPARATORS)}}}'
        out.write(f"{shown(line)}\n")
    return count


def write_csv(out: TextIO, records: Iterable[ExportedRecord], fields: Sequence[str]) -> int:
    """A column for each field of the manifest; whatever else a record holds is JSON in `other_fields`.

    Text stands as it is, everything else as JSON; what is absent is empty. Characters that files of text cannot hold
    stand as JSON escapes.
    """
    return _write_rows(out, records, fields, lambda cell: cell)


def write_safe_csv(out: TextIO, records: Iterable[ExportedRecord], fields: Sequence[str]) -> int:
    """The same for a spreadsheet: an apostrophe stands before each cell that it would take for a formula."""
    return _write_rows(out, records, fields, _inert)


def _write_rows(
    out: TextIO, records: Iterable[ExportedRecord], fields: Sequence[str], shown: Callable[[str], str]
) -> int:
    writer = csv.writer(out)
    own_key, *own_rest = _OWN
    names = [own_key, *(f"data.{name}" if name in _OWN else name for name in fields), *own_rest]
    writer.writerow(map(shown, names))
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007 - counted, also when there are none
        data: dict[str, Any] = json.loads(record.json)
        cells = [_escaped(record.key), *(_cell(data, name) for name in fields), *_rest(record, data, fields)]
        writer.writerow(map(shown, cells))
    return count


def _without_lone_surrogates(line: str) -> str:
    """JSON text in which each escape of a surrogate without its other half is one of U+FFFD."""
    return _SURROGATES.sub(lambda match: match[1] or "\\ufffd", line)


def _inert(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


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
