"""Due gaps come in fair order: nobody starves, and what was asked for by hand comes when it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope
from pdpp_worker.store import connections, schedules
from pdpp_worker.store.batch import Batch
from pdpp_worker.store.effects import KeyFetched
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner, due
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.selection import GapFilter, ScopeKinds
from tests.support.desk import POLICY, Desk, missed

PARTITION = BatchScope(partition={"channel": "C1"})


def age(desk: Desk, name: str, *, hours: float) -> None:
    """Let a gap have been due for longer."""
    desk.execute(
        "UPDATE gaps SET next_attempt_at = next_attempt_at - :hours * interval '1 hour' WHERE id = :id",
        hours=hours,
        id=desk.gap(name)["id"],
    )


class TestOrder:
    """Which gaps are tried first."""

    def test_those_whose_time_has_come(self, desk: Desk) -> None:
        desk.miss(missed("now"), missed("later"))
        age(desk, "now", hours=1)

        assert desk.due() == ["now"]

    def test_whoever_is_due_longest(self, desk: Desk) -> None:
        desk.miss(*[missed(name) for name in "abc"])
        age(desk, "a", hours=1)
        age(desk, "b", hours=5)
        age(desk, "c", hours=3)

        assert desk.due() == ["b", "c", "a"]

    def test_one_that_was_tried_comes_behind_those_that_were_not(self, desk: Desk) -> None:
        desk.miss(*[missed(name) for name in ("failing", "patient")])
        age(desk, "failing", hours=2)
        age(desk, "patient", hours=1)
        assert desk.due() == ["failing", "patient"]

        desk.miss(missed("failing"))
        desk.execute("UPDATE gaps SET next_attempt_at = next_attempt_at - interval '1 hour' WHERE connection_id = :c")

        assert desk.due() == ["patient", "failing"]

    def test_fresh_ones_come_behind_old_ones(self, desk: Desk) -> None:
        desk.miss(missed("old"))
        age(desk, "old", hours=1)
        desk.miss(missed("fresh"))
        age(desk, "fresh", hours=0.5)

        assert desk.due() == ["old", "fresh"]

    def test_what_a_run_has_met_itself_is_left_to_the_next_one(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.elapse()

        with desk.db.begin() as connection:
            assert Backlog(desk.claim, ScopeKinds(), GapFilter()).lease(connection, 10) == []


class TestForms:
    """A connector is asked only for what it can be asked for by itself."""

    @pytest.mark.parametrize(
        ("forms", "taken"),
        [
            (ScopeKinds(resources=True, batches=False), ["resource"]),
            (ScopeKinds(resources=False, batches=True), ["batch"]),
            (ScopeKinds(resources=True, batches=True), ["batch", "resource"]),
            (ScopeKinds(resources=False, batches=False), []),
        ],
    )
    def test_a_whole_stream_is_none_of_them(self, desk: Desk, forms: ScopeKinds, taken: list[str]) -> None:
        desk.miss(missed("a"), missed(scope=PARTITION), missed(scope=WHOLE_STREAM))
        desk.elapse()

        with desk.db.begin() as connection:
            found = Backlog(desk.other_claim(), forms, GapFilter()).lease(connection, 10)

        assert sorted("resource" if isinstance(gap.scope, ResourceScope) else "batch" for gap in found) == taken

    def test_a_connection_says_what_is_due_there(self, desk: Desk) -> None:
        desk.miss(missed("a"), missed("b"), missed(scope=PARTITION), missed(scope=WHOLE_STREAM))
        desk.elapse()
        desk.end_runs()

        with desk.db.begin() as connection:
            found = due.due_connections(connection, 100, [desk.connection_id])

        assert found == [(desk.connection_id, "scripted", 2, 1, 1)]

    def test_a_connection_with_a_run_of_its_own_is_not_swept(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.elapse()

        with desk.db.begin() as connection:
            assert due.due_connections(connection, 100, [desk.connection_id]) == []

    def test_a_paused_connection_is_left_alone_until_somebody_asks(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.elapse()
        desk.end_runs()
        desk.execute("INSERT INTO schedules (connection_id, every_s, next_run_at, paused) VALUES (:c, 60, now(), true)")

        with desk.db.begin() as connection:
            assert due.due_connections(connection, 100, [desk.connection_id]) == []
            assert len(due.due_connections(connection, 100, [desk.connection_id], asked=True)) == 1

    def test_a_walk_that_is_due_comes_before_a_recovery(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.elapse()
        desk.end_runs()
        desk.execute("INSERT INTO schedules (connection_id, every_s, next_run_at) VALUES (:c, 60, now())")

        with desk.db.begin() as connection:
            assert due.due_connections(connection, 100, [desk.connection_id]) == []

    @pytest.mark.parametrize(
        ("kind", "phase", "due"),
        [("recovery", "recover", False), ("forward", "drain", False), ("forward", "walk", True)],
    )
    def test_a_walk_whose_time_comes_waits_for_a_run_that_only_goes_back_and_is_not_lost(
        self, desk: Desk, kind: str, phase: str, due: bool
    ) -> None:
        desk.execute("UPDATE runs SET kind = :kind, phase = :phase WHERE connection_id = :c", kind=kind, phase=phase)
        desk.execute("INSERT INTO schedules (connection_id, every_s, next_run_at) VALUES (:c, 86400, now())")

        with desk.db.begin() as connection:
            found = schedules.due(connection, 1000)

        assert (desk.connection_id in found) == due


class TestLeases:
    """Gaps that are being fetched are known, and a worker that dies leaves nothing behind to be put right."""

    def test_a_gap_names_the_run_that_fetches_it_and_stays_open(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.elapse()
        run_id = desk.next_run()

        desk.due()

        assert (desk.gap()["leased_by_run_id"], desk.gap()["status"]) == (run_id, "open")

    def test_the_next_run_takes_what_a_dead_one_had(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.elapse()
        desk.next_run()
        desk.due()

        desk.next_run()

        assert desk.due() == ["a"]


class TestSelection:
    """Somebody may ask for a part only."""

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            (GapFilter(), ["a", "b"]),
            (GapFilter(stream="items"), ["a", "b"]),
            (GapFilter(stream="others"), []),
            (GapFilter(reason="timed_out"), ["b"]),
        ],
    )
    def test_of_a_stream_or_for_a_reason(self, desk: Desk, chosen: GapFilter, expected: list[str]) -> None:
        desk.miss(missed("a"), missed("b", reason="timed_out"))
        desk.elapse()

        assert sorted(desk.due(selection=chosen)) == expected

    def test_of_single_gaps(self, desk: Desk) -> None:
        desk.miss(missed("a"), missed("b"))
        desk.elapse()

        assert desk.due(selection=GapFilter(ids=[desk.gap("b")["id"]])) == ["b"]


class TestCooldown:
    """While the provider wants a pause, what it refused for its limits waits; nothing else does."""

    def test_only_pressure_is_held_back(self, desk: Desk) -> None:
        desk.miss(missed("refused"), missed("slow", reason="timed_out"))
        desk.elapse()

        desk.commit(Batch(cooldown_until=datetime.now(UTC) + timedelta(hours=1)))

        assert desk.due() == ["slow"]
        assert held_until(desk) is not None

    def test_a_run_waits_for_no_pause_that_holds_nothing_back_from_it(self, desk: Desk) -> None:
        desk.miss(missed("slow", reason="timed_out"))
        desk.elapse()

        desk.commit(Batch(cooldown_until=datetime.now(UTC) + timedelta(hours=1)))

        assert held_until(desk) is None

    def test_a_pause_is_never_shortened(self, desk: Desk) -> None:
        late, soon = (datetime.now(UTC) + timedelta(hours=hours) for hours in (5, 1))
        desk.commit(Batch(cooldown_until=late))
        desk.commit(Batch(cooldown_until=soon))

        assert desk.one("SELECT cooldown_until FROM connections WHERE id = :c")["cooldown_until"] == late

    def test_it_ends_by_itself(self, desk: Desk) -> None:
        desk.miss(missed("refused"))
        desk.elapse()

        desk.commit(Batch(cooldown_until=datetime.now(UTC) - timedelta(seconds=1)))

        assert desk.due() == ["refused"]


class TestTheOwnersWord:
    """Credentials that change and an owner who says go make gaps due; what is waived stays closed."""

    def test_new_credentials_make_due_what_waited_for_the_owner(self, desk: Desk) -> None:
        desk.miss(
            missed("a", reason="credentials_expired", waits_for_owner=True),
            missed("b", reason="challenged", waits_for_owner=True),
            missed("c"),
            missed("d", reason="parse_failed", kind="retry_on_connector_upgrade"),
        )
        assert desk.due() == []

        with desk.db.begin() as connection:
            connections.set_credentials(connection, desk.connection_id, {"token": "env:TOKEN"})

        assert desk.due() == ["a", "b"]

    def test_recovering_by_hand_makes_all_transient_gaps_due_and_forgives_their_attempts(self, desk: Desk) -> None:
        desk.miss(missed("tired"), policy=POLICY._replace(max_attempts=1))
        desk.miss(missed("waiting"), missed("challenged", reason="challenged", waits_for_owner=True))
        desk.miss(missed("later", reason="template_unknown", kind="retry_on_connector_upgrade"))

        assert make_due(desk) == 3

        assert sorted(desk.due()) == ["challenged", "tired", "waiting"]
        assert (desk.gap("tired")["status"], desk.gap("tired")["attempts"]) == ("open", 0)

    def test_recovering_by_hand_makes_the_one_more_look_due_and_no_third(self, desk: Desk) -> None:
        unreadable = missed("a", reason="parse_failed", kind="retry_on_connector_upgrade")
        desk.miss(unreadable)

        assert make_due(desk) == 1

        assert desk.due() == ["a"]
        desk.next_run()
        desk.miss(unreadable)
        assert make_due(desk) == 0

    def test_what_was_due_before_comes_first(self, desk: Desk) -> None:
        desk.miss(missed("later"), missed("due"))
        age(desk, "due", hours=3)

        make_due(desk)

        assert desk.due() == ["due", "later"]

    def test_what_is_due_already_is_not_written_again(self, desk: Desk) -> None:
        desk.miss(missed("a"), missed("b"))
        desk.elapse()

        assert make_due(desk) == 0

    def test_a_number_of_items_makes_so_many_due(self, desk: Desk) -> None:
        desk.miss(*[missed(name) for name in "abc"])

        assert make_due(desk, limit=2) == 2
        assert len(desk.due()) == 2

    def test_a_waived_gap_is_closed_and_missing_it_again_does_not_open_it(self, desk: Desk) -> None:
        desk.miss(missed("a"), missed("b"))

        assert change(desk, by_owner.waive, GapFilter(ids=[desk.gap("a")["id"]])) == 1
        opened = desk.miss(missed("a"), missed("b"))

        assert opened == []
        assert (desk.gap("a")["status"], desk.gap("a")["attempts"]) == ("waived", 1)
        assert desk.gap("b")["status"] == "open"

    @pytest.mark.parametrize("how", ["waived", "exhausted", "absent_upstream"])
    def test_a_gap_that_is_reopened_is_due_and_its_attempts_are_forgiven(self, desk: Desk, how: str) -> None:
        desk.miss(missed())
        desk.execute(
            "UPDATE gaps SET status = :how, attempts = 9, closed_at = CASE WHEN :how <> 'exhausted' THEN now() END "
            "WHERE connection_id = :c",
            how=how,
        )

        assert change(desk, by_owner.reopen, GapFilter()) == 1

        assert (desk.due(), desk.gap()["attempts"]) == (["a"], 0)

    def test_what_is_held_by_now_is_not_reopened(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.say(KeyFetched("items", "a"))

        assert change(desk, by_owner.reopen, GapFilter()) == 0

    def test_other_connections_are_left_alone(self, desk: Desk, store: Database) -> None:
        other = Desk(store)
        other.miss(missed())

        assert change(desk, by_owner.waive, GapFilter()) == 0
        assert other.gap()["status"] == "open"


@given(st.lists(st.sampled_from(["try", "fresh"]), min_size=10, max_size=30))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_many_fail_or_arrive_the_oldest_untried_one_is_next(store: Database, steps: list[str]) -> None:
    desk = Desk(store)
    desk.miss(*[missed(f"old {n:02}") for n in range(10)])
    desk.elapse(hours=100)
    untried = {f"old {n:02}" for n in range(10)}

    for number, step in enumerate(steps):
        if step == "fresh":
            desk.miss(missed(f"fresh {number}"))
        elif untried:
            (first,) = desk.due(1)
            assert first in untried
            untried.remove(first)
            desk.miss(missed(first))
            desk.next_run()


def make_due(desk: Desk, limit: int | None = None) -> int:
    with desk.db.begin() as connection:
        return by_owner.make_due(connection, [desk.connection_id], GapFilter(), limit)


def held_until(desk: Desk) -> datetime | None:
    with desk.db.begin() as connection:
        return Backlog(desk.other_claim(), ScopeKinds(), GapFilter()).blocked_until(connection)


def change(desk: Desk, how: object, selection: GapFilter) -> int:
    with desk.db.begin() as connection:
        return how(connection, [desk.connection_id], selection)  # type: ignore[operator, no-any-return]
