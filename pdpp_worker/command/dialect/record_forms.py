"""RECORD and STATE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from pdpp_worker.command.dialect.forms import Facts, Form, Item, RefusedError, StreamName, Time, key_text, read_form
from pdpp_worker.protocol.foreign import UnreadRecord
from pdpp_worker.protocol.keys import whole_name
from pdpp_worker.protocol.messages import Record, State
from pdpp_worker.protocol.scope import TimeRange

Part = StrictStr | StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A key or a part of one; the infinities would all be one key."""

_SCALAR = (str, int, float, Decimal)


class RecordForm(Form):
    """RECORD: one record of a stream."""

    stream: StreamName = Field(description="in scope")
    key: Part | list[Part] = Field(
        description="not empty; a number stands for its text; equals the primary key's value"
    )
    data: dict[str, Any] | None = Field(default=None, description="the record; a deletion may go without")
    emitted_at: Time = Field(description="ISO 8601; without a zone UTC")
    op: Literal["upsert", "delete"] = Field(default="upsert", description="what is to be done with it")
    partial: StrictBool = Field(default=False, description="ours: merges the given members over what is held")


class StateForm(Form):
    """STATE: the cursor of a stream; covers every record of it that came before. The last one counts."""

    stream: StreamName = Field(description="in scope; a child's commits with its parent's")
    cursor: Any = Field(default=None, description="an object without secrets; null or left out: no change")
    covered: TimeRange | None = Field(default=None, description="ours: a period that is walked whole with this")


def read_record(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The record; one of a stream in scope that cannot be read is kept as a rejection."""
    try:
        yield _record(fields)
    except RefusedError as error:
        stream = fields.get("stream")
        if not isinstance(stream, str) or stream not in facts.in_scope:
            raise
        yield UnreadRecord(stream=stream, key=readable_key(fields), field=error.field, why=str(error), raw=fields)


def check_key(record: Record, primary_key: list[str]) -> str | None:
    """Why a record's key is not that of its data; None where it is, or where its data do not tell."""
    told = [record.data.get(name) for name in primary_key]
    if not told or any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in told):
        return None
    parts = record.key if isinstance(record.key, list) else [record.key]
    wanted = [key_text(one) for one in told if isinstance(one, str | int | float)]
    return None if parts == wanted else "key: it is another than that of its data"


def read_state(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The cursor; nothing where it does not change."""
    form = read_form(StateForm, fields)
    if form.cursor is None:
        return
    if facts.manifest.connector_id is not None and not isinstance(form.cursor, dict):
        raise RefusedError("cursor", "cursor: it is no object")
    yield State(stream=form.stream, cursor=form.cursor, covered=form.covered)


def _record(fields: Mapping[str, Any]) -> Record:
    form = read_form(RecordForm, fields)
    if form.data is None and form.op != "delete":
        raise RefusedError("data", "data: it is missing")
    key = [key_text(part) for part in form.key] if isinstance(form.key, list) else key_text(form.key)
    if not key or (isinstance(key, list) and "" in key):
        raise RefusedError("key", "key: it is empty")
    return Record(
        stream=form.stream,
        key=key,
        data=form.data or {},
        emitted_at=form.emitted_at,
        op=form.op,
        partial=form.partial,
    )


def readable_key(fields: Mapping[str, Any]) -> str | None:
    """The key of a record that cannot be read, if that can."""
    key = fields.get("key")
    if isinstance(key, list) and key and all(isinstance(part, _SCALAR) for part in key):
        return whole_name([key_text(part) for part in key])
    return whole_name(key_text(key)) if isinstance(key, _SCALAR) and key not in ("", True, False) else None
