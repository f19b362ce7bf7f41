"""Which of a batch's records can prove anything: nearly all of them are about nothing that is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, text

from pdpp_worker.store.batch import Claim
from pdpp_worker.store.effects import Effect, KeyProven

# Never those that this run reported: no record of it closes them.
_MISSING = text("""
    SELECT stream, coalesce(exact_scope, CAST(scope AS text)) AS scope FROM gaps
    WHERE connection_id = :connection_id AND stream = ANY(CAST(:streams AS text[])) AND closed_at IS NULL
        AND last_run_id <> :run_id
    LIMIT :most
""")


def without_idle_proofs(connection: Connection, claim: Claim, effects: Sequence[Effect]) -> Sequence[Effect]:
    """The effects without proofs about resources of which nothing was missing before the batch.

    Where more is missing than there are proofs, each of them is looked up by itself, and all are left.
    """
    proofs = [one for one in effects if type(one) is KeyProven]
    if not proofs:
        return effects
    streams = sorted({one.stream for one in proofs})
    values = {"connection_id": claim.connection_id, "run_id": claim.run_id, "streams": streams}
    rows = connection.execute(_MISSING, {**values, "most": len(proofs) + 1}).all()
    if len(rows) > len(proofs):
        return effects
    missing = {(row.stream, json.loads(row.scope).get("resource_id")) for row in rows}
    return [one for one in effects if type(one) is not KeyProven or (one.stream, one.resource) in missing]
