"""A connection has one run at a time, a run has one worker at a time, and its books cannot lie."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pdpp_worker.errors import LeaseLostError, NotFoundError
from pdpp_worker.store import leases, run_slices, runs
from pdpp_worker.store.engine import Database
from tests.support.desk import Desk

PERIOD = timedelta(seconds=30)
HOUR_S = 3600.0
LEASE_OVER = "UPDATE leases SET expires_at = now() WHERE connection_id = :c"


@pytest.fixture
def idle(store: Database) -> Desk:
    """A connection whose run is queued and nobody's."""
    desk = Desk(store)
    with store.begin() as connection:
        leases.release(connection, desk.claim)
    return desk


def claim(desk: Desk, holder: str = "worker") -> run_slices.Slice | None:
    """Take up the run."""
    with desk.db.begin() as connection:
        return run_slices.claim_slice(connection, desk.run_id, holder, 600.0)


def test_a_bell_that_rings_twice_does_not_get_in_the_way_of_the_worker(desk: Desk) -> None:
    with ThreadPoolExecutor() as threads:
        with desk.db.begin() as connection:
            leases.renew(connection, desk.claim)
            second = threads.submit(claim, desk, "another")
            desk.until_somebody_waits()
            connection.execute(text("UPDATE runs SET idle_slices = 0 WHERE id = :id"), {"id": desk.run_id})

        assert second.result() is None


def take_due(desk: Desk, again: timedelta = PERIOD) -> list[int]:
    """The bells to ring, of this connection."""
    with desk.db.begin() as connection:
        return [ring.run_id for ring in runs.take_due(connection, 1000, again) if ring.run_id == desk.run_id]


class TestQueueing:
    """One active run for a connection."""

    def test_a_second_request_finds_the_active_run(self, desk: Desk) -> None:
        assert desk.new_run() == desk.run_id

    def test_many_requests_at_once_make_one_run(self, desk: Desk) -> None:
        desk.execute("UPDATE runs SET status = 'cancelled', ended_at = now() WHERE connection_id = :c")

        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(lambda _: desk.new_run(), range(16)))

        assert len(found) == 1

    def test_the_database_refuses_a_second_active_run(self, desk: Desk) -> None:
        second = """
            INSERT INTO runs (connection_id, kind, trigger, mode, streams, connector_version)
            VALUES (:c, 'forward', 'manual', 'incremental', '[]', '1')
        """
        with pytest.raises(IntegrityError, match="uq_runs_active"):
            desk.execute(second)

    def test_a_run_that_ended_makes_room_for_the_next(self, desk: Desk) -> None:
        assert desk.new_run(end_others=True) > desk.run_id

    def test_an_unknown_run_has_no_status(self, store: Database) -> None:
        with store.begin() as connection, pytest.raises(NotFoundError, match="There is no run -1; see: pdpp-worker"):
            runs.status(connection, -1)


class TestClaiming:
    """One worker for a run."""

    def test_a_run_is_claimed_once(self, idle: Desk) -> None:
        first = claim(idle)

        assert first is not None
        assert (first.kind, first.mode, first.streams) == ("forward", "incremental", [{"name": "items"}])
        assert claim(idle, "another") is None

    def test_many_workers_that_hear_the_same_bell_are_one(self, idle: Desk) -> None:
        with ThreadPoolExecutor(8) as threads:
            claimed = list(threads.map(lambda n: claim(idle, f"worker {n}"), range(16)))

        assert len([one for one in claimed if one is not None]) == 1
        assert idle.one("SELECT slices FROM runs WHERE id = :run", run=idle.run_id) == {"slices": 1}

    def test_a_run_that_is_not_due_is_not_claimed(self, idle: Desk) -> None:
        idle.execute("UPDATE runs SET not_before = now() + interval '1 hour' WHERE connection_id = :c")

        assert claim(idle) is None

    def test_a_run_that_is_over_is_not_claimed(self, idle: Desk) -> None:
        idle.execute("UPDATE runs SET status = 'cancelled', ended_at = now() WHERE connection_id = :c")

        assert claim(idle) is None

    def test_a_run_whose_worker_died_is_claimed_when_the_lease_is_over(self, idle: Desk) -> None:
        dead = claim(idle)
        assert dead is not None
        idle.execute("UPDATE leases SET expires_at = now() WHERE connection_id = :c")

        again = claim(idle)

        assert again is not None
        assert again.idle_before == 1
        with idle.db.begin() as connection, pytest.raises(LeaseLostError):
            leases.renew(connection, dead.claim)

    def test_a_slice_that_ends_in_good_order_can_be_followed_at_once(self, idle: Desk) -> None:
        first = claim(idle)
        assert first is not None
        with idle.db.begin() as connection:
            run_slices.continue_later(connection, first.claim, 0.0, "walk", {})

        second = claim(idle)

        assert second is not None
        assert second.idle_before == 0

    def test_a_slice_can_put_the_rest_off(self, idle: Desk) -> None:
        first = claim(idle)
        assert first is not None
        with idle.db.begin() as connection:
            run_slices.continue_later(connection, first.claim, HOUR_S, "walk", {})

        assert claim(idle) is None
        assert take_due(idle) == []
        query = "SELECT round(extract(epoch FROM not_before - now()) / 60) AS minutes, status FROM runs WHERE id = :run"
        assert idle.one(query, run=idle.run_id) == {"minutes": 60, "status": "running"}

    def test_a_slice_says_why_the_rest_waits(self, idle: Desk) -> None:
        first = claim(idle)
        assert first is not None
        with idle.db.begin() as connection:
            run_slices.continue_later(
                connection, first.claim, HOUR_S, "walk", {}, wait_reason="answered 503 three times"
            )

        reason = "answered 503 three times"
        assert idle.one("SELECT wait_reason FROM runs WHERE id = :run", run=idle.run_id) == {"wait_reason": reason}
        not_before = idle.one("SELECT not_before FROM runs WHERE id = :run", run=idle.run_id)["not_before"]
        assert idle.one("SELECT data FROM events WHERE connection_id = :c AND type = 'slice_ended'") == {
            "data": {"not_before": not_before.isoformat(), "wait_reason": reason}
        }

    def test_slices_without_progress_are_counted_until_one_makes_some(self, idle: Desk) -> None:
        before = [self.end_a_slice(idle, progressed=progressed) for progressed in (False, False, True, False)]

        assert before == [0, 1, 2, 0]

    def test_what_was_asked_for_or_kept_is_noted_and_so_is_the_end_of_a_wait_with_a_reason(self, idle: Desk) -> None:
        self.end_a_slice(idle, progressed=False)
        untouched = self.touched_at(idle)
        self.end_a_slice(idle, progressed=True)
        touched = self.touched_at(idle)
        slice_ = claim(idle)
        assert slice_ is not None
        with idle.db.begin() as connection:
            run_slices.continue_later(
                connection, slice_.claim, HOUR_S, "walk", {}, wait_reason="paused", progressed=False
            )

        assert untouched is None
        assert touched is not None
        waited_for = self.touched_at(idle)
        assert waited_for is not None
        assert waited_for - touched >= timedelta(minutes=59)

    def test_a_wait_without_a_reason_is_no_touch(self, idle: Desk) -> None:
        slice_ = claim(idle)
        assert slice_ is not None
        with idle.db.begin() as connection:
            run_slices.continue_later(connection, slice_.claim, HOUR_S, "walk", {}, progressed=False)

        assert self.touched_at(idle) is None

    def touched_at(self, desk: Desk) -> datetime | None:
        """When the run last asked for or kept anything."""
        found: datetime | None = desk.one("SELECT touched_at FROM runs WHERE id = :run", run=desk.run_id)["touched_at"]
        return found

    def end_a_slice(self, desk: Desk, *, progressed: bool) -> int:
        """Work a slice of the run; returns how many slices in a row had made no progress before it."""
        slice_ = claim(desk)
        assert slice_ is not None
        with desk.db.begin() as connection:
            run_slices.continue_later(connection, slice_.claim, 0.0, "walk", {}, progressed=progressed)
        return slice_.still_before

    def test_a_request_to_stop_makes_the_run_due(self, idle: Desk) -> None:
        idle.execute("UPDATE runs SET not_before = now() + interval '1 hour' WHERE connection_id = :c")

        with idle.db.begin() as connection:
            assert runs.request_cancel(connection, idle.connection_id) == idle.run_id

        taken = claim(idle)
        assert taken is not None
        assert taken.cancel_requested

    def test_a_request_to_stop_ends_the_wait_of_a_run(self, idle: Desk) -> None:
        slice_ = claim(idle)
        assert slice_ is not None
        with idle.db.begin() as connection:
            run_slices.continue_later(connection, slice_.claim, HOUR_S, "walk", {}, wait_reason="paused")

            runs.request_cancel(connection, idle.connection_id)

        row = idle.one(
            "SELECT wait_reason, touched_at < now() + interval '1 minute' AS touched FROM runs WHERE id = :run",
            run=idle.run_id,
        )
        assert row == {"wait_reason": None, "touched": True}

    def test_nothing_is_stopped_where_nothing_runs(self, idle: Desk) -> None:
        idle.execute("UPDATE runs SET status = 'cancelled', ended_at = now() WHERE connection_id = :c")

        with idle.db.begin() as connection:
            assert runs.request_cancel(connection, idle.connection_id) is None


class TestRinging:
    """The dispatcher rings for what waits."""

    def test_a_run_is_rung_once_in_a_period(self, idle: Desk) -> None:
        assert [take_due(idle), take_due(idle)] == [[idle.run_id], []]

    def test_a_bell_that_nobody_heard_is_rung_again_after_the_period(self, idle: Desk) -> None:
        take_due(idle)
        idle.execute("UPDATE runs SET rung_at = rung_at - interval '31 s' WHERE connection_id = :c")

        assert take_due(idle) == [idle.run_id]

    def test_a_run_that_is_being_worked_is_not_rung(self, idle: Desk) -> None:
        claim(idle)

        assert take_due(idle, timedelta(0)) == []

    def test_a_run_that_was_just_claimed_and_died_is_rung_when_its_lease_is_over(self, idle: Desk) -> None:
        claim(idle)
        idle.execute("UPDATE leases SET expires_at = now() WHERE connection_id = :c")

        assert take_due(idle, timedelta(0)) == [idle.run_id]

    def test_a_run_whose_worker_died_is_rung_though_other_messages_wait(self, idle: Desk) -> None:
        take_due(idle)
        claim(idle)
        idle.execute("UPDATE leases SET expires_at = now() WHERE connection_id = :c")

        with idle.db.begin() as connection:
            due = runs.take_due(connection, 1000, PERIOD, ["scripted"])

        assert idle.run_id in [one.run_id for one in due]

    def test_two_dispatchers_never_ring_for_the_same_run(self, store: Database) -> None:
        desks = [Desk(store) for _ in range(10)]
        waiting = {desk.run_id for desk in desks}
        for desk in desks:
            desk.execute(LEASE_OVER)

        with store.begin() as one, store.begin() as other:
            first = {ring.run_id for ring in runs.take_due(one, 5, PERIOD)}
            second = {ring.run_id for ring in runs.take_due(other, 1000, PERIOD)}

        assert len(first) == 5
        assert first & second == set()
        assert waiting <= first | second

    def test_whoever_waits_longest_is_rung_first(self, store: Database) -> None:
        patient, urgent = Desk(store), Desk(store)
        for desk, hours in ((urgent, 1000), (patient, 2000)):
            desk.execute(LEASE_OVER)
            desk.execute(
                "UPDATE runs SET not_before = now() - :h * interval '1 hour' WHERE connection_id = :c", h=hours
            )

        with store.begin() as connection:
            (ring,) = runs.take_due(connection, 1, PERIOD)

        assert ring.run_id == patient.run_id


class TestBooks:
    """The database refuses what is not so, whoever writes it."""

    def end(self, desk: Desk, **columns: object) -> None:
        """End the run with these columns."""
        whole = {"status": "'succeeded'", "ended_at": "now()", **columns}
        changes = ", ".join(f"{name} = {value}" for name, value in whole.items())
        desk.execute(f"UPDATE runs SET {changes} WHERE connection_id = :c")  # noqa: S608

    def test_a_whole_run_may_succeed(self, desk: Desk) -> None:
        self.end(
            desk,
            records_emitted=5,
            records_flushed=3,
            records_unchanged=2,
            records_durable=5,
            checkpoints_staged=1,
            checkpoints_committed=1,
        )

        assert desk.one("SELECT status FROM runs WHERE connection_id = :c") == {"status": "succeeded"}

    @pytest.mark.parametrize(
        "missing",
        [
            {"skipped": 1},
            {"unreached": 1},
            {"records_emitted": 1, "records_rejected": 1},
            {"unfinished_streams": 1},
            {"checkpoints_staged": 1},
        ],
        ids=", ".join,
    )
    def test_a_success_with_anything_missing_is_refused(self, desk: Desk, missing: dict[str, int]) -> None:
        with pytest.raises(IntegrityError, match="ck_runs_succeeded_misses_nothing"):
            self.end(desk, **missing)

    @pytest.mark.parametrize("status", ["succeeded", "partially_completed", "failed", "cancelled"])
    @pytest.mark.parametrize(
        "counts",
        [{"records_emitted": 2, "records_flushed": 1}, {"records_emitted": 1, "records_unchanged": 2}],
        ids=["one lost", "one too many"],
    )
    def test_books_that_do_not_balance_are_refused(self, desk: Desk, status: str, counts: dict[str, int]) -> None:
        with pytest.raises(IntegrityError, match="ck_runs_books_balance"):
            self.end(desk, status=f"'{status}'", **counts)

    @pytest.mark.parametrize("durable", [{"records_durable": 1}, {"checkpoints_staged": 1, "checkpoints_committed": 1}])
    def test_a_failure_that_holds_something_is_refused(self, desk: Desk, durable: dict[str, int]) -> None:
        with pytest.raises(IntegrityError, match="ck_runs_failed_holds_nothing"):
            self.end(desk, status="'failed'", **durable)

    @pytest.mark.parametrize("columns", [{"ended_at": "NULL"}, {"status": "'running'"}])
    def test_a_run_that_is_over_says_when(self, desk: Desk, columns: dict[str, str]) -> None:
        with pytest.raises(IntegrityError, match="ck_runs_ended"):
            self.end(desk, **columns)

    @pytest.mark.parametrize(
        ("column", "value"),
        [("status", "'done'"), ("kind", "'sideways'"), ("trigger", "'whim'"), ("mode", "'other'")],
    )
    def test_words_outside_their_list_are_refused(self, desk: Desk, column: str, value: str) -> None:
        with pytest.raises(IntegrityError, match=f"ck_runs_{column}"):
            self.end(desk, **{column: value})

    @pytest.mark.parametrize(
        ("column", "value", "constraint"),
        [
            ("considered", 2, "books_balance"),
            ("checkpoints_committed", 1, "checkpoints"),
            ("state", "'lost'", "state"),
        ],
    )
    def test_the_books_of_a_stream_are_checked_too(
        self, desk: Desk, column: str, value: object, constraint: str
    ) -> None:
        desk.execute("INSERT INTO run_streams (run_id, stream) VALUES (:run, 'items')", run=desk.run_id)

        with pytest.raises(IntegrityError, match=f"ck_run_streams_{constraint}"):
            desk.execute(f"UPDATE run_streams SET {column} = {value} WHERE run_id = :run", run=desk.run_id)  # noqa: S608
