"""A place to write from: one connection, its run and its lease, on the real store."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from pdpp_worker.protocol.scope import ResourceScope, Scope
from pdpp_worker.store import connections, leases, runs
from pdpp_worker.store.batch import Batch, Claim, RecordRow
from pdpp_worker.store.children import Children
from pdpp_worker.store.commit import NO_CHILDREN, Committed, commit_batch
from pdpp_worker.store.effects import Effect, GapReport
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import apply
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.gaps.selection import GapFilter, ScopeKinds
from pdpp_worker.store.records import Written, write_records
from pdpp_worker.store.values import encode
from tests.support.waiting import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RetryPolicy(first_s=60.0, max_s=600.0, max_attempts=5)

_numbers = itertools.count()


def row(
    key: str,
    data: dict[str, Any] | None = None,
    *,
    version: float | None = None,
    deleted: bool = False,
    partial: bool = False,
) -> RecordRow:
    """A record, ready to be written."""
    return RecordRow(key, *encode(data or {}), version, NOW, deleted, partial)


def missed(
    name: str = "a",
    *,
    reason: str = "rate_limited",
    kind: str = "retry_by_runtime",
    scope: Scope | None = None,
    **fields: Any,
) -> GapReport:
    """A miss of one resource."""
    return GapReport("items", scope or ResourceScope(resource_id=name), reason, kind, **fields)


class Desk:
    """One connection with a run that is being worked."""

    def __init__(self, db: Database) -> None:
        self.db = db
        with db.begin() as connection:
            self.connection_id = connections.add(connection, f"account {next(_numbers)}", "scripted", {}, {})
        self.run_id = self.new_run()
        self.claim = self.take()

    def new_run(self, *, end_others: bool = False) -> int:
        """Queue a run; with `end_others`, cancel the active one first."""
        if end_others:
            self.end_runs()
        with self.db.begin() as connection:
            scope = [{"name": "items"}]
            return runs.create(connection, self.connection_id, trigger="manual", streams=scope, version="1.0.0")[0]

    def take(self, holder: str = "here") -> Claim:
        """Take the lease, from whoever has it."""
        self.execute("UPDATE leases SET expires_at = now() WHERE connection_id = :c")
        with self.db.begin() as connection:
            claim = leases.acquire(connection, self.connection_id, self.run_id, holder, 600.0)
        assert claim is not None
        return claim

    def next_run(self) -> int:
        """End the run and begin another."""
        self.run_id = self.new_run(end_others=True)
        self.claim = self.take()
        return self.run_id

    def end_runs(self) -> None:
        """Cancel the active run."""
        self.execute(
            "UPDATE runs SET status = 'cancelled', ended_at = now() WHERE connection_id = :c AND ended_at IS NULL"
        )

    def other_claim(self) -> Claim:
        """The claim of a run that met no gap itself."""
        return replace(self.claim, run_id=0)

    def due(self, limit: int = 100, selection: GapFilter = GapFilter()) -> list[str]:  # noqa: B008 - a tuple
        """The resources whose gaps the current run, or one that met none itself, may try now, in their order."""
        met = self.rows("SELECT 1 FROM gaps WHERE connection_id = :c AND last_run_id = :run", run=self.run_id)
        claim = self.other_claim() if met else self.claim
        with self.db.begin() as connection:
            found = Backlog(claim, ScopeKinds(), selection).lease(connection, limit)
        return [gap.scope.resource_id for gap in found if isinstance(gap.scope, ResourceScope)]

    def elapse(self, hours: float = 0.0) -> None:
        """Let every wait be over, for so long."""
        self.execute(
            "UPDATE gaps SET next_attempt_at = now() - :hours * interval '1 hour' "
            "WHERE connection_id = :c AND next_attempt_at IS NOT NULL",
            hours=hours,
        )

    def until_somebody_waits(self) -> None:
        """Return as soon as another transaction in this database waits for a lock."""
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        until(lambda: self.rows(waiting))

    def write(self, *rows: RecordRow) -> Written:
        """Write records of the stream in one transaction."""
        with self.db.begin() as connection:
            return write_records(connection, self.connection_id, self.run_id, "items", list(rows))

    def commit(self, batch: Batch, claim: Claim | None = None, children: Children = NO_CHILDREN) -> Committed:
        """Commit a batch."""
        return commit_batch(self.db, claim or self.claim, batch, version="1.0.0", policy=POLICY, children=children)

    def miss(self, *misses: GapReport, policy: RetryPolicy = POLICY) -> list[GapReport]:
        """Open gaps; returns the newly open ones."""
        with self.db.begin() as connection:
            return apply.apply(connection, self.claim, "1.0.0", policy, misses)[0]

    def say(self, *effects: Effect) -> list[str]:
        """Apply what a batch says of gaps; returns the streams of those that it closed."""
        with self.db.begin() as connection:
            return apply.apply(connection, self.claim, "1.0.0", POLICY, effects)[1]

    def execute(self, statement: str, **values: Any) -> None:
        """Execute a statement; `:c` is this connection."""
        with self.db.begin() as connection:
            connection.execute(text(statement), {"c": self.connection_id, **values})

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """All rows of a query; `:c` is this connection."""
        with self.db.begin() as connection:
            found = connection.execute(text(query), {"c": self.connection_id, **values})
            return [dict(one) for one in found.mappings()]

    def one(self, query: str, **values: Any) -> dict[str, Any]:
        """The one row of a query."""
        (only,) = self.rows(query, **values)
        return only

    def gap(self, name: str = "a") -> dict[str, Any]:
        """The gap about a resource."""
        query = """
            SELECT *, extract(epoch FROM next_attempt_at - clock_timestamp()) AS wait_s FROM gaps
            WHERE connection_id = :c AND scope ->> 'resource_id' = :name
        """
        return self.one(query, name=name)

    def held(self) -> dict[str, dict[str, Any]]:
        """Key to row of the stream's records."""
        query = "SELECT *, xmin::text, ctid::text FROM records WHERE connection_id = :c AND stream = 'items'"
        return {one["key"]: one for one in self.rows(query)}
