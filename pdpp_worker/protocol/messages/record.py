"""RECORD, which nearly all messages are: its objects cost next to nothing where they are as they should be.

`RecordForm` has the rules, and says what is wrong. `Record` takes without asking what its form would pass unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any, Literal

from msgspec import DecodeError, Struct, json, structs
from msgspec import ValidationError as NotTyped
from pydantic import StrictBool, TypeAdapter, ValidationError, model_validator

from pdpp_worker.protocol.messages.field_types import LONGEST_NAME, BaseMessage, Key, Moment, Name

Op = Literal["upsert", "delete"]
Ground = Literal["stated", "absent"]


class RecordForm(BaseMessage):
    """RECORD: one record of a stream. `partial` merges the given fields over what is stored.

    `ground` says why a record is deleted: *stated*, the provider names it as deleted; *absent*, it was not in a listing
    that was walked whole.
    """

    type: Literal["RECORD"] = "RECORD"
    stream: Name
    key: Key
    data: dict[str, Any]
    emitted_at: Moment
    op: Op = "upsert"
    partial: StrictBool = False
    ground: Ground = "stated"

    @model_validator(mode="after")
    def _ground_of_a_deletion(self) -> RecordForm:
        if self.ground == "absent" and self.op != "delete":
            raise ValueError("ground 'absent' is the ground of a deletion; this op is upsert")
        return self


class Record(Struct, frozen=True, kw_only=True):
    """RECORD: one record of a stream. `partial` merges the given fields over what is stored.

    `ground` says why a record is deleted. *stated*: the provider names it as deleted, so it is deleted at once.
    *absent*: it was not in a listing that was walked whole, so it is deleted when another walk says the same.

    Raises:
        pydantic.ValidationError: a field is of another kind.
    """

    stream: str
    key: str | list[str]
    data: dict[str, Any]
    emitted_at: datetime
    op: Op = "upsert"
    partial: bool = False
    ground: Ground = "stated"
    type: Literal["RECORD"] = "RECORD"

    def __post_init__(self) -> None:
        """Take plain fields as they are, and others as their form reads them."""
        if not self._is_plain():
            form = RecordForm.model_validate(self.model_dump())
            for name in RecordForm.model_fields:
                structs.force_setattr(self, name, getattr(form, name))

    def model_dump(self) -> dict[str, Any]:
        """The fields by their names, as of every message."""
        return structs.asdict(self)

    def model_copy(self, *, update: Mapping[str, Any]) -> Record:
        """The same record with some fields changed, as of every message."""
        return structs.replace(self, **update)

    def _is_plain(self) -> bool:
        stream, key, at = self.stream, self.key, self.emitted_at
        return (
            type(stream) is str
            and 0 < len(stream) <= LONGEST_NAME
            and stream.isascii()
            and (type(key) is str or (type(key) is list and all(type(part) is str for part in key)))
            and len(key) > 0
            and type(self.data) is dict
            and type(at) is datetime
            and at.tzinfo is not None
            and MINYEAR < at.year < MAXYEAR
            and type(self.partial) is bool
            and (self.op == "upsert" or self.op == "delete")
            and (self.ground == "stated" or (self.ground == "absent" and self.op == "delete"))
            and self.type == "RECORD"
        )


class LongRecord(Record, frozen=True, kw_only=True):
    """A RECORD whose line was too long to be read: everything but its data is known."""

    line_bytes: int


class EncodedRecord(Record, frozen=True, kw_only=True, array_like=True):
    """A RECORD that was checked and encoded where it was made, in a process beside the worker's: its data stayed there.

    The fields of its own are of the row that is stored; `exact` is what the digest is of, where that is not the text.
    """

    text: bytes
    raw: bytes | None
    exact: bytes | None
    version: float | None
    digits: str | None


WrittenRecord = tuple[bytes, bytes | None, bytes | None, float | None, str | None]
"""The fields that an `EncodedRecord` has besides those of a record, from `text` on."""


class _Line(Struct):
    """The members of a line, each of the type that most have."""

    type: Literal["RECORD"]
    stream: str
    key: str | list[str]
    data: dict[str, Any]
    emitted_at: str
    op: Op = "upsert"
    partial: bool = False
    ground: Ground = "stated"


_read_line = json.Decoder(_Line).decode
_read_moment = TypeAdapter(Moment).validator.validate_python


def read_plain_record(raw: bytes) -> Record | None:
    """The record in a line of JSON whose numbers are no longer than a float holds; None where that is not certain."""
    try:
        line = _read_line(raw)
        return Record(
            stream=line.stream,
            key=line.key,
            data=line.data,
            emitted_at=_read_moment(line.emitted_at),
            op=line.op,
            partial=line.partial,
            ground=line.ground,
        )
    except (NotTyped, DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
        return None
