"""One message of the table of leniency among a command's own: judged as the table says, it costs nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pdpp_worker.conformance.attempt import Disruption
from pdpp_worker.conformance.case import Case, is_foreign, stored_key
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.inserted import Insertion
from pdpp_worker.conformance.ledger import Held
from pdpp_worker.conformance.names import difference
from pdpp_worker.protocol.messages import Record

Fields = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A message that the profile's runtimes meet, made from a record that the connector sent itself."""

    title: str
    is_taken: bool
    line: Callable[[Fields], Any]
    """From that record to the line's value; text stands for itself."""
    replaces: bool = False
    """It comes in the place of the record, which is then lost with it."""


def _without(*names: str) -> Callable[[Fields], Fields]:
    return lambda record: {name: value for name, value in record.items() if name not in names}


def _about(kind: str, **fields: Any) -> Callable[[Fields], Fields]:
    """A message about the record's stream."""
    return lambda record: {"type": kind, "stream": record["stream"], **fields}


def _gap(record: Fields) -> Fields:
    return {"type": "DETAIL_GAP", "stream": record["stream"], "record_key": record["key"]}


_QUESTION = {"type": "DETAIL_GAPS_PAGE_REQUEST", "request_id": "p-1", "reference_only": True}

ROWS = (
    Row("a time without a zone", True, lambda record: {**record, "emitted_at": record["emitted_at"][:19]}),
    Row("a skip without scope, hint and kind", True, _about("SKIP_RESULT", reason="closed_today")),
    Row("a skip that retained its record", True, _about("SKIP_RESULT", reason="odd", diagnostics={"retained": True})),
    Row("a gap without a reason", True, _gap),
    Row("progress in fractions", True, _about("PROGRESS", count=0.5, total=1)),
    Row("a question for more gaps", True, lambda _: _QUESTION),
    Row("a record without a key", False, _without("key"), replaces=True),
    Row("a record without a time", False, _without("emitted_at"), replaces=True),
    Row("a record without data", False, _without("data"), replaces=True),
    Row("a record of an unknown stream", False, lambda record: {**record, "stream": "no such stream"}),
    Row("a cursor of an unknown stream", False, lambda _: {"type": "STATE", "stream": "no such stream", "cursor": {}}),
    Row("a gap closed that was not handed over", False, _about("DETAIL_GAP_RECOVERED", gap_id="none")),
    Row("coverage without reference_only", False, _about("DETAIL_COVERAGE", required_keys=[], hydrated_keys=[])),
    Row("an empty hint", False, _about("SKIP_RESULT", reason="stream_collection_failed", recovery_hint={})),
    Row("an unknown type", False, _about("LETTER_SEEN"), replaces=True),
    Row("a line that is no JSON", False, lambda _: '{"type": "RECORD", '),
)


def check_leniency(case: Case) -> str:
    """Whether each is judged as the table says, and a record that is lost with it comes back or is named by a gap."""
    if not is_foreign(case.manifest):
        raise NotChecked("The connector makes its messages from our own types, which refuse a wrong one at once.")
    attempt, ledger = case.after_plain()
    records = [one for one in attempt.messages if isinstance(one, Record) and one.op == "upsert"]
    if not records:
        raise NotChecked("The connector sends no record that a wrong message could be made from.")
    sample = _fields(records[0])
    for row in ROWS:
        _try(case, row, sample, ledger.held())
    taken = sum(row.is_taken for row in ROWS)
    return f"{taken} messages taken by their defaults, {len(ROWS) - taken} refused; each cost nothing else"


def _try(case: Case, row: Row, sample: Fields, whole: Held) -> None:
    made = row.line(sample)
    line = made.encode() if isinstance(made, str) else json.dumps(made).encode()
    ledger = case.runner.ledger()
    insertion = Insertion(case.manifest, line, replaces=row.replaces)
    attempt = case.runner.run(ledger, disruption=Disruption(insertion=insertion))
    if bool(attempt.refusals) is row.is_taken:
        raise Defect(f"{row.title} is {'refused: ' + attempt.refusals[0] if row.is_taken else 'taken'}")
    case.heal(ledger)
    held = ledger.held()
    if any(gap.miss.stream == sample["stream"] for gap in ledger.gaps.values()):
        whole, held = _less(whole, sample), _less(held, sample)
    if phrase := difference(whole, held):
        raise Defect(f"after {row.title}, later runs do not hold the same: {phrase}")


def _less(held: Held, sample: Fields) -> Held:
    """The records but for that one, which a gap may speak of."""
    key = stored_key(sample["key"])
    return {
        stream: {name: data for name, data in records.items() if (stream, name) != (sample["stream"], key)}
        for stream, records in held.items()
    }


def _fields(record: Record) -> Fields:
    """The record as a line has it."""
    key = list(record.key) if isinstance(record.key, tuple) else record.key
    return {
        "type": "RECORD",
        "stream": record.stream,
        "key": key,
        "data": record.data,
        "emitted_at": record.emitted_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
