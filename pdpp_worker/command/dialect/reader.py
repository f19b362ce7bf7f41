"""Reads a command's lines: what each is in the runtime's own messages, or what refusing it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pdpp_worker.command.dialect.coverage_form import read_coverage
from pdpp_worker.command.dialect.done_form import read_done
from pdpp_worker.command.dialect.forms import Facts, Item, RefusedError
from pdpp_worker.command.dialect.gap_forms import read_attempted, read_gap, read_page_request, read_recovered
from pdpp_worker.command.dialect.inventory_form import read_inventory
from pdpp_worker.command.dialect.owner_forms import (
    read_assistance,
    read_assistance_status,
    read_interaction,
    read_progress,
)
from pdpp_worker.command.dialect.record_forms import check_key, read_record, read_state, readable_key
from pdpp_worker.command.dialect.skip_form import read_skip
from pdpp_worker.command.outline import Outline
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.foreign import Refused, UnreadRecord
from pdpp_worker.protocol.messages import Record, parse_message
from pdpp_worker.protocol.numbers import any_int, exact_float
from pdpp_worker.protocol.refusal_cost import Costs

_TYPE = re.compile(r"line|message|[A-Z][A-Z_]{0,63}")
_TOO_DEEP = "it is nested too deeply to be read"

Reader = Callable[[Mapping[str, Any], Facts], Iterator[Item]]

READERS: Mapping[str, Reader] = {
    "RECORD": read_record,
    "STATE": read_state,
    "SKIP_RESULT": read_skip,
    "DETAIL_GAP": read_gap,
    "DETAIL_GAP_ATTEMPTED": read_attempted,
    "DETAIL_GAP_RECOVERED": read_recovered,
    "DETAIL_GAPS_PAGE_REQUEST": read_page_request,
    "DETAIL_COVERAGE": read_coverage,
    "INVENTORY": read_inventory,
    "PROGRESS": read_progress,
    "INTERACTION": read_interaction,
    "ASSISTANCE": read_assistance,
    "ASSISTANCE_STATUS": read_assistance_status,
}


class DialectReader:
    """Reads the lines of one run."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._costs = Costs(facts.manifest, facts.in_scope)
        self._keys = {one.name: one.primary_key for one in facts.manifest.streams if one.primary_key}
        self.emitted = 0
        """RECORDs that came, refused ones included."""
        self._lost_lines = 0

    def read(self, line: bytes) -> Iterator[Item]:
        """The items of a line.

        Raises:
            ProtocolViolation: it is a DONE that cannot be.
        """
        if b'"RECORD"' in line and (record := self._plain_record(line)) is not None:
            yield record
            return
        try:
            fields = _fields(line)
        except RecursionError:
            yield from self._read_deep(line)
            return
        if fields is None:
            self._lost_lines += 1
            yield self._refuse("line", {}, RefusedError("line", "the line is no JSON object"))
            return
        yield from self._read(fields)

    def _read_deep(self, line: bytes) -> Iterator[Item]:
        """The items of a line that is nested too deeply, by those of its members that are not."""
        outline = Outline()
        outline.feed(line)
        fields, stream = outline.members, outline.members.get("stream")
        if fields.get("type") == "RECORD" and stream in self._facts.in_scope:
            self.emitted += 1
            raw = line.decode(errors="replace")
            yield UnreadRecord(stream=stream, key=readable_key(fields), field="data", why=_TOO_DEEP, raw=raw)
        elif fields.get("type") == "STATE":
            yield self._refuse("STATE", fields, RefusedError("cursor", _TOO_DEEP))
        else:
            yield from self._read(fields)

    def read_long(self, line: Outline, limit: int) -> Iterator[Item]:
        """The item of a line of more than `limit` bytes, by its short members."""
        kind = line.members.get("type")
        self.emitted += kind == "RECORD"
        try:
            yield line.message(limit)
        except ProtocolViolation as error:
            known = kind if isinstance(kind, str) else "RECORD"
            yield self._refuse(known, line.members, RefusedError("line", str(error)))

    def _plain_record(self, line: bytes) -> Item | None:
        """Most lines are records as they should be, which is found out the quick way."""
        try:
            record = parse_message(line)
        except ProtocolViolation:
            return None
        if not isinstance(record, Record):
            return None
        self.emitted += 1
        return self._checked(record)

    def _checked(self, record: Record) -> Item:
        primary_key = self._keys.get(record.stream)
        if primary_key is None or record.stream not in self._facts.in_scope:
            return record
        if (why := check_key(record, primary_key)) is None:
            return record
        name = record.key if isinstance(record.key, str) else json.dumps(record.key)
        return UnreadRecord(stream=record.stream, key=name, field="key", why=why, raw=record.data)

    def _read(self, fields: Mapping[str, Any]) -> Iterator[Item]:
        kind = fields.get("type")
        self.emitted += kind == "RECORD"
        if kind == "DONE":
            yield from self._done(fields)
            return
        name = kind if isinstance(kind, str) else "message"
        reader = READERS.get(name)
        if reader is None:
            yield self._refuse(name, fields, RefusedError("type", "the profile has no message of this type"))
            return
        try:
            for item in reader(fields, self._facts):
                yield self._checked(item) if isinstance(item, Record) else item
        except RefusedError as error:
            yield self._refuse(name, fields, error)

    def _done(self, fields: Mapping[str, Any]) -> Iterator[Item]:
        done = read_done(fields, self.emitted, self._lost_lines)
        if self._lost_lines and fields.get("records_emitted") is None:
            # Without a count nothing shows whether a line that could not be read was a record.
            yield self._costs.of("RECORD", {"stream": 0}, "line", "a line could not be read, and DONE counts nothing")
        yield done

    def _refuse(self, kind: str, fields: Mapping[str, Any], error: RefusedError) -> Refused:
        return self._costs.of(kind if _TYPE.fullmatch(kind) else "unknown", fields, error.field, str(error))


def _fields(line: bytes) -> dict[str, Any] | None:
    """The object in a line, with every digit of its numbers; None where there is none.

    Raises:
        RecursionError: it is nested too deeply.
    """
    try:
        found = json.loads(line, parse_float=exact_float, parse_int=any_int)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
