"""Reads a message from its JSON form, without losing a digit of its numbers."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages.record import Record, RecordForm, read_plain_record
from pdpp_worker.protocol.messages.sent import Message, Told
from pdpp_worker.protocol.numbers import exact_float, may_be_long

_FORM: TypeAdapter[RecordForm | Told] = TypeAdapter(Annotated[RecordForm | Told, Field(discriminator="type")])


def parse_message(raw: Any) -> Message:
    """Read one message from its JSON object (bytes, text or an already decoded dict).

    Raises:
        ProtocolViolation: naming the message type and the field that is wrong.
    """
    try:
        form = _read_json(raw) if isinstance(raw, str | bytes) else _FORM.validate_python(raw)
    except ValidationError as error:
        raise ProtocolViolation(describe(error)) from None
    return Record(**dict(form)) if isinstance(form, RecordForm) else form


def _read_json(raw: str | bytes) -> Record | RecordForm | Told:
    """Read JSON text with the fast reader; with the exact one where it fails or numbers may be long.

    The fast reader knows no lone surrogates and no deep nesting. A null stands for a field that is left out.
    """
    text = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
    try:
        if not may_be_long(text) or (decoded := _decode(text)) is None:
            return read_plain_record(text) or _FORM.validate_json(raw)
        return _FORM.validate_python(decoded)
    except ValidationError as error:
        if (decoded := _decode(text)) is None:
            raise error from None
    if isinstance(decoded, dict):
        decoded = {name: value for name, value in decoded.items() if value is not None or name == "cursor"}
    return _FORM.validate_python(decoded)


def _decode(raw: bytes) -> Any:
    """The JSON value with every digit of its numbers; None when it cannot be read."""
    try:
        return json.loads(raw, parse_float=exact_float)
    except (ValueError, RecursionError):
        return None


def describe(error: ValidationError) -> str:
    """One sentence about the first thing wrong with a message; never the message's own content."""
    first = error.errors(include_url=False, include_input=False)[0]
    # Where a field takes several forms, the place ends in pydantic's own name of the form, such as `constrained-str`.
    place = [str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        return f"unknown message type {first['ctx']['tag']}; expected one of {first['ctx']['expected_tags']}"
    if not place:
        return f"not a message: {text}"
    where = f"{place[0]}.{'.'.join(place[1:])}" if place[1:] else place[0]
    return f"{where}: {text}"
