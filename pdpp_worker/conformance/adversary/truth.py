"""The comparison of what is held with what the provider has."""

from __future__ import annotations

from collections.abc import Sequence

from pdpp_worker.conformance.account import LivingAccount, RecordGroup
from pdpp_worker.conformance.case import stored_key, wanted
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect
from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.conformance.names import difference, plural, some
from pdpp_worker.protocol.messages import Record
from pdpp_worker.protocol.scope import scope_key
from pdpp_worker.store.values import exact_json

LEAST_STATE = 4_000
"""Bytes of cursors that are never too many."""


def faults_of(ledger: Ledger, fresh: Ledger, account: LivingAccount) -> list[str]:
    """A phrase for each way in which the ledger is not what the provider has; `fresh` was read by an honest run."""
    truth, kept = wanted(account.expected_records()), wanted(account.may_be_held())
    found = [*_keys(ledger, truth, kept), *_content(ledger, fresh), *_gaps(ledger), *_state(ledger, fresh)]
    if ledger.deletions.doubts:
        found.append(f"in doubt for ever: {some(ledger.deletions.doubts)}")
    return found


def _keys(ledger: Ledger, truth: dict[str, set[str]], kept: dict[str, set[str]]) -> list[str]:
    held, found = ledger.held(), []
    for stream, keys in truth.items():
        got = set(held.get(stream, ()))
        deleted = ledger.deleted(stream)
        if gone := (keys - got) & deleted:
            found.append(f"deleted in stream {stream!r} although the provider has it: {some(gone)}")
        if lost := keys - got - deleted:
            found.append(f"{plural(len(lost), 'record')} of stream {stream!r} never read: {some(lost)}")
        if extra := got - keys - kept.get(stream, set()):
            found.append(f"held in stream {stream!r} although the provider does not have it: {some(extra)}")
    return found


def _content(ledger: Ledger, fresh: Ledger) -> list[str]:
    held, right = ledger.held(), fresh.held()
    common = {stream: held.get(stream, {}).keys() & rows.keys() for stream, rows in right.items()}
    phrase = difference(
        {stream: {key: right[stream][key] for key in keys} for stream, keys in common.items()},
        {stream: {key: held[stream][key] for key in keys} for stream, keys in common.items()},
    )
    return [] if phrase is None else [phrase]


def _gaps(ledger: Ledger) -> list[str]:
    return [
        f"a gap that nothing closes in stream {gap.miss.stream!r}, {scope_key(gap.miss.scope)} ({gap.miss.reason})"
        for gap in ledger.gaps.values()
    ]


def _state(ledger: Ledger, fresh: Ledger) -> list[str]:
    size, usual = len(exact_json(ledger.cursors)), len(exact_json(fresh.cursors))
    text = sum(len(exact_json(rows)) for rows in ledger.held().values())
    if size > max(LEAST_STATE, 3 * usual):
        return [f"STATE of {size:,} bytes, where a fresh collection has {usual:,}"]
    if size > max(LEAST_STATE, text // 2):
        return [f"STATE of {size:,} bytes for records of {text:,}"]
    return []


def misfit(fresh: Ledger, expected: Sequence[RecordGroup]) -> str | None:
    """The phrase in which an honest collection and the account's own word differ."""
    held, truth = fresh.held(), wanted(expected)
    for stream, keys in truth.items():
        if keys != set(held.get(stream, ())):
            return f"stream {stream!r}: {some(keys ^ set(held.get(stream, ())))}"
    return None


def require_no_word(attempt: Attempt, account: LivingAccount) -> None:
    """Refuse deletions as stated by the provider of what it has, in a run in which nothing was deleted there.

    Raises:
        Defect: naming them.
    """
    truth = wanted(account.expected_records())
    for message in attempt.messages:
        if not isinstance(message, Record) or message.op != "delete" or message.ground == "absent":
            continue
        key = stored_key(message.key if isinstance(message.key, str) else tuple(map(str, message.key)))
        if key in truth.get(message.stream, ()):
            raise Defect(f"it deletes {key} of stream {message.stream!r} by its own word; the provider never said so")
