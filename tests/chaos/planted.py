"""Bugs that are planted in the fleet of an episode, each the text of a `sitecustomize` that every process loads."""

from __future__ import annotations

FENCE_NOT_CHECKED = """
from sqlalchemy import text
from pdpp_worker.store import leases
leases._RENEW = text(str(leases._RENEW).replace("AND token = :token", ""))
"""
CURSOR_FIRST = """
from pdpp_worker.runtime import committer
from pdpp_worker.store import commit
def cursor_first(db, claim, batch, **others):
    with db.begin() as connection:
        commit._write_checkpoints(connection, claim, commit.NO_WALK, batch.checkpoints)
    return commit.commit_batch(db, claim, batch, **others)
committer.commit_batch = cursor_first
"""
GAP_FORGOTTEN = """
from pdpp_worker.store import commit
commit.apply.apply = lambda connection, claim, version, policy, effects: ([], [])
"""
GAP_CLOSED_WITHOUT_RECORD = """
from sqlalchemy import text
from pdpp_worker.store import commit
whole = commit.apply.apply
def close_all(connection, claim, *others):
    done = whole(connection, claim, *others)
    connection.execute(text("UPDATE gaps SET status = 'recovered', closed_at = now() WHERE closed_at IS NULL"))
    return done
commit.apply.apply = close_all
"""
RECORD_FORGOTTEN = """
from pdpp_worker.store import commit
whole = commit.write_records
commit.write_records = lambda connection, one, run, stream, rows, *others: whole(
    connection, one, run, stream, [row for row in rows if not row.key.endswith("7")], *others)
"""
WAIT_DOUBLED = """
from sqlalchemy import text
from pdpp_worker.store import commit
whole = commit.coverage_rows.note
def double(connection, connection_id, *others):
    connection.execute(text("UPDATE schedules SET every_s = every_s * 2 WHERE connection_id = :id"),
        {"id": connection_id})
    return whole(connection, connection_id, *others)
commit.coverage_rows.note = double
"""
