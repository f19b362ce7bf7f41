"""The commit of a batch, as the store makes it and as the kit's ledger in memory does: the same cases, one outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.conformance.deletions import Deletions
from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, scope_key
from pdpp_worker.store import doubts
from pdpp_worker.store.batch import Batch, RecordRow
from pdpp_worker.store.effects import Effect, GapClosure, GapReport, KeyFetched, KeyProven, Row
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import close
from tests.support.desk import Desk, missed, row
from tests.support.examples import examples

STREAM = "items"
CHILD = "parts"
CHILDREN = {STREAM: [(CHILD, "item")]}
PART = BatchScope(partition={"channel": "c"})


class Outcome(NamedTuple):
    """All that a commit may change: open gaps by scope, records by key, cursors by stream."""

    gaps: dict[str, tuple[str, str, Any]]
    held: dict[str, dict[str, Any]]
    cursors: dict[str, Any]
    children: frozenset[str] = frozenset()
    """Keys of records of the other stream."""
    doubted: frozenset[tuple[str, str, bool]] = frozenset()
    """Stream and key of records in doubt, and whether they wait for the owner."""


class Committer(Protocol):
    """Commits the batches of one connection, run by run."""

    def next_run(self) -> None:
        """The batches that follow are of another run."""

    def commit(self, batch: Batch) -> None:
        """Take a whole batch."""

    def end_walk(self) -> None:
        """Both streams were walked to their end, from a cursor."""

    def outcome(self) -> Outcome:
        """The state that stands now."""


class InStore:
    """The real store."""

    def __init__(self, db: Database) -> None:
        self._desk = Desk(db)

    def next_run(self) -> None:
        self._desk.next_run()

    def commit(self, batch: Batch) -> None:
        self._desk.commit(batch, children=CHILDREN)

    def end_walk(self) -> None:
        with self._desk.db.begin() as connection:
            doubts.settle(connection, self._desk.claim, [STREAM, CHILD], CHILDREN)
            close.close_whole_stream(connection, self._desk.claim, STREAM, from_scratch=False)

    def outcome(self) -> Outcome:
        gaps = self._desk.rows("SELECT * FROM gaps WHERE connection_id = :c AND closed_at IS NULL")
        query = "SELECT stream, key, data FROM records WHERE connection_id = :c AND deleted_at IS NULL"
        held = self._desk.rows(query)
        doubted = self._desk.rows("SELECT stream, key, state FROM deletion_doubts WHERE connection_id = :c")
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
            {one["key"]: one["data"] for one in held if one["stream"] == STREAM},
            {one["stream"]: json.loads(one["cursor"]) for one in cursors},
            frozenset(one["key"] for one in held if one["stream"] == CHILD),
            frozenset((one["stream"], one["key"], one["state"] == "waiting") for one in doubted),
        )


class InMemory:
    """The ledger of the conformance kit."""

    def __init__(self, directory: Path) -> None:
        self._ledger = Ledger(directory, deletions=Deletions(CHILDREN))

    def next_run(self) -> None:
        self._ledger.begin_run(timedelta())

    def commit(self, batch: Batch) -> None:
        self._ledger.commit(batch)

    def end_walk(self) -> None:
        self._ledger.end_walk([STREAM, CHILD])

    def outcome(self) -> Outcome:
        misses = [gap.miss for gap in self._ledger.gaps.values()]
        return Outcome(
            {scope_key(one.scope): (one.reason, one.recovery_kind, one.detail_locator) for one in misses},
            self._ledger.held().get(STREAM, {}),
            dict(self._ledger.cursors),
            frozenset(self._ledger.held().get(CHILD, {})),
            frozenset((*place, one.waits) for place, one in self._ledger.deletions.doubts.items()),
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


@examples(40)
@given(runs=st.lists(st.lists(batches, min_size=1, max_size=3), min_size=1, max_size=3))
def test_any_effects_in_any_batches_have_one_outcome(db: Database, tmp_path: Path, runs: list[list[Batch]]) -> None:
    assert commit_all(InStore(db), runs) == commit_all(InMemory(tmp_path), runs)


def absent(key: str) -> RecordRow:
    return row(key, deleted=True)._replace(absent=True)


def test_a_doubt_of_two_runs_is_a_deletion_with_what_belongs_to_it(committer: Committer) -> None:
    whole = batch(rows=[row("a"), row("b")])
    whole.records[CHILD] = [row("of a", {"item": "a"}), row("of b", {"item": "b"})]
    for sent in (whole, batch(rows=[absent("a")]), batch(rows=[absent("a")])):
        commit_all(committer, [[sent]])
        committer.end_walk()

    outcome = committer.outcome()

    assert (set(outcome.held), set(outcome.children), set(outcome.doubted)) == ({"b"}, {"of b"}, set())


def test_many_doubts_wait_for_the_owner(committer: Committer) -> None:
    keys = [f"k{number}" for number in range(30)]
    commit_all(committer, [[batch(rows=[row(key) for key in keys])]])
    for _ in range(2):
        commit_all(committer, [[batch(rows=[absent(key) for key in keys[:21]])]])
        committer.end_walk()

    outcome = committer.outcome()

    assert len(outcome.held) == 30
    assert outcome.doubted == {(STREAM, key, True) for key in keys[:21]}


sent_rows = st.one_of(
    st.builds(row, names, st.just({"x": 1}), version=st.sampled_from([None, 1.0, 2.0])),
    st.builds(row, names, deleted=st.just(True), version=st.sampled_from([None, 1.0])),
    st.builds(absent, names),
)
parts = st.builds(lambda key, item: row(f"{key} of {item}", {"item": item}), names, names)
sendings = st.tuples(
    st.lists(sent_rows, max_size=3),
    st.lists(st.one_of(parts, st.builds(absent, st.just("a of b"))), max_size=2),
    st.lists(st.builds(missed, names) | st.just(about(PART)), max_size=1),
)


@examples(60)
@given(runs=st.lists(st.tuples(st.lists(sendings, min_size=1, max_size=2), st.booleans()), min_size=1, max_size=6))
def test_any_deletions_doubts_and_returns_have_one_outcome(db: Database, tmp_path: Path, runs: list[Any]) -> None:
    committers: list[Committer] = [InStore(db), InMemory(tmp_path)]
    for run, ended in runs:
        for committer in committers:
            committer.next_run()
            for rows, children, effects in run:
                made = batch(*effects, rows=rows)
                if children:
                    made.records[CHILD] = children
                committer.commit(made)
            if ended:
                committer.end_walk()

    in_store, in_memory = (one.outcome() for one in committers)

    assert in_store == in_memory
