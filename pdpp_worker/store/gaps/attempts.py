"""The history of gaps: each try, as it ended, written by the statement that changes the gap.

A row is added and never changed. Of each gap the last `KEPT` are left.
"""

from __future__ import annotations

KEPT = 50
"""Rows of one gap. A whole stream that is missed at each walk has a try for each of them."""
_LONGEST_ERROR = 500


def noting(
    *,
    said: str = "NULL, NULL, NULL::timestamptz",
    number: str = "changed.attempts",
    joined: str = "",
    condition: str = "true",
) -> str:
    """The parts of a WITH that add a row for each gap that its part `changed` returns.

    `changed` has the columns id, attempts, status and next_attempt_at; the statement has the parameter `run_id`.
    `said`: reason, error and Retry-After of the try; NULL where its run said nothing of the gap. `number`: which try
    it is.
    """
    return f"""
    noted AS (
        INSERT INTO gap_attempts (gap_id, place, number, run_id, asked_by, connector_version, outcome, next_attempt_at,
            reason, error, retry_after)
        SELECT changed.id, coalesce((SELECT max(place) FROM gap_attempts WHERE gap_id = changed.id), 0) + 1, {number},
            :run_id, run.trigger, run.connector_version, changed.status, changed.next_attempt_at, {said}
        FROM changed {joined} LEFT JOIN runs AS run ON run.id = :run_id
        WHERE {condition}
        RETURNING gap_id, place
    ), forgotten AS (
        DELETE FROM gap_attempts AS old USING noted
        WHERE old.gap_id = noted.gap_id AND old.place = noted.place - {KEPT}
    )"""


# A run counts one try, however often it reports the gap; another reason is one more row of it.
REPORTED = noting(
    said=f"missed.reason, left(missed.last_error, {_LONGEST_ERROR}), missed.retry_after",
    joined="""JOIN missed ON missed.stream = changed.stream AND decode(missed.scope_hash, 'hex') = changed.scope_hash
        LEFT JOIN gaps AS before ON before.id = changed.id""",
    condition="before.tried_run_id IS DISTINCT FROM :run_id OR before.reason <> missed.reason",
)
UNRESOLVED = noting()
CLOSED = noting(number="changed.attempts + CAST(changed.tried_run_id IS DISTINCT FROM :run_id AS integer)")
