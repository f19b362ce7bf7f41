"""The values of a record in the columns of its table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pdpp_worker.tabular.table_columns import Kind

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)


def cell(data: Mapping[str, Any], member: str, kind: Kind) -> Any:
    """A member's value in the type of its column; None: it is absent, null or does not fit."""
    value = data.get(member)
    return None if value is None else _READERS[kind](value)


def fitting(text: str) -> str:
    """Text with U+FFFD for what PostgreSQL and files of tables do not hold: NUL, and half a surrogate pair."""
    return _UNSTORABLE.sub("\ufffd", text)


def _text(value: Any) -> str:
    return fitting(value if isinstance(value, str) else json.dumps(value))


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if int(value) in _INT64 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _instant(value: Any) -> datetime | None:
    """ISO 8601; one without an offset is taken for UTC, as the database takes it."""
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _date(value: Any) -> date | None:
    found = _instant(value) if isinstance(value, str) else None
    return date.fromisoformat(value[:10]) if found else None


def _json(value: Any) -> str:
    return json.dumps(value)


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.INSTANT: _instant,
    Kind.DATE: _date,
    Kind.JSON: _json,
}
