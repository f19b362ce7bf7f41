"""The actors, and what has to hold when they are done."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from queue import Empty, Queue
from random import Random

from redis import Redis
from sqlalchemy import Connection, text

from bench.stress.connector import NAME, Died
from pdpp_worker.dispatch import dispatch, request_run
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.recovery.structural import sweep_structural
from pdpp_worker.recovery.sweep import recover, sweep_transient
from pdpp_worker.recovery.upgrade import sweep_upgrade
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, edits, runs
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps.selection import GapFilter

CONNECTIONS, WORKERS, DISPATCHERS, SWEEPERS = 6, 4, 2, 2
WINDOWS = 2
"""In which the owner gives commands."""
LEASE_S = 1.0

_DEADLOCKS = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
_ACTIVE = text("SELECT id FROM runs WHERE ended_at IS NULL")
_WAKE = text("UPDATE runs SET not_before = now(), cancel_requested = true WHERE ended_at IS NULL")
# A number that a cursor has passed and that is neither held nor known to be missing (or let go) was lost.
_LOST = text("""
    SELECT connection_id, number FROM checkpoints CROSS JOIN LATERAL generate_series(1, cursor::int) AS number
    WHERE NOT EXISTS (SELECT 1 FROM records WHERE records.connection_id = checkpoints.connection_id
            AND key = number::text)
        AND NOT EXISTS (SELECT 1 FROM gaps WHERE gaps.connection_id = checkpoints.connection_id
            AND scope ->> 'resource_id' = number::text AND status <> 'recovered')
""")
_ORPHANS = text("""
    SELECT count(*) FROM records WHERE NOT EXISTS (SELECT 1 FROM connections WHERE id = records.connection_id)
""")


@dataclass
class Outcome:
    """The outcome of a play; all but `operations` and `seconds` has to be empty or 0."""

    operations: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    deadlocks: int = 0
    errors: list[str] = field(default_factory=list)
    lost_updates: list[str] = field(default_factory=list)
    lost_items: list[str] = field(default_factory=list)
    stuck_runs: list[int] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.deadlocks or self.errors or self.lost_updates or self.lost_items or self.stuck_runs)


class Play:
    """One play on a migrated, empty database, where `bench.stress.connector` is installed."""

    def __init__(self, settings: Settings, db: Database, redis: Redis, seed: int) -> None:
        self._settings = settings.model_copy(update={"lease_s": LEASE_S, "gap_backoff_s": 0.2, "batch_s": 0.02})
        self._db = db
        self._redis = redis
        self._chances = (Random(seed + n) for n in itertools.count())
        self._names = itertools.count()
        self._given: dict[int, set[str]] = {}
        self._rung: Queue[int] = Queue()
        self._over = threading.Event()
        self.outcome = Outcome()

    def run(self, *, operations: int | None = None, seconds: float | None = None) -> Outcome:
        """Let everybody act until so many operations are done or so many seconds have passed."""
        for _ in range(CONNECTIONS):
            self._add()
        before, began = self._deadlocks(), time.monotonic()
        threads = [threading.Thread(target=self._act, args=(actor, next(self._chances))) for actor in self._actors()]
        for thread in threads:
            thread.start()
        while not self._is_over(operations, seconds, began):
            self._over.wait(0.1)
        self._over.set()
        for thread in threads:
            thread.join()
        self.outcome.seconds = time.monotonic() - began
        self._finish()
        self._db.transact(self._judge)
        self.outcome.deadlocks = self._deadlocks() - before
        return self.outcome

    def _is_over(self, operations: int | None, seconds: float | None, began: float) -> bool:
        done = operations is not None and self.outcome.operations.total() >= operations
        return done or (seconds is not None and time.monotonic() - began >= seconds)

    def _actors(self) -> list[Callable[[Random], str]]:
        return [
            *[self._work] * WORKERS,
            *[self._dispatch] * DISPATCHERS,
            *[self._sweep] * SWEEPERS,
            *[self._own] * WINDOWS,
        ]

    def _act(self, actor: Callable[[Random], str], chance: Random) -> None:
        while not self._over.is_set():
            try:
                self.outcome.operations[actor(chance)] += 1
            except ConfigurationError:  # it was removed meanwhile
                self.outcome.operations["refused"] += 1
            except Exception as error:  # noqa: BLE001 - everything else is a finding
                self.outcome.errors.append(f"{actor.__name__}: {type(error).__name__}: {error}"[:300])

    def _work(self, chance: Random) -> str:
        with suppress(Empty):
            self._slice(self._rung.get(timeout=0.05), stopping=chance.random() < 0.1)
            return "slice"
        return "idle"

    def _slice(self, run_id: int, *, stopping: bool = False) -> None:
        try:
            result = run_slice(self._settings, self._db, self._redis, run_id, stopping=lambda: stopping)
        except Died:
            return
        if result is not None and result.status is None:
            self._rung.put(run_id)

    def _dispatch(self, _: Random) -> str:
        for bell in dispatch(self._settings, self._db):
            self._rung.put(bell.run_id)
        return "dispatch"

    def _sweep(self, chance: Random) -> str:
        if chance.random() < 0.2:
            sweep_structural(self._db)
        for bell in [*sweep_transient(self._settings, self._db), *sweep_upgrade(self._settings, self._db)]:
            self._rung.put(bell.run_id)
        return "sweep"

    def _own(self, chance: Random) -> str:
        with self._db.begin() as connection:
            rows = connections.list_all(connection)
        act = chance.choices(
            (self._ask, self._recover, self._by_hand, self._give, self._plan, self._cancel, self._replace),
            (3, 3, 3, 4, 3, 2, 1),
        )[0]
        act(chance, chance.choice(rows), rows)
        return act.__name__.removeprefix("_")

    def _ask(self, chance: Random, row: ConnectionRow, _: list[ConnectionRow]) -> None:
        self._rung.put(request_run(self._db, row, trigger="manual", full=chance.random() < 0.1)[0])

    def _recover(self, chance: Random, _: ConnectionRow, rows: list[ConnectionRow]) -> None:
        ids = [row.id for row in chance.sample(rows, chance.randint(1, len(rows)))]
        for bell in recover(self._settings, self._db, ids):
            self._rung.put(bell.run_id)

    def _by_hand(self, chance: Random, _: ConnectionRow, rows: list[ConnectionRow]) -> None:
        ids = [row.id for row in chance.sample(rows, chance.randint(1, len(rows)))]
        change = chance.choice((by_owner.waive, by_owner.reopen))
        self._db.transact(partial(change, connection_ids=ids, selection=GapFilter(reason=None)))

    def _give(self, _: Random, row: ConnectionRow, __: list[ConnectionRow]) -> None:
        """Two settings at once, and a credential: all three have to be there at the end."""
        first, second, third = (f"k{next(self._names)}" for _ in range(3))
        other = threading.Thread(target=self._set, args=(row.id, first))
        other.start()
        self._set(row.id, second)
        given = {third: f"env:{third}"}
        self._db.transact(partial(connections.set_credentials, connection_id=row.id, credentials=given))
        other.join()
        self._given.get(row.id, set()).update({first, second, third})

    def _set(self, connection_id: int, key: str) -> None:
        with suppress(NotFoundError):  # it was removed meanwhile
            self._db.transact(partial(edits.change_settings, connection_id=connection_id, changes={key: 1}))

    def _plan(self, chance: Random, row: ConnectionRow, _: list[ConnectionRow]) -> None:
        def plan(connection: Connection) -> None:
            connections.by_id(connection, row.id)
            every_s, now = chance.choice((0.2, 5.0)), datetime.now(UTC)
            connections.schedule(connection, row.id, every_s=every_s, cron=None, jitter_s=0, next_run_at=now)
            connections.pause(connection, row.id, chance.random() < 0.3)

        self._db.transact(plan)

    def _cancel(self, _: Random, row: ConnectionRow, __: list[ConnectionRow]) -> None:
        self._db.transact(partial(runs.request_cancel, connection_id=row.id))

    def _replace(self, _: Random, row: ConnectionRow, __: list[ConnectionRow]) -> None:
        self._db.transact(partial(connections.remove, connection_id=row.id))
        if self._given.pop(row.id, None) is not None:
            self._add()

    def _add(self) -> None:
        name = f"account {next(self._names)}"
        with self._db.begin() as connection:
            self._given[connections.add(connection, name, NAME, {}, {})] = set()

    def _finish(self) -> None:
        """Every run has to come to its end once its owner stops it and those that died hold no lease any more."""
        deadline = time.monotonic() + 30 * LEASE_S
        while (active := self._active()) and time.monotonic() < deadline:
            self._db.transact(lambda connection: connection.execute(_WAKE))
            for run_id in active:
                self._slice(run_id)
        self.outcome.stuck_runs = self._active()

    def _active(self) -> list[int]:
        with self._db.begin() as connection:
            return list(connection.execute(_ACTIVE).scalars())

    def _judge(self, connection: Connection) -> None:
        held = {row.id: row.settings.keys() | row.credentials.keys() for row in connections.list_all(connection)}
        self.outcome.lost_updates = [
            f"{connection_id}: {key}"
            for connection_id, keys in self._given.items()
            for key in keys - held[connection_id]
        ]
        self.outcome.lost_items = [f"{one.connection_id}: {one.number}" for one in connection.execute(_LOST)]
        if orphans := connection.execute(_ORPHANS).scalar_one():
            self.outcome.lost_items.append(f"{orphans} records of removed connections")

    def _deadlocks(self) -> int:
        with self._db.begin() as connection:
            return int(connection.execute(_DEADLOCKS).scalar_one())
