"""Workers with three versions of a connector, in any order: a run is its version's, and each knows its own streams."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from packaging.version import Version
from redis import Redis

from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.dispatch import request_run
from pdpp_worker.recovery import upgrade
from pdpp_worker.recovery.sweep import recover, sweep_transient
from pdpp_worker.recovery.upgrade import sweep_upgrade
from pdpp_worker.store import connections
from tests.support.account import Account
from tests.support.examples import stateful
from tests.support.scripted import Scenario
from tests.support.source import DETAILS, EXTRA, ITEMS, NOTES, WALKED, Key
from tests.support.stage import Stage, of
from tests.support.worker import Mischief

KNOWN = {
    "1.0.0": (ITEMS, NOTES),
    "2.0.0": (ITEMS, DETAILS, NOTES, EXTRA),
    "3.0.0": (ITEMS, DETAILS, EXTRA),
}
"""Version to its streams: one comes with a cursor of its own, one hangs on a cursor that is there, another one goes."""
CANARY = 2
PATIENCE = 2
"""Slices for which an older worker leaves a run to a newer one."""
versions = st.sampled_from(tuple(KNOWN))
keys = st.tuples(st.sampled_from((ITEMS, DETAILS, NOTES, EXTRA)), st.integers(1, 5).map(str))
found = st.lists(
    st.tuples(keys, st.sampled_from(("readable", "slow", "later", "later", "later", "silent", "gone")), versions),
    min_size=1,
    max_size=8,
)
WAYS = ("walk", "walk", "walk_again", "sweep", "recover")
"""How a run begins."""
Happening = tuple[str, int, str | bool]
happenings: st.SearchStrategy[Happening] = st.one_of(
    st.tuples(st.just("dies"), st.integers(2, 14), st.booleans()),
    st.tuples(st.just("loses the lease"), st.integers(0, 8), versions),
    st.tuples(st.just("stops"), st.just(0), st.just("")),
    st.tuples(st.just("stops"), st.just(0), st.just("")),
)


class Deploy(RuleBasedStateMachine):
    """One connection, while workers with several versions come and go."""

    def __init__(self, scenario: Scenario, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(upgrade, "CANARY", CANARY)
        self.stage = Stage(scenario, redis, monkeypatch)
        self.db = scenario.db
        self.account: Account
        self._healed: dict[str, set[int]] = {version: set() for version in KNOWN}
        """Version to the gaps of others that it has closed."""
        self._opened_by: dict[int, str] = {}
        self._last: dict[int, dict[str, Any]] = {}

    @initialize(batch=st.integers(1, 4), messages=st.sampled_from((3, 8, 1000)), size=st.integers(3, 5), found=found)
    def begin(self, batch: int, messages: int, size: int, found: list[tuple[Key, str, str]]) -> None:
        changes = {"batch_records": batch, "slice_messages": messages, "run_attempts": PATIENCE, "gap_max_attempts": 9}
        self.stage.configure(**changes)
        self.account = self.stage.add("mine")
        self.account.source.sizes = dict.fromkeys(WALKED, size)
        self.let_reads_come_to(found)
        self._begin("1.0.0", "walk")
        self._work("1.0.0", Mischief())

    @rule(found=found)
    def let_reads_come_to(self, found: list[tuple[Key, str, str]]) -> None:
        source = self.account.source
        for key, fate, needed in found:
            if source.fates.get(key) != "gone":
                source.fates[key], source.needs[key] = fate, needed

    @rule(more=st.integers(1, 3))
    def grow(self, more: int) -> None:
        self.account.source.sizes = {stream: min(12, size + more) for stream, size in self.account.source.sizes.items()}

    @rule(version=versions)
    def sweep_upgrade(self, version: str) -> None:
        """A version opens a canary; the rest only once it has closed a gap that another one opened."""
        before = self._gaps()
        self._install(version)
        sweep_upgrade(self.stage.scenario.settings, self.db)
        after = self._gaps().values()
        opened = [gap for gap in after if _is_due(gap) and not _is_due(before[gap["id"]])]
        assert len(opened) <= CANARY or self._healed[version], f"{version} goes back for all, and has healed nothing"
        assert all(_is_for(version, gap) for gap in opened), opened
        left = [gap for gap in after if gap["status"] == "open" and not _is_due(gap) and _is_for(version, gap)]
        assert not left or not self._healed[version], f"{version} has healed one, and leaves {left}"

    @rule(whole=st.booleans())
    def time_passes(self, whole: bool) -> None:
        if whole:
            self.account.elapse()
        self.account.execute(
            "UPDATE runs SET not_before = now(), rung_at = NULL WHERE connection_id = :c AND ended_at IS NULL"
        )

    @rule(queued=versions, worked=versions, way=st.sampled_from(WAYS), happening=happenings)
    def work_in_trouble(self, queued: str, worked: str, way: str, happening: Happening) -> None:
        """One slice of a run that one version queues and another one works, in which something happens."""
        self._begin(queued, way)
        self._work(worked, self._mischief(worked, *happening))

    @rule(queued=versions, worked=versions, way=st.sampled_from(WAYS))
    def work_to_the_end(self, queued: str, worked: str, way: str) -> None:
        """All slices of a run."""
        self._begin(queued, way)
        for _ in range(30):
            self.account.execute("UPDATE runs SET not_before = now() WHERE connection_id = :c AND ended_at IS NULL")
            self._work(worked, Mischief())

    @invariant()
    def everything_is_accounted_for(self) -> None:
        for version in KNOWN:
            self._install(version)
            self.stage.check()

    def teardown(self) -> None:
        """The newest version brings everything to an end that it knows."""
        self._install("3.0.0")
        self.account.source.heal()
        self._end()
        for _ in range(2):
            self._begin("3.0.0", "walk_again")
            self._end()
            for sweep in (sweep_transient, sweep_upgrade, sweep_upgrade):
                self.account.elapse()
                sweep(self.stage.scenario.settings, self.db)
                self._end()
        verdicts = {one.stream: one.verdict for one in self.account.coverage() if one.stream in KNOWN["3.0.0"]}
        assert set(verdicts.values()) <= {Verdict.COMPLETE, Verdict.KNOWN_ABSENT}, verdicts

    def _end(self) -> None:
        assert self.stage.finish(self.account) == []
        self.stage.check()

    def _begin(self, version: str, way: str) -> None:
        """Let a worker with this version queue a run; where there is one, it is that."""
        self._install(version)
        settings = self.stage.scenario.settings
        if way == "sweep":
            self.account.elapse()
            sweep_transient(settings, self.db)
        elif way == "recover":
            recover(settings, self.db, [self.account.id])
        else:
            with self.db.begin() as connection:
                row = connections.by_id(connection, self.account.id)
            request_run(self.db, row, trigger="manual", full=way == "walk_again")

    def _mischief(self, version: str, kind: str, at: int, more: str | bool) -> Mischief:
        if kind == "dies":
            return Mischief(dies_at=at, dies_after=bool(more))
        if kind == "stops":
            return Mischief(stops=True)

        def other_worker() -> None:
            self._learn(version)
            self.stage.expire(self.account)
            self._work(str(more), Mischief())

        return Mischief(at_message=at, happens=other_worker)

    def _work(self, version: str, mischief: Mischief) -> None:
        """One slice by a worker with this version."""
        for run in self.account.active:
            before, called = self._gaps(), len(self.stage.starts)
            self._last = before
            self._install(version)
            self.stage.work(self.account, run["id"], mischief)
            self._learn(version)
            if mischief.at_message is None:
                _check_unknown_are_left(version, before, self._last)
            for by, start in self.stage.starts[called : called + 1]:
                assert by == version
                assert {scope.name for scope in start.scope.streams} <= set(KNOWN[version])
                assert _may_work(version, run), f"{version} works a run of a newer version: {run}"
                for gap_id in (int(gap.gap_id) for gap in start.detail_gaps):
                    assert _may_try(version, before[gap_id]), f"{version} has failed on it: {before[gap_id]}"

    def _learn(self, version: str) -> None:
        """Note which gaps this version has opened, and which of an older one it has closed, since it was last asked."""
        now = self._gaps()
        for gap_id, gap in now.items():
            before = self._last.get(gap_id)
            if before is None or before["opened_at"] != gap["opened_at"]:
                self._opened_by[gap_id] = version
                self._forget(gap_id)
            was_closed = before is not None and before["closed_at"] is not None
            by_older = Version(self._opened_by[gap_id]) < Version(version)
            if gap["closed_at"] is not None and not was_closed and by_older and _waits(gap):
                self._healed[version].add(gap_id)
        self._last = now

    def _forget(self, gap_id: int) -> None:
        for healed in self._healed.values():
            healed.discard(gap_id)

    def _install(self, version: str) -> None:
        self.stage.install(of(version, *KNOWN[version]))

    def _gaps(self) -> dict[int, dict[str, Any]]:
        return {gap["id"]: gap for gap in self.account.rows("SELECT * FROM gaps WHERE connection_id = :c")}


def _waits(gap: dict[str, Any]) -> bool:
    return bool(gap["recovery_kind"] == "retry_on_connector_upgrade")


def _is_for(version: str, gap: dict[str, Any]) -> bool:
    newer = Version(version) > Version(gap["connector_version_seen"])
    return _waits(gap) and gap["stream"] in KNOWN[version] and newer


def _may_try(version: str, gap: dict[str, Any]) -> bool:
    return not _waits(gap) or gap["connector_version_seen"] != version


def _is_due(gap: dict[str, Any]) -> bool:
    return gap["status"] == "open" and gap["next_attempt_at"] is not None


def _check_unknown_are_left(version: str, before: dict[int, dict[str, Any]], after: dict[int, dict[str, Any]]) -> None:
    """A version does nothing about a stream that it does not know."""
    unknown = [gap for gap in before.values() if gap["stream"] not in KNOWN[version]]
    tried = [gap for gap in unknown if after[gap["id"]]["attempts"] != gap["attempts"]]
    assert not tried, f"{version} does not know the stream of {tried}"


def _may_work(version: str, run: dict[str, Any]) -> bool:
    return Version(version) >= Version(run["connector_version"]) or run["still_slices"] >= PATIENCE


def test_each_version_works_its_own_runs_and_streams_in_any_order(
    scenario: Scenario, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(Deploy):
        def __init__(self) -> None:
            super().__init__(scenario, redis, monkeypatch)

    run_state_machine_as_test(Here, settings=stateful(examples=6, steps=20))
