"""The members of sources, as their connectors named them last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class MemberView:
    """A list, mailbox, file, table or kind of message of a source, or several of one kind under one pattern."""

    part: str
    """The part of the source that it was named with."""
    kind: str
    name: str
    disposition: str
    """`collected`, `declared` (left out for `reason`) or `unknown` (to the version that named it)."""
    streams: list[str]
    """Streams that it goes into, or may belong to; an unknown one without them may belong to any."""
    count: int | None
    bytes: int | None
    reason: str | None
    version: str
    """The version of the connector that named it."""
    run_id: int
    seen_at: datetime


_MEMBERS = text("""
    SELECT * FROM source_members WHERE connection_id = ANY(:ids) AND (NOT :unknown OR disposition = 'unknown')
    ORDER BY connection_id, part, position
""")


def read(connection: Connection, ids: Sequence[int], *, unknown_only: bool = False) -> dict[int, list[MemberView]]:
    """The members of the sources of these connections, in the order in which they were named."""
    found: dict[int, list[MemberView]] = {one: [] for one in ids}
    for row in connection.execute(_MEMBERS, {"ids": list(ids), "unknown": unknown_only}).mappings():
        found[row["connection_id"]].append(build(MemberView, row))
    return found
