"""Missing items are remembered, tried again in fair order, and never forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, TimeRange
from pdpp_worker.store.batch import Batch
from pdpp_worker.store.effects import GapClosure, GapReport, KeyFetched
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import close as closing
from pdpp_worker.store.gaps import missing_names, upgrades
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.by_owner import waive
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.gaps.selection import GapFilter, ScopeKinds
from tests.support.desk import POLICY, Desk, missed

JITTER = 1.1
SLACK_S = 30.0
"""How much of a wait may have passed when a test reads it."""


def close(desk: Desk, name: str = "a", *, absent: bool = False) -> list[str]:
    """Closing a gap that was handed over."""
    return desk.say(GapClosure("items", ResourceScope(resource_id=name), absent))


class TestOpening:
    """A miss becomes a row."""

    def test_it_says_what_is_missing_why_and_when_it_is_tried(self, desk: Desk) -> None:
        opened = desk.miss(missed("a", detail_locator={"page": 7}, last_error="GET /a was refused for the rate"))

        gap = desk.gap()
        assert len(opened) == 1
        assert (gap["status"], gap["attempts"], gap["reason"]) == ("open", 1, "rate_limited")
        assert (gap["first_run_id"], gap["last_run_id"]) == (desk.run_id, desk.run_id)
        assert (gap["connector_version_seen"], gap["detail_locator"]) == ("1.0.0", {"page": 7})
        assert gap["next_attempt_at"] is not None

    @pytest.mark.parametrize("locator", [{"name": "a\x00b"}, {"name": "\udcff"}, {"at": 1e23}, {"at": -0.0}])
    def test_a_locator_comes_back_as_it_was_sent(self, desk: Desk, locator: dict[str, object]) -> None:
        desk.miss(missed("a", detail_locator=locator))
        desk.execute("UPDATE gaps SET next_attempt_at = now() - interval '1 second'")
        desk.next_run()

        with desk.db.begin() as connection:
            [gap] = Backlog(desk.claim, ScopeKinds(), GapFilter()).lease(connection, 1)

        assert repr(gap.detail_locator) == repr(locator)

    def test_the_same_miss_again_is_the_same_row_with_one_more_attempt(self, desk: Desk) -> None:
        desk.miss(missed("a", detail_locator={"page": 7}))
        first = desk.gap()
        run_id = desk.next_run()

        opened = desk.miss(missed("a", reason="timed_out"))

        gap = desk.gap()
        assert opened == []
        assert (gap["id"], gap["attempts"], gap["reason"]) == (first["id"], 2, "timed_out")
        assert (gap["first_run_id"], gap["last_run_id"]) == (first["first_run_id"], run_id)
        assert (gap["opened_at"], gap["detail_locator"]) == (first["opened_at"], {"page": 7})

    def test_the_order_of_a_scopes_keys_is_no_difference(self, desk: Desk) -> None:
        one = BatchScope(partition={"account": 1, "year": 2026}, range=TimeRange(since="2026-01-01"))
        other = BatchScope(partition={"year": 2026, "account": 1}, range=TimeRange(since="2026-01-01", until=None))

        desk.miss(missed(scope=one), missed(scope=other))

        assert len(desk.rows("SELECT 1 FROM gaps WHERE connection_id = :c")) == 1

    def test_other_scopes_and_streams_are_other_gaps(self, desk: Desk) -> None:
        scopes: list[Scope] = [ResourceScope(resource_id="a"), BatchScope(partition={"resource_id": "a"}), WHOLE_STREAM]

        opened = desk.miss(*[missed(scope=scope) for scope in scopes])

        assert len(opened) == len(desk.rows("SELECT 1 FROM gaps WHERE connection_id = :c")) == 3

    @pytest.mark.parametrize("name", ["\x00", "\U0001f600", "k" * 100_000], ids=["NUL", "astral", "long"])
    def test_any_resource_can_be_missing(self, desk: Desk, name: str) -> None:
        opened = desk.miss(missed(name), missed(name, detail_locator={"at": name}, last_error=name))

        assert len(opened) == 1
        assert desk.one("SELECT attempts FROM gaps WHERE connection_id = :c") == {"attempts": 1}

    @pytest.mark.parametrize("kind", ["permanent_structural", "filter_applied"])
    def test_what_is_no_skip_is_refused_by_the_database(self, desk: Desk, kind: str) -> None:
        with pytest.raises(IntegrityError, match="ck_gaps_recovery_kind"):
            desk.miss(missed(kind=kind))


class TestBackoff:
    """When it is tried again."""

    def test_the_wait_doubles_up_to_a_ceiling(self, desk: Desk) -> None:
        policy = RetryPolicy(first_s=1000.0, max_s=5000.0, max_attempts=100)
        expected = [1000.0, 2000.0, 4000.0, 5000.0, 5000.0]
        waits = []
        for _ in expected:
            desk.miss(missed(), policy=policy)
            waits.append(float(desk.gap()["wait_s"]))
            desk.next_run()

        for wait, nominal in zip(waits, expected, strict=True):
            assert nominal - SLACK_S < wait <= min(nominal * JITTER, policy.max_s)

    def test_after_any_number_of_attempts_it_is_still_the_ceiling(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.execute("UPDATE gaps SET attempts = 2147483000 WHERE connection_id = :c")

        desk.miss(missed(), policy=POLICY._replace(max_attempts=2**31 - 1))

        assert POLICY.max_s - SLACK_S < float(desk.gap()["wait_s"]) <= POLICY.max_s

    @pytest.mark.parametrize("times", [1, 2], ids=["first", "again"])
    def test_a_pause_that_the_provider_asked_for_is_kept(self, desk: Desk, times: int) -> None:
        asked = datetime.now(UTC) + timedelta(hours=20)

        for _ in range(times):
            desk.miss(missed(retry_after=asked))

        assert (desk.gap()["next_attempt_at"], desk.gap()["retry_after"]) == (asked, asked)

    def test_a_run_that_meets_it_slice_after_slice_has_tried_once(self, desk: Desk) -> None:
        for _ in range(POLICY.max_attempts):
            desk.miss(missed())

        assert (desk.gap()["status"], desk.gap()["attempts"]) == ("open", 1)

    @pytest.mark.parametrize("times", [1, 2], ids=["first", "again"])
    def test_a_pause_without_end_is_over_after_a_day(self, desk: Desk, times: int) -> None:
        for _ in range(times):
            desk.miss(missed(retry_after=datetime(9999, 12, 31, tzinfo=UTC)))

        assert desk.gap()["wait_s"] <= timedelta(days=1).total_seconds()

    def test_a_short_pause_does_not_shorten_the_wait(self, desk: Desk) -> None:
        desk.miss(missed(retry_after=datetime.now(UTC)))

        assert float(desk.gap()["wait_s"]) > POLICY.first_s - SLACK_S

    def test_after_the_last_attempt_it_is_exhausted_and_stays_visible(self, desk: Desk) -> None:
        for _ in range(POLICY.max_attempts):
            assert desk.rows("SELECT 1 FROM gaps WHERE connection_id = :c AND status = 'exhausted'") == []
            desk.miss(missed())
            desk.next_run()
        desk.elapse()

        gap = desk.gap()
        assert (gap["status"], gap["attempts"], gap["closed_at"]) == ("exhausted", POLICY.max_attempts, None)
        assert desk.due() == []

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"reason": "challenged", "waits_for_owner": True}, "waits for the owner"),
            ({"reason": "template_unknown", "kind": "retry_on_connector_upgrade"}, "waits for a version"),
        ],
    )
    def test_what_time_does_not_mend_has_no_next_attempt_and_is_never_exhausted(
        self, desk: Desk, fields: dict[str, Any], why: str
    ) -> None:
        for _ in range(POLICY.max_attempts + 1):
            desk.miss(missed(**fields))

        gap = desk.gap()
        assert (gap["status"], gap["next_attempt_at"]) == ("open", None), why
        assert desk.due() == []


def unread(reason: str) -> GapReport:
    """A miss of what this version could not read."""
    return missed(reason=reason, kind="retry_on_connector_upgrade")


@pytest.mark.parametrize("reason", ["parse_failed", "shape_changed"])
class TestOneMoreLook:
    """A version looks once more at what it could not read: the source may have been half written."""

    def test_it_is_due_after_a_day(self, desk: Desk, reason: str) -> None:
        desk.miss(unread(reason))

        day = timedelta(days=1).total_seconds()
        assert day - SLACK_S < float(desk.gap()["wait_s"]) <= day
        desk.elapse()
        desk.next_run()
        assert desk.due() == ["a"]

    def test_the_same_version_is_handed_it(self, desk: Desk, reason: str) -> None:
        desk.miss(unread(reason))
        desk.elapse()
        desk.next_run()

        with desk.db.begin() as connection:
            found = Backlog(desk.claim, ScopeKinds(), GapFilter(), "1.0.0").lease(connection, 1)

        assert len(found) == 1

    def test_walks_that_meet_it_before_do_not_take_the_look_away(self, desk: Desk, reason: str) -> None:
        desk.miss(unread(reason))
        before = desk.gap()["next_attempt_at"]
        for _ in range(POLICY.max_attempts + 1):
            desk.next_run()
            desk.miss(unread(reason))

        gap = desk.gap()
        assert (gap["status"], gap["next_attempt_at"]) == ("open", before)

    def test_unreadable_again_it_waits_for_another_version(self, desk: Desk, reason: str) -> None:
        desk.miss(unread(reason))
        desk.elapse()
        for _ in range(2):
            desk.next_run()
            desk.miss(unread(reason))

        gap = desk.gap()
        assert (gap["status"], gap["next_attempt_at"]) == ("open", None)

    def test_a_newer_version_need_not_wait_for_the_look(self, desk: Desk, reason: str) -> None:
        desk.miss(unread(reason))

        with desk.db.begin() as connection:
            met = [one for one in upgrades.waiting(connection) if one.connection_id == desk.connection_id]
            opened = upgrades.open_trial(connection, desk.connection_id, "2.0.0", met, 20, ["items"])

        desk.next_run()
        assert opened == 1
        assert desk.due() == ["a"]

    def test_a_whole_stream_is_left_to_its_walks(self, desk: Desk, reason: str) -> None:
        desk.miss(missed(scope=WHOLE_STREAM, reason=reason, kind="retry_on_connector_upgrade"))

        assert desk.one("SELECT next_attempt_at FROM gaps WHERE connection_id = :c") == {"next_attempt_at": None}

    def test_a_look_is_no_trial_of_a_newer_version(self, desk: Desk, reason: str) -> None:
        desk.miss(unread(reason))

        with desk.db.begin() as connection:
            tried = upgrades.trial(connection, desk.connection_id, "2.0.0", 20, ["items"])

        assert tried == (0, False)


class TestClosing:
    """A gap closes by proof, and is never deleted."""

    @pytest.mark.parametrize(("absent", "status"), [(False, "recovered"), (True, "absent_upstream")])
    def test_it_says_how_it_was_closed(self, desk: Desk, absent: bool, status: str) -> None:
        desk.miss(missed())

        assert close(desk, absent=absent) == ["items"]

        gap = desk.gap()
        assert (gap["status"], gap["last_run_id"]) == (status, desk.run_id)
        assert gap["closed_at"] is not None

    def test_what_is_closed_is_not_closed_twice(self, desk: Desk) -> None:
        desk.miss(missed())
        close(desk)

        assert close(desk, absent=True) == []
        assert desk.gap()["status"] == "recovered"

    def test_a_gap_of_another_connection_is_left_alone(self, desk: Desk, store: Database) -> None:
        other = Desk(store)
        other.miss(missed())

        assert close(desk) == []

        assert other.gap()["status"] == "open"

    def test_a_resource_that_was_read_after_all_closes_its_gap(self, desk: Desk) -> None:
        desk.miss(missed("a"), missed("b"), missed("c"))

        done = desk.commit(Batch(effects=[KeyFetched("items", name) for name in ("a", "b", "never missed")]))

        assert done.gaps_closed == 2
        assert [desk.gap(name)["status"] for name in "abc"] == ["recovered", "recovered", "open"]

    def test_a_resource_that_was_read_proves_nothing_of_a_record_that_was_refused(self, desk: Desk) -> None:
        desk.miss(missed("a", reason="record_rejected", kind="retry_on_connector_upgrade"))

        assert desk.commit(Batch(effects=[KeyFetched("items", "a")])).gaps_closed == 0
        assert desk.gap("a")["status"] == "open"

    def test_a_walk_to_the_end_closes_the_gap_of_the_whole_stream_only(self, desk: Desk) -> None:
        desk.miss(missed(scope=WHOLE_STREAM), missed("a"))
        with desk.db.begin() as connection:
            assert closing.close_whole_stream(connection, desk.claim, "items", from_scratch=False) == ["items"]

        assert desk.gap("a")["status"] == "open"

    def test_an_exhausted_gap_can_still_be_recovered(self, desk: Desk) -> None:
        desk.miss(missed(), policy=POLICY._replace(max_attempts=1))
        assert desk.gap()["status"] == "exhausted"

        close(desk)

        assert desk.gap()["status"] == "recovered"

    def test_what_is_missed_again_later_is_the_same_row_opened_anew(self, desk: Desk) -> None:
        desk.miss(missed())
        desk.next_run()
        desk.miss(missed())
        before = desk.gap()
        close(desk)
        run_id = desk.next_run()

        assert len(desk.miss(missed())) == 1

        gap = desk.gap()
        assert (gap["id"], gap["status"], gap["attempts"]) == (before["id"], "open", 1)
        assert (gap["closed_at"], gap["first_run_id"]) == (None, run_id)
        assert gap["opened_at"] > before["opened_at"]
        assert float(gap["wait_s"]) <= POLICY.first_s * JITTER


def test_streams_with_open_gaps_are_known(desk: Desk) -> None:
    desk.miss(missed("a"))

    with desk.db.begin() as connection:
        assert closing.missing_in(connection, desk.connection_id, ["items", "others"]) == {"items"}
    desk.commit(Batch(effects=[KeyFetched("items", "a")]))
    with desk.db.begin() as connection:
        assert closing.missing_in(connection, desk.connection_id, ["items", "others"]) == set()


@pytest.mark.parametrize(("most", "holds_others"), [(2, False), (1, True)])
def test_what_is_missing_is_known_by_name_unless_it_is_too_much(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, most: int, *, holds_others: bool
) -> None:
    monkeypatch.setattr(missing_names, "MOST_NAMES", most)
    desk.miss(missed("a"))
    desk.miss(missed(scope=WHOLE_STREAM))

    with desk.db.begin() as connection:
        names = missing_names.missing_names(connection, desk.connection_id, ["items", "others"])

    assert names.keys() == {"items"}
    assert ("a" in names["items"], "b" in names["items"]) == (True, holds_others)


def test_a_row_of_a_closed_gap_always_says_when_it_was_closed(desk: Desk) -> None:
    desk.miss(missed())

    for broken in ("status = 'recovered'", "closed_at = now()"):
        with pytest.raises(IntegrityError, match="ck_gaps_closed"):
            desk.execute(f"UPDATE gaps SET {broken} WHERE connection_id = :c")  # noqa: S608


@pytest.mark.parametrize(
    ("again", "status"),
    [
        ({"reason": "timed_out"}, "waived"),
        ({"reason": "upstream_error"}, "open"),
        ({"reason": "challenged", "waits_for_owner": True}, "open"),
    ],
    ids=["the same", "another", "one that asks for the owner"],
)
def test_a_waived_whole_stream_silences_that_miss_and_no_other(desk: Desk, again: dict[str, Any], status: str) -> None:
    desk.miss(missed(scope=WHOLE_STREAM, reason="timed_out"))
    with desk.db.begin() as connection:
        waive(connection, [desk.connection_id], GapFilter())
    desk.next_run()

    desk.miss(missed(scope=WHOLE_STREAM, **again))

    assert desk.one("SELECT status FROM gaps WHERE connection_id = :c") == {"status": status}


def test_an_item_that_the_owner_does_without_stays_waived_for_any_reason(desk: Desk) -> None:
    desk.miss(missed(reason="timed_out"))
    with desk.db.begin() as connection:
        waive(connection, [desk.connection_id], GapFilter())
    desk.next_run()

    desk.miss(missed(reason="upstream_error"))

    assert desk.gap()["status"] == "waived"
