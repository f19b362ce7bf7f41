"""A connection whose source, words and rows are watched: what has to hold of it after whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdpp_worker.connector import Start
from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Verdict
from tests.support.ledger import Ledger
from tests.support.scripted import Scenario
from tests.support.source import DETAILS, ITEMS, WALKED, Key, Source

TABLES = (
    "records",
    "held_counts",
    "gaps",
    "checkpoints",
    "runs",
    "leases",
    "schedules",
    "coverage",
    "rejections",
    "rate_states",
)
COUNTS = """
    SELECT stream, count(*) AS records, count(deleted_at) AS deleted,
        count(*) FILTER (WHERE partial AND deleted_at IS NULL) AS in_part
    FROM records WHERE connection_id = :c GROUP BY stream
    EXCEPT SELECT stream, records, deleted, in_part FROM held_counts WHERE connection_id = :c
"""
LET_GO = ("waived", "absent_upstream", "exhausted")
Row = dict[str, Any]


class Account:
    """One connection of a `Scenario`'s database."""

    def __init__(self, scenario: Scenario, connection_id: int) -> None:
        self._scenario = scenario
        self.id = connection_id
        self.source = Source()
        self.ledger = Ledger()
        self.refused: set[int] = set()
        """The credentials, by their number, with which something was refused."""
        self._walked: dict[tuple[int, str], int] = {}
        self._held: dict[Key, Row] = {}
        self._gaps: dict[int, Row] = {}
        self._tried: dict[int, set[int]] = {}
        self._ended: dict[int, Row] = {}
        self.reopened: frozenset[int] = frozenset()
        """The gaps that the owner's last command reopened."""

    def rows(self, query: str, **values: Any) -> list[Row]:
        """All rows of a query; `:c` is this connection."""
        return self._scenario.rows(query, c=self.id, **values)

    def execute(self, statement: str, **values: Any) -> None:
        """Execute a statement; `:c` is this connection."""
        self._scenario.execute(statement, c=self.id, **values)

    @property
    def active(self) -> list[Row]:
        """The run that is not over, if there is one."""
        return self.rows("SELECT * FROM runs WHERE connection_id = :c AND ended_at IS NULL")

    @property
    def credentials(self) -> int:
        """The number of the credentials that are held."""
        return int(self.rows("SELECT credentials_version FROM connections WHERE id = :c")[0]["credentials_version"])

    def unclosed(self) -> set[Key]:
        """The subjects of its open gaps, but for whole streams."""
        return {_key(gap) for gap in self._gaps_now() if gap["closed_at"] is None and _key(gap)[1] != "*"}

    def let_go(self) -> dict[int, Key]:
        """The gaps that are closed without their item, or given up."""
        return {gap["id"]: _key(gap) for gap in self._gaps_now() if gap["status"] in LET_GO}

    def note_reopened(self, closed: Mapping[int, Key]) -> None:
        """Somebody may have reopened some of these."""
        still = self.let_go().keys()
        self.reopened = self.reopened | (closed.keys() - still)
        self.ledger.open_by_hand(closed[gap_id] for gap_id in closed.keys() - still)

    def begin(self, start: Start) -> None:
        """A slice begins; how much there is of each stream now its run will have walked if it comes to its end."""
        run_id = int(start.run_id)
        for stream in WALKED:
            self._walked.setdefault((run_id, stream), self.source.sizes[stream])
        self._walked.setdefault((run_id, DETAILS), self.source.sizes[ITEMS])

    def elapse(self) -> None:
        """Let every wait be over."""
        self.execute(
            "UPDATE gaps SET next_attempt_at = now() WHERE connection_id = :c AND status = 'open' "
            "AND next_attempt_at IS NOT NULL"
        )
        self.execute("UPDATE connections SET cooldown_until = NULL WHERE id = :c")
        self.execute("UPDATE runs SET not_before = now(), rung_at = NULL WHERE connection_id = :c AND ended_at IS NULL")

    def check(self) -> None:
        """Assert what holds at any time."""
        gaps = {gap["id"]: gap for gap in self._gaps_now()}
        self._check_records()
        self._check_gaps(gaps)
        self._check_cursors(gaps)
        self._check_runs()
        for one in self.coverage():
            if one.verdict is Verdict.COMPLETE:
                self._check_complete(one, gaps)

    def coverage(self) -> list[StreamCoverage]:
        """The verdict that the owner is told of each stream."""
        settings = self._scenario.settings
        with self._scenario.db.begin() as connection:
            return all_streams.read(connection, outlook.read(settings, connection, [self.id]))

    def check_is_gone(self) -> None:
        """Of a connection that was removed nothing is left."""
        queries = {table: f"SELECT 1 FROM {table} WHERE connection_id = :c LIMIT 1" for table in TABLES}  # noqa: S608 - our own names
        left = {table for table, query in queries.items() if self.rows(query)}
        assert not left, f"left of a removed connection: {left}"

    def _gaps_now(self) -> list[Row]:
        return self.rows("SELECT * FROM gaps WHERE connection_id = :c ORDER BY id")

    def _check_records(self) -> None:
        query = "SELECT stream, key, data, partial FROM records WHERE connection_id = :c AND deleted_at IS NULL"
        held = {(row["stream"], row["key"]): row for row in self.rows(query)}
        for key, before in self._held.items():
            assert key in held, f"lost: {key}"
            assert held[key]["data"]["v"] >= before["data"]["v"], f"an older version is held of {key}"
            assert before["partial"] or not held[key]["partial"], f"only a part is held of {key} now"
        self._held = held
        assert not self.rows(COUNTS), "records are counted wrongly"

    def _check_gaps(self, gaps: dict[int, Row]) -> None:
        assert self._gaps.keys() <= gaps.keys(), "a gap was deleted"
        for gap_id, gap in gaps.items():
            self._check_step(self._gaps.get(gap_id), gap)
        self._gaps = gaps
        for gap in gaps.values():
            if gap["status"] == "recovered" and _key(gap)[1].startswith("part ") and self._has_walked(gap):
                self.ledger.pass_by(gap["last_run_id"], _key(gap))
        let_go = {_key(gap) for gap in gaps.values() if gap["status"] in ("waived", "absent_upstream")}
        self.ledger.judge(self.unclosed(), let_go)

    def _has_walked(self, gap: Row) -> bool:
        """Whether the run that closed a gap walked all of its stream."""
        query = "SELECT 1 FROM run_streams WHERE run_id = :run AND stream = :stream AND state = 'finished'"
        return bool(self._scenario.rows(query, run=gap["last_run_id"], stream=gap["stream"]))

    def _check_step(self, before: Row | None, gap: Row) -> None:
        """From one step to the next: an attempt is one of a run, and what is closed has its proof."""
        tried = self._tried.setdefault(gap["id"], set())
        if before is None or gap["opened_at"] != before["opened_at"] or gap["attempts"] < before["attempts"]:
            tried.clear()
        elif gap["attempts"] > before["attempts"]:
            assert gap["attempts"] == before["attempts"] + 1, f"more than one attempt in one slice: {gap}"
            assert gap["tried_run_id"] not in tried, f"a run has tried twice: {gap}"
        if gap["attempts"]:
            tried.add(gap["tried_run_id"])
        name = _key(gap)[1]
        if gap["status"] == "recovered" and name.isdecimal():
            held = self._held.get(_key(gap))
            assert held is not None, f"recovered without its record: {gap}"
            assert not held["partial"], f"recovered by a part of its record: {gap}"
        if gap["status"] == "open" and gap["reason"] == "credentials_expired" and gap["next_attempt_at"] is None:
            assert self.credentials in self.refused, f"it waits for credentials that were renewed: {gap}"
        if before is not None and before["status"] == "waived" and gap["status"] != "waived":
            assert name == "*" or gap["id"] in self.reopened, f"waived, and open again: {gap}"
            anew = gap["reason"] != before["reason"] or gap["next_attempt_at"] is None
            assert anew or gap["id"] in self.reopened, f"waived for that very reason: {gap}"

    def _check_cursors(self, gaps: dict[int, Row]) -> None:
        told = {_key(gap) for gap in gaps.values() if gap["status"] != "recovered"}
        query = "SELECT stream, cursor::int AS place, covers FROM checkpoints WHERE connection_id = :c"
        for row in self.rows(query):
            for name in self.source.expected(row["stream"], row["place"]):
                assert self._is_told((row["stream"], name), told), f"a cursor passed {row['stream']} {name}"
                speaks_for_details = row["stream"] == ITEMS and DETAILS in row["covers"]
                if speaks_for_details and self._is_whole((ITEMS, name)) and (ITEMS, name) not in told:
                    self._check_detail(name, told)

    def _check_detail(self, name: str, told: set[Key]) -> None:
        if name in self.source.expected(DETAILS, int(name)):
            assert self._is_told((DETAILS, name), told), f"a cursor passed the detail of {name}"

    def _is_told(self, key: Key, told: set[Key]) -> bool:
        return self._is_whole(key) or key in told or (key[0], f"part {key[1]}") in told

    def _is_whole(self, key: Key) -> bool:
        return key in self._held and not self._held[key]["partial"]

    def _check_runs(self) -> None:
        over = self.rows("SELECT * FROM runs WHERE connection_id = :c AND ended_at IS NOT NULL")
        ended = {run["id"]: run for run in over}
        for run_id, before in self._ended.items():
            assert ended.get(run_id) == before, f"a run that was over has changed: {before} {ended.get(run_id)}"
        self._ended = ended
        assert len(self.active) <= 1

    def _check_complete(self, one: StreamCoverage, gaps: dict[int, Row]) -> None:
        """All that there was when the last walk began is held, or was let go."""
        assert one.last_walk is not None
        let_go = {_key(gap) for gap in gaps.values() if gap["status"] in ("waived", "absent_upstream")}
        size = self._walked[one.last_walk.run_id, one.stream]
        for name in self.source.expected(one.stream, size):
            parent_is_let_go = one.stream == DETAILS and not self._is_whole((ITEMS, name))
            told = self._is_told((one.stream, name), let_go) or parent_is_let_go
            assert told, f"complete, and nothing is known of {one.stream} {name}"
        still = {key for key in self.ledger.missing if key[0] == one.stream} - let_go
        assert not still, f"complete, and missing: {still}"


def _key(gap: Row) -> Key:
    scope = gap["scope"]
    if "resource_id" in scope:
        return gap["stream"], scope["resource_id"]
    part = scope["partition"].get("part")
    return gap["stream"], "*" if part is None else f"part {part}"
