"""No connection starves another: workers are shared by turns, however much one of them has to do."""

from __future__ import annotations

import random
from math import ceil

import pytest
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.dispatch import tick
from pdpp_worker.recovery import sweep
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.dispatch.hall import SLICE_S, TICK_S, Hall
from tests.support.scripted import ScriptedConnector, manifest

HOUR_S = 3600.0
SMALL_S = 5.0


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    connector = ScriptedConnector(manifest(), "scripted", lambda _start, _context: iter(()))
    monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})


def at_work(db: Database, long: int, threads: int, *, failing: int = 0) -> Hall:
    """A fleet in which long walks, and connections that always fail, have had all threads for a while."""
    hall = Hall(Settings(), db, threads)
    for number in range(long):
        hall.add(f"long {number}", 10 * HOUR_S)
    for number in range(failing):
        hall.add(f"failing {number}", every_s=1.0)
    hall.pass_time(10 * SLICE_S)
    return hall


@pytest.mark.parametrize("seed", range(2))
def test_a_short_run_has_its_turn_when_each_other_one_had_one(db: Database, seed: int) -> None:
    dice = random.Random(seed)
    long, small, failing, threads = dice.randint(2, 5), dice.randint(2, 8), dice.randint(0, 2), dice.randint(1, 2)
    hall = at_work(db, long, threads, failing=failing)
    added = [hall.add(f"small {number}", SMALL_S) for number in range(small)]

    turn_s = ceil(long / threads) * SLICE_S + (small + failing) * SMALL_S
    hall.pass_time(hall.now + TICK_S + turn_s + SLICE_S)

    assert all(one in hall.done_at for one in added)


def test_long_runs_share_the_workers_alike(db: Database) -> None:
    hall = at_work(db, long=4, threads=1)

    served = [hall.served_s[one] for one in hall.work_s]

    assert max(served) - min(served) <= SLICE_S


def test_a_run_that_goes_on_has_one_message_however_often_the_dispatcher_ticks(db: Database) -> None:
    hall = at_work(db, long=4, threads=1)

    assert hall.most_waiting <= 4


def test_a_connection_that_always_fails_takes_no_turn_of_another(db: Database) -> None:
    hall = at_work(db, long=2, threads=1, failing=3)

    assert sum(hall.served_s[one] for one in hall.work_s) >= 9 * SLICE_S


def add_gaps(db: Database, name: str, connector: str, gaps: int, hours: float) -> int:
    """A connection with gaps that are due for so long, and no schedule."""
    with db.begin() as connection:
        statement = text("INSERT INTO connections (name, connector) VALUES (:name, :connector) RETURNING id")
        added = connection.execute(statement, {"name": name, "connector": connector}).scalar_one()
        connection.execute(
            text("""
                INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, first_run_id,
                    last_run_id, next_attempt_at, connector_version_seen)
                SELECT :c, 'items', jsonb_build_object('resource_id', n::text), sha256(n::text::bytea), 'timed_out',
                    'retry_by_runtime', 0, 0, now() - :hours * interval '1 hour', '1'
                FROM generate_series(1, :gaps) AS n
            """),
            {"c": added, "gaps": gaps, "hours": hours},
        )
        return int(added)


def test_connections_with_few_gaps_are_recovered_beside_one_with_very_many(db: Database) -> None:
    hall = Hall(Settings(), db, threads=2)
    many = add_gaps(db, "many", "scripted", 3_000, hours=100)
    few = [add_gaps(db, f"few {number}", "scripted", 1, hours=1) for number in range(10)]
    hall.work_s.update({many: 10 * HOUR_S, **dict.fromkeys(few, SMALL_S)})

    hall.pass_time(TICK_S + SLICE_S + 10 * SMALL_S)

    assert all(one in hall.done_at for one in few)


def test_gaps_that_nobody_can_recover_fill_no_page(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PAGE", 2)
    hall = Hall(Settings(), db, threads=1)
    for number in range(3):
        add_gaps(db, f"not installed {number}", "gone", 1, hours=100)
    one = add_gaps(db, "installed", "scripted", 1, hours=1)
    hall.work_s[one] = SMALL_S

    hall.pass_time(TICK_S)

    assert one in hall.done_at


def test_runs_that_no_worker_takes_fill_no_page_of_the_dispatcher(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick, "PAGE", 2)
    hall = Hall(Settings(), db, threads=0)
    for number in range(5):
        hall.add(f"waiting {number}", SMALL_S)

    hall.pass_time(3 * TICK_S)

    assert len(set(hall.told)) == 5
