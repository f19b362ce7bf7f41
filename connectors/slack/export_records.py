"""Records out of the facts of an export, and the gaps about what an export lacks."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.slack.export_parts import Fact
from connectors.slack.fields import text
from connectors.slack.refresh import partition
from connectors.slack.rows import message_id
from connectors.slack.small_rows import is_gone
from connectors.slack.streams import MEMBERSHIPS, MESSAGES, RecordFactory
from pdpp_worker.connector import BatchScope, Reason, Record, SkipResult, skip
from pdpp_worker.connector.json_fields import array, tables

MEMBER = "export_member"
"""The key of a gap's partition that names a file of an export."""


class ExportRecords:
    """Makes records of facts."""

    def __init__(self, factory: RecordFactory, *, alone: bool) -> None:
        self._factory = factory
        self._alone = alone
        self.day = ""
        """The day (YYYY-MM-DD) on which the export was made."""

    def of(self, fact: Fact) -> Iterator[Record]:
        """The records of one fact; those of streams that are asked for."""
        raw, factory = fact.raw, self._factory
        if fact.kind == "message":
            yield from factory.message(fact.channel, raw["ts"], raw, fact.before)
            for one in tables(raw.get("files")):
                if not is_gone(one):
                    yield from factory.file(one)
        elif fact.kind == "found":
            yield from factory.found(fact.channel, raw["ts"], raw)
        elif fact.kind == "deleted":
            yield from factory.deleted(MESSAGES, [message_id(fact.channel, raw["ts"])])
        elif fact.kind == "channel":
            yield from factory.channel({"num_members": len(array(raw.get("members"))), **raw}, self.day)
        elif fact.kind == "member" and self._alone and MEMBERSHIPS in factory.wanted:
            yield factory.membership(fact.channel, raw["id"])
        elif fact.kind in ("user", "file", "workspace"):
            yield from {"user": factory.user, "file": factory.file, "workspace": factory.workspace}[fact.kind](raw)


def export_gap(stream: str, name: str, reason: Reason, why: str) -> SkipResult:
    """A file of an export of which something cannot be read."""
    return skip(stream, reason, BatchScope(partition={MEMBER: name}), why)


def missing_gap(fact: Fact) -> SkipResult:
    """A channel or thread that an export does not hold whole."""
    why = text(fact.raw.get("why")) or ""
    return skip(MESSAGES, Reason.SOURCE_PARTITION_FAILED, BatchScope(partition=partition(fact.channel)), why)
