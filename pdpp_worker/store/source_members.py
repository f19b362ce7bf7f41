"""The members of a connection's source, part by part, as its connector named them last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, text

from pdpp_worker.protocol.messages import SourceMember
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.tables import source_members
from pdpp_worker.store.values import storable

_DROP_PARTS = text("""
    DELETE FROM source_members WHERE connection_id = :connection_id
        AND (part = ANY(CAST(:parts AS text[])) OR (:is_whole AND run_id <> :run_id))
""")
# A connector that named nothing says nothing about what is no longer there.
_DROP_UNNAMED = text("""
    DELETE FROM source_members WHERE connection_id = :connection_id AND run_id <> :run_id
        AND EXISTS (SELECT FROM source_members WHERE connection_id = :connection_id AND run_id = :run_id)
""")


def replace_parts(
    connection: Connection,
    claim: Claim,
    version: str,
    parts: Mapping[str, Sequence[SourceMember]],
    *,
    is_whole: bool = False,
) -> None:
    """Put these members in place of all that was said of their parts; `version` is the connector's.

    `is_whole`: the run has seen all of the source, so parts that it did not name are dropped.
    """
    if not parts:
        if is_whole:
            drop_unnamed(connection, claim)
        return
    named = {storable(part): members for part, members in parts.items()}
    values = {"connection_id": claim.connection_id, "run_id": claim.run_id, "parts": sorted(named)}
    connection.execute(_DROP_PARTS, {**values, "is_whole": is_whole and any(named.values())})
    rows = [
        {
            "connection_id": claim.connection_id,
            "part": part,
            "position": position,
            "run_id": claim.run_id,
            "version": version,
            **storable(member.model_dump()),
        }
        for part, members in named.items()
        for position, member in enumerate(members)
    ]
    if rows:
        connection.execute(insert(source_members), rows)
    elif is_whole:
        drop_unnamed(connection, claim)


def drop_unnamed(connection: Connection, claim: Claim) -> None:
    """Drop the parts that a walk of the whole source did not name, if it named any."""
    connection.execute(_DROP_UNNAMED, {"connection_id": claim.connection_id, "run_id": claim.run_id})
