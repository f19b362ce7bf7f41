"""An owner, a fleet and a provider act in any order, with workers that die: nothing is lost, and all ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import Redis

from pdpp_worker.connector import Message
from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.dispatch import dispatch, request_run
from pdpp_worker.errors import NotFoundError
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.recovery.structural import sweep_structural
from pdpp_worker.recovery.sweep import recover, sweep_transient
from pdpp_worker.recovery.upgrade import sweep_upgrade
from pdpp_worker.store import connections, edits, runs
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps.selection import GapFilter
from tests.support.account import Account
from tests.support.examples import stateful
from tests.support.scripted import Scenario
from tests.support.source import DETAILS, FATES, ITEMS, NOTES, WALKED, Key
from tests.support.stage import Stage, of
from tests.support.worker import Mischief, fail_by_itself, fail_sign_in, fail_upstream, say_nonsense

MOST = 2
"""Connections at a time."""
SIZE = 8
"""Items of a stream at most."""
FAILURES = (fail_upstream, fail_sign_in, fail_by_itself, say_nonsense)
MEANWHILE = ("waive", "reopen", "cancel", "renew_credentials", "rule_notes_out", "rule_notes_in", "remove")
"""An act of the owner while a slice works."""
ACTS = (*MEANWHILE, "recover", "recover_some", "pause", "resume", "create")
WAYS = ("walk", "walk", "walk_again", "sweep", "sweep", "recover", "schedule")
"""How a run begins."""

places = st.integers(0, MOST - 1)
messages = st.integers(0, 10)
keys = st.tuples(st.sampled_from((ITEMS, ITEMS, DETAILS, NOTES)), st.integers(1, SIZE // 2).map(str))
found = st.lists(st.tuples(keys, st.sampled_from(FATES)), min_size=1, max_size=6)
Happening = tuple[str, int, str | bool]
happenings: st.SearchStrategy[Happening] = st.one_of(
    st.tuples(st.just("dies"), st.integers(2, 14), st.booleans()),
    st.tuples(st.just("fails"), messages, st.sampled_from([one.__name__ for one in FAILURES])),
    st.tuples(st.just("owner"), messages, st.sampled_from(MEANWHILE)),
    st.tuples(st.just("loses the lease"), messages, st.just("")),
    st.tuples(st.just("stops"), st.just(0), st.just("")),
)


class Life(RuleBasedStateMachine):
    """One database from the first connection to the last."""

    def __init__(self, scenario: Scenario, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.stage = Stage(scenario, redis, monkeypatch)
        self.db = scenario.db
        self._added = 0
        self._version = 1

    @initialize(batch=st.integers(1, 5), messages=st.sampled_from((3, 8, 1000)), attempts=st.integers(2, 3))
    def begin(self, batch: int, messages: int, attempts: int) -> None:
        self.stage.configure(
            batch_records=batch, slice_messages=messages, run_attempts=attempts, gap_max_attempts=attempts + 2
        )
        self._install()
        self.create()

    @rule(place=places, way=st.sampled_from(WAYS), happening=happenings)
    def work_in_trouble(self, place: int, way: str, happening: Happening) -> None:
        """One slice, in which something happens."""
        account = self._account(place)
        self._begin(account, way)
        self._work(account, self._mischief(account, *happening))
        if account not in self.stage.accounts:
            account.check_is_gone()

    @rule(place=places, way=st.sampled_from(WAYS), slices=st.sampled_from((1, 60)))
    def work(self, place: int, way: str, slices: int) -> None:
        """One slice, or all that a run takes."""
        account = self._account(place)
        self._begin(account, way)
        self.stage.finish(account, slices)

    @rule(place=places, act=st.sampled_from(ACTS))
    def owner_acts(self, place: int, act: str) -> None:
        self._act(self._account(place), act)

    @rule(place=places, found=found)
    def let_reads_come_to(self, place: int, found: list[tuple[Key, str]]) -> None:
        source = self._account(place).source
        for key, fate in found:
            if source.fates.get(key) != "gone":
                source.fates[key], source.needs[key] = fate, f"{self._version + 1}.0.0"

    @rule(place=places, stream=st.sampled_from((ITEMS, NOTES)), change=st.sampled_from(("more", "break", "edit")))
    def provider_changes(self, place: int, stream: str, change: str) -> None:
        source = self._account(place).source
        if change == "more":
            source.sizes[stream] = min(SIZE, source.sizes[stream] + 2)
        elif change == "break":
            source.broken ^= {stream}
        else:
            source.versions = {(ITEMS, str(number)): len(source.versions) + 1 for number in range(1, SIZE + 1)}

    @rule(place=places, event=st.sampled_from(("time", "time", "upgrade", "signed out", "structural sweep")))
    def fleet_goes_on(self, place: int, event: str) -> None:
        if event == "time":
            self._account(place).elapse()
        elif event == "upgrade":
            self._version += 1
            self._install()
            sweep_upgrade(self.stage.scenario.settings, self.db)
        elif event == "signed out":
            self._account(place).source.signed_in = False
        else:
            self._sweep_structural()

    @invariant()
    def everything_is_accounted_for(self) -> None:
        self.stage.check()

    def teardown(self) -> None:
        """Once everything can be read again, every run ends and everything is held, but for what was waived."""
        self._version += 1
        self._install()
        for account in self.stage.accounts:
            self._heal(account)
            self.stage.check()
            unlike = [one for one in account.coverage() if one.verdict not in (Verdict.COMPLETE, Verdict.KNOWN_ABSENT)]
            assert [(one.stream, one.because) for one in unlike if one.stream in (ITEMS, DETAILS, NOTES)] == []

    def create(self) -> None:
        """Add a connection, if there are not too many."""
        if len(self.stage.accounts) < MOST:
            self._added += 1
            account = self.stage.add(f"account {self._added}")
            account.source.sizes = dict.fromkeys(WALKED, SIZE // 2)

    def _heal(self, account: Account) -> None:
        account.source.heal()
        for act in ("renew_credentials", "rule_notes_in", "resume"):
            self._act(account, act)
        self._end(account)
        for _ in range(2):
            self._begin(account, "walk_again")
            self._end(account)
            for sweep in (sweep_transient, sweep_upgrade):
                account.elapse()
                sweep(self.stage.scenario.settings, self.db)
                self._end(account)
        self._act(account, "recover")
        self._end(account)

    def _end(self, account: Account) -> None:
        assert self.stage.finish(account) == []
        self.stage.check()

    def _account(self, place: int) -> Account:
        return self.stage.accounts[place % len(self.stage.accounts)]

    def _install(self) -> None:
        self.stage.install(of(f"{self._version}.0.0", ITEMS, DETAILS, NOTES, without=NOTES))

    def _begin(self, account: Account, way: str) -> None:
        """Let there be a run; where there is one, it is that."""
        settings = self.stage.scenario.settings
        if way == "sweep":
            account.elapse()
            sweep_transient(settings, self.db)
        elif way == "recover":
            recover(settings, self.db, [account.id])
        elif way == "schedule":
            self._plan(account, paused=False)
            dispatch(settings, self.db)
        else:
            with self.db.begin() as connection:
                row = connections.by_id(connection, account.id)
            request_run(self.db, row, trigger="manual", full=way == "walk_again")

    def _work(self, account: Account, mischief: Mischief) -> None:
        for run in account.active:
            self.stage.work(account, run["id"], mischief)

    def _mischief(self, account: Account, kind: str, at: int, more: str | bool) -> Mischief:
        if kind == "dies":
            return Mischief(dies_at=at, dies_after=bool(more))
        if kind == "stops":
            return Mischief(stops=True)
        happens: dict[str, Callable[[], Message | None]] = {one.__name__: one for one in FAILURES}
        happens["loses the lease"] = partial(self._other_worker, account)
        happens["owner"] = partial(self._act, account, str(more))
        return Mischief(at_message=at, happens=happens[str(more) if kind == "fails" else kind])

    def _other_worker(self, account: Account) -> None:
        """One who finds the lease run out, and works on."""
        self.stage.expire(account)
        self._work(account, Mischief())

    def _act(self, account: Account, act: str) -> None:
        settings = self.stage.scenario.settings
        acts: dict[str, Callable[[], object]] = {
            "waive": lambda: self.db.transact(
                partial(by_owner.waive, connection_ids=[account.id], selection=GapFilter())
            ),
            "reopen": partial(self._reopen, account),
            "cancel": lambda: self.db.transact(partial(runs.request_cancel, connection_id=account.id)),
            "renew_credentials": partial(self._renew, account),
            "rule_notes_out": partial(self._rule_notes, account, out=True),
            "rule_notes_in": partial(self._rule_notes, account, out=None),
            "remove": partial(self._remove, account),
            "recover": lambda: recover(settings, self.db, [account.id]),
            "recover_some": lambda: recover(settings, self.db, [account.id], GapFilter(stream=ITEMS), Budget(items=1)),
            "pause": partial(self._plan, account, paused=True),
            "resume": partial(self._plan, account, paused=False),
            "create": self.create,
        }
        acts[act]()

    def _plan(self, account: Account, *, paused: bool) -> None:
        now = datetime.now(UTC)
        with self.db.begin() as connection:
            connections.schedule(connection, account.id, every_s=3600.0, cron=None, jitter_s=0.0, next_run_at=now)
            connections.pause(connection, account.id, paused)

    def _reopen(self, account: Account) -> None:
        closed = account.let_go()
        self.db.transact(partial(by_owner.reopen, connection_ids=[account.id], selection=GapFilter()))
        account.note_reopened(closed)

    def _renew(self, account: Account) -> None:
        account.source.session += 1
        account.source.signed_in = True
        self.db.transact(partial(connections.set_credentials, connection_id=account.id, credentials={"token": "env:T"}))

    def _rule_notes(self, account: Account, *, out: bool | None) -> None:
        change = partial(edits.change_settings, connection_id=account.id, changes={"without": out})
        self.db.transact(change)
        self._sweep_structural()

    def _sweep_structural(self) -> None:
        closed = {account.id: account.let_go() for account in self.stage.accounts}
        sweep_structural(self.db)
        for account in self.stage.accounts:
            account.note_reopened(closed[account.id])

    def _remove(self, account: Account) -> None:
        """The last one stays, or there would be nothing to look at."""
        if len(self.stage.accounts) == 1 or account not in self.stage.accounts:
            return
        self.stage.accounts.remove(account)
        self.db.transact(partial(connections.remove, connection_id=account.id))
        account.check_is_gone()
        with pytest.raises(NotFoundError):
            self._begin(account, "walk")


def test_nothing_is_lost_and_every_run_ends_whatever_happens(
    scenario: Scenario, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(Life):
        def __init__(self) -> None:
            super().__init__(scenario, redis, monkeypatch)

    run_state_machine_as_test(Here, settings=stateful(examples=7, steps=25))
