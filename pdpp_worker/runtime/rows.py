"""The way from a RECORD to the row that is stored, or to its rejection; pure."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema_rs

from pdpp_worker.protocol.messages import EncodedRecord, LongRecord, Record, WrittenRecord
from pdpp_worker.runtime.rules import place_among_versions, resource_of
from pdpp_worker.store import values
from pdpp_worker.store.batch import RecordRow, Rejection, row_of_fields


def row_of(record: Record, validator: jsonschema_rs.Validator, cursor_field: str | None) -> RecordRow:
    """Encode a record, unless it is encoded; errors as those of `write`."""
    if isinstance(record, EncodedRecord):
        text, raw, exact, version, digits = record.text, record.raw, record.exact, record.version, record.digits
    else:
        text, raw, exact, version, digits = write(record, validator, cursor_field)
    digest = values.digest_of(text if exact is None else exact)
    key, is_deleted = values.key_text(record.key), record.op != "upsert"
    is_absent = is_deleted and record.ground == "absent"
    return row_of_fields(
        (key, text, raw, digest, version, record.emitted_at, is_deleted, record.partial, digits, is_absent)
    )


def write(record: Record, validator: jsonschema_rs.Validator, cursor_field: str | None) -> WrittenRecord:
    """Check and encode a record's data.

    Raises:
        ValueError: it breaks the schema of its stream, or cannot be represented.
        RecursionError: it is nested too deeply.
    """
    if isinstance(record, LongRecord):
        raise values.NotRepresentableError(f"its line of {record.line_bytes} bytes is too long to be read")
    data = record.data
    text, raw, exact = values.write(data)
    if len(text) > values.LONG_TEXT:
        values.check_size(text)
    if record.op == "upsert" and not record.partial:
        # A schema speaks of what is stored, so awkward characters are replaced before it is asked.
        validator.validate(data if raw is None else json.loads(text))
    version, digits = (None, None) if cursor_field is None else place_among_versions(data.get(cursor_field))
    return text, raw, exact, version, digits


def write_apart(record: Record, validator: jsonschema_rs.Validator, cursor_field: str | None) -> WrittenRecord:
    """The same in a process beside the worker's, which makes the row of it; refuses all that the worker would."""
    values.key_text(record.key)
    return write(record, validator, cursor_field)


def rejection_of(record: Record, error: Exception, redact: Callable[[str], str]) -> Rejection:
    """The rejection of a record that `row_of` refused with `error`; its text is redacted, its payload is not."""
    raw = values.raw_form(record.data)
    key = values.storable(rejected_name(record)[: values.KEY_BYTES])
    return Rejection(record.stream, key, redact(why_rejected(error)), raw)


def rejected_name(record: Record) -> str:
    """The resource that the gap about a rejected record names."""
    return resource_of(record) if isinstance(record.key, str) else values.exact_json(record.key)


def why_rejected(error: Exception) -> str:
    """Why a record was rejected, without its content where a schema refused it."""
    if isinstance(error, jsonschema_rs.ValidationError):
        return f"{'.'.join(map(str, error.instance_path)) or 'record'} breaks the schema ({error.kind.name})"
    return f"cannot be represented: {error}"
