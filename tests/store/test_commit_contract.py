"""The commit of a batch, as the store makes it and as the kit's ledger in memory does: the same cases, one outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, scope_key
from pdpp_worker.store.batch import Batch, RecordRow
from pdpp_worker.store.effects import Effect, GapClosure, GapReport, KeyFetched, KeyProven, Row
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import close
from tests.support.desk import Desk, missed, row

STREAM = "items"
PART = BatchScope(partition={"channel": "c"})


class Outcome(NamedTuple):
    """All that a commit may change: open gaps by scope, records by key, cursors by stream."""

    gaps: dict[str, tuple[str, str, Any]]
    held: dict[str, dict[str, Any]]
    cursors: dict[str, Any]


class Committer(Protocol):
    """Commits the batches of one connection, run by run."""

    def next_run(self) -> None:
        """The batches that follow are of another run."""

    def commit(self, batch: Batch) -> None:
        """Take a whole batch."""

    def end_walk(self) -> None:
        """The stream was walked to its end, from a cursor."""

    def outcome(self) -> Outcome:
        """What stands now."""


class InStore:
    """The real store."""

    def __init__(self, db: Database) -> None:
        self._desk = Desk(db)

    def next_run(self) -> None:
        self._desk.next_run()

    def commit(self, batch: Batch) -> None:
        self._desk.commit(batch)

    def end_walk(self) -> None:
        with self._desk.db.begin() as connection:
            close.close_whole_stream(connection, self._desk.claim, STREAM, from_scratch=False)

    def outcome(self) -> Outcome:
        gaps = self._desk.rows("SELECT * FROM gaps WHERE connection_id = :c AND closed_at IS NULL")
        held = self._desk.rows("SELECT key, data FROM records WHERE connection_id = :c AND deleted_at IS NULL")
        cursors = self._desk.rows("SELECT stream, cursor FROM checkpoints WHERE connection_id = :c")
        return Outcome(
            {
                json.dumps(one["scope"], sort_keys=True, separators=(",", ":")): (
                    one["reason"],
                    one["recovery_kind"],
                    one["detail_locator"],
                )
                for one in gaps
            },
            {one["key"]: one["data"] for one in held},
            {one["stream"]: json.loads(one["cursor"]) for one in cursors},
        )


class InMemory:
    """The ledger of the conformance kit."""

    def __init__(self, directory: Path) -> None:
        self._ledger = Ledger(directory)

    def next_run(self) -> None:
        self._ledger.begin_run()

    def commit(self, batch: Batch) -> None:
        self._ledger.commit(batch)

    def end_walk(self) -> None:
        self._ledger.end_walk([STREAM])

    def outcome(self) -> Outcome:
        misses = [gap.miss for gap in self._ledger.gaps.values()]
        return Outcome(
            {scope_key(one.scope): (one.reason, one.recovery_kind, one.detail_locator) for one in misses},
            self._ledger.held().get(STREAM, {}),
            dict(self._ledger.cursors),
        )


@pytest.fixture(params=["store", "memory"])
def committer(request: pytest.FixtureRequest, tmp_path: Path) -> Committer:
    if request.param == "memory":
        return InMemory(tmp_path)
    return InStore(request.getfixturevalue("db"))


def batch(*effects: Effect, rows: Sequence[RecordRow] = (), cursor: Any = None) -> Batch:
    """A batch of the one stream."""
    made = Batch(effects=list(effects))
    if rows:
        made.records[STREAM] = list(rows)
    if cursor is not None:
        made.checkpoints[STREAM] = json.dumps(cursor)
    return made


def proof(name: str = "a", at: int = 0, *, absent: bool = False) -> KeyProven:
    return KeyProven(STREAM, name, absent, Row(STREAM, at))


def closure(name: str = "a", *, absent: bool = False) -> GapClosure:
    return GapClosure(STREAM, ResourceScope(resource_id=name), absent)


def about(scope: Scope) -> GapReport:
    return missed(scope=scope)


REJECTED = missed(reason="record_rejected", kind="retry_on_connector_upgrade")
OPEN: dict[str, Callable[[], list[list[Batch]]]] = {
    "missed": lambda: [[batch(missed())]],
    "read, then missed": lambda: [[batch(KeyFetched(STREAM, "a"), missed())]],
    "recovered, then missed, in two batches": lambda: [[batch(missed())], [batch(closure()), batch(missed())]],
    "missed, then met whole in the same run": lambda: [[batch(missed(), proof(), rows=[row("a")])]],
    "refused, then read": lambda: [[batch(REJECTED)], [batch(KeyFetched(STREAM, "a"))]],
    "refused again by the run that claims it": lambda: [[batch(REJECTED)], [batch(REJECTED, closure())]],
    "proved by an older version": lambda: [
        [batch(missed(), rows=[row("a", {"v": 2}, version=2.0)])],
        [batch(proof(), rows=[row("a", {"v": 1}, version=1.0)])],
    ],
    "closed, and missed in a later run": lambda: [[batch(missed())], [batch(closure())], [batch(missed())]],
}
CLOSED: dict[str, Callable[[], list[list[Batch]]]] = {
    "missed, then read": lambda: [[batch(missed(), KeyFetched(STREAM, "a"))]],
    "claimed": lambda: [[batch(missed())], [batch(closure())]],
    "claimed as absent": lambda: [[batch(missed())], [batch(closure(absent=True))]],
    "met whole in a later run": lambda: [[batch(missed())], [batch(proof(), rows=[row("a")])]],
    "deleted in a later run": lambda: [[batch(missed())], [batch(proof(absent=True), rows=[row("a", deleted=True)])]],
    "refused, then met whole in a later run": lambda: [[batch(REJECTED)], [batch(proof(), rows=[row("a")])]],
    "refused, then claimed in a later run": lambda: [[batch(REJECTED)], [batch(closure())]],
}


def commit_all(committer: Committer, runs: Sequence[Sequence[Batch]]) -> Outcome:
    for run in runs:
        committer.next_run()
        for one in run:
            committer.commit(one)
    return committer.outcome()


@pytest.mark.parametrize("name", OPEN)
def test_what_leaves_a_gap_open(committer: Committer, name: str) -> None:
    assert commit_all(committer, OPEN[name]()).gaps.keys() == {'{"resource_id":"a"}'}


@pytest.mark.parametrize("name", CLOSED)
def test_what_closes_a_gap(committer: Committer, name: str) -> None:
    assert commit_all(committer, CLOSED[name]()).gaps == {}


def test_the_end_of_a_walk_closes_the_gap_of_the_whole_stream_only(committer: Committer) -> None:
    commit_all(committer, [[batch(about(WHOLE_STREAM), about(PART), missed())]])

    committer.end_walk()

    assert committer.outcome().gaps.keys() == {scope_key(PART), '{"resource_id":"a"}'}


def test_a_gap_that_opens_again_keeps_the_way_back(committer: Committer) -> None:
    first = missed(detail_locator={"page": 7})

    outcome = commit_all(committer, [[batch(first)], [batch(closure())], [batch(missed(reason="timed_out"))]])

    assert list(outcome.gaps.values()) == [("timed_out", "retry_by_runtime", {"page": 7})]


def test_records_and_cursors_stand_as_they_were_sent_last(committer: Committer) -> None:
    outcome = commit_all(
        committer,
        [
            [batch(rows=[row("a", {"x": 1}), row("b", {"x": 1})], cursor=1)],
            [batch(rows=[row("a", {"y": 2}, partial=True), row("b", deleted=True)], cursor={"at": 2})],
        ],
    )

    assert (outcome.held, outcome.cursors) == ({"a": {"x": 1, "y": 2}}, {STREAM: {"at": 2}})


names = st.sampled_from("ab")
effects = st.one_of(
    st.builds(
        missed,
        names,
        reason=st.sampled_from(["rate_limited", "timed_out"]),
        detail_locator=st.none() | st.just({"page": 1}),
    ),
    st.just(REJECTED),
    st.builds(closure, names, absent=st.booleans()),
    st.builds(lambda name: KeyFetched(STREAM, name), names),
    st.builds(proof, names, st.just(0), absent=st.booleans()),
)
batches = st.lists(effects, max_size=4).map(lambda said: batch(*said, rows=[row("z")]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(st.lists(batches, min_size=1, max_size=3), min_size=1, max_size=3))
def test_any_effects_in_any_batches_have_one_outcome(db: Database, tmp_path: Path, runs: list[list[Batch]]) -> None:
    assert commit_all(InStore(db), runs) == commit_all(InMemory(tmp_path), runs)
