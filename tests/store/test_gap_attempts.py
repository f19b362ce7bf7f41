"""Each try of a gap is kept as it ended, and what is not kept is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope
from pdpp_worker.store.effects import GapClosure
from pdpp_worker.store.gaps import attempts
from pdpp_worker.store.gaps import close as closing
from pdpp_worker.store.gaps.backlog import Backlog
from pdpp_worker.store.gaps.by_owner import reopen, waive
from pdpp_worker.store.gaps.selection import GapFilter, ScopeKinds
from pdpp_worker.store.views import attempt_views
from pdpp_worker.store.views.attempt_views import GapAttempt, not_kept
from tests.support.desk import POLICY, Desk, missed


def tries(desk: Desk, name: str = "a") -> list[GapAttempt]:
    """The tries of the gap about a resource."""
    with desk.db.begin() as connection:
        return attempt_views.of_gap(connection, desk.gap(name)["id"])


def told(desk: Desk, name: str = "a") -> list[tuple[int, str, str | None]]:
    """Number, outcome and reason of each."""
    return [(one.number, one.outcome, one.reason) for one in tries(desk, name)]


def fail(desk: Desk, *names: str) -> None:
    """Let the run end without a word of these gaps, which it was assigned."""
    ids = [desk.gap(name)["id"] for name in names]
    with desk.db.begin() as connection:
        Backlog(desk.claim, ScopeKinds(), GapFilter()).record_failed_attempt(
            connection, "1.0.0", POLICY, ids, walked=False, transient=True
        )


def recover(desk: Desk, name: str = "a", *, absent: bool = False) -> None:
    desk.say(GapClosure("items", ResourceScope(resource_id=name), absent))


def test_a_try_says_when_by_which_run_why_and_when_the_next_one_is_due(desk: Desk) -> None:
    pause = datetime.now(UTC) + timedelta(minutes=30)

    desk.miss(missed("a", last_error="GET /a was refused for the rate", retry_after=pause))

    [one] = tries(desk)
    assert (one.number, one.run_id, one.asked_by, one.connector_version) == (1, desk.run_id, "manual", "1.0.0")
    assert (one.outcome, one.reason, one.error) == ("open", "rate_limited", "GET /a was refused for the rate")
    assert (one.retry_after, one.next_attempt_at) == (pause, desk.gap()["next_attempt_at"])


def test_every_try_is_kept_from_the_first_to_the_recovery(desk: Desk) -> None:
    desk.miss(missed("a"))
    desk.next_run()
    desk.miss(missed("a", reason="timed_out"))
    desk.next_run()
    desk.elapse()
    fail(desk, "a")
    desk.next_run()
    recover(desk)

    assert told(desk) == [
        (1, "open", "rate_limited"),
        (2, "open", "timed_out"),
        (3, "open", None),
        (4, "recovered", None),
    ]


def test_a_run_that_says_it_again_has_tried_once(desk: Desk) -> None:
    for reason in ("rate_limited", "rate_limited", "timed_out"):
        desk.miss(missed("a", reason=reason))
    recover(desk)

    assert told(desk) == [(1, "open", "rate_limited"), (1, "open", "timed_out"), (1, "recovered", None)]


def test_the_last_try_of_all_says_that_the_gap_was_given_up(desk: Desk) -> None:
    desk.miss(missed("a"), policy=POLICY._replace(max_attempts=1))

    assert told(desk) == [(1, "exhausted", "rate_limited")]


def test_a_gap_that_opens_anew_keeps_its_history(desk: Desk) -> None:
    desk.miss(missed("a"))
    desk.next_run()
    recover(desk, absent=True)
    desk.next_run()
    desk.miss(missed("a"))

    assert told(desk) == [
        (1, "open", "rate_limited"),
        (2, "absent_upstream", None),
        (1, "open", "rate_limited"),
    ]


def test_what_the_owner_does_is_no_try(desk: Desk) -> None:
    desk.miss(missed("a"))
    with desk.db.begin() as connection:
        waive(connection, [desk.connection_id], GapFilter())
        reopen(connection, [desk.connection_id], GapFilter())

    assert told(desk) == [(1, "open", "rate_limited")]


def test_a_walk_to_the_end_is_the_last_try_of_the_gap_of_the_whole_stream(desk: Desk) -> None:
    desk.miss(missed(scope=WHOLE_STREAM))
    desk.next_run()
    with desk.db.begin() as connection:
        closing.close_whole_stream(connection, desk.claim, "items", from_scratch=False)

    query = """
        SELECT number, outcome FROM gap_attempts JOIN gaps ON gaps.id = gap_id WHERE connection_id = :c ORDER BY place
    """
    assert [tuple(one.values()) for one in desk.rows(query)] == [(1, "open"), (2, "recovered")]


def test_of_many_tries_the_last_ones_are_kept_and_the_others_counted(desk: Desk) -> None:
    desk.miss(missed("a"))
    desk.execute(
        "UPDATE gap_attempts SET place = :kept, number = :kept FROM gaps WHERE gaps.id = gap_id AND connection_id = :c",
        kept=attempts.KEPT,
    )
    desk.execute("""
        INSERT INTO gap_attempts (gap_id, place, number, run_id, outcome)
        SELECT id, n, n, 1, 'open' FROM gaps, generate_series(1, 49) AS n WHERE connection_id = :c
    """)
    desk.execute("UPDATE gaps SET attempts = :kept WHERE connection_id = :c", kept=attempts.KEPT)
    desk.next_run()

    desk.miss(missed("a"))

    kept = tries(desk)
    assert [kept[0].number, kept[-1].number, len(kept)] == [2, attempts.KEPT + 1, attempts.KEPT]
    assert not_kept(kept, desk.gap()["attempts"]) == 1


def test_a_gap_of_an_earlier_version_tells_the_number_of_its_tries(desk: Desk) -> None:
    desk.miss(missed("a"))
    desk.execute("DELETE FROM gap_attempts USING gaps WHERE gaps.id = gap_id AND connection_id = :c")
    desk.execute("UPDATE gaps SET attempts = 3 WHERE connection_id = :c")
    before = not_kept(tries(desk), desk.gap()["attempts"])
    desk.next_run()

    desk.miss(missed("a"))

    assert told(desk) == [(4, "open", "rate_limited")]
    assert before == not_kept(tries(desk), desk.gap()["attempts"]) == 3


def attempt(place: int, number: int, outcome: str = "open") -> GapAttempt:
    now = datetime.now(UTC)
    return GapAttempt(place, number, 1, now, "sweep", "1.0.0", outcome, None, None, None, None)


@pytest.mark.parametrize(
    ("kept", "counted", "missing"),
    [
        ([], 0, 0),
        ([], 2, 2),
        ([attempt(1, 1), attempt(2, 2)], 2, 0),
        ([attempt(1, 1), attempt(2, 4)], 4, 2),
        ([attempt(1, 1), attempt(2, 2)], 5, 3),
        ([attempt(7, 2), attempt(8, 3)], 3, 6),
        ([attempt(1, 5), attempt(2, 6, "recovered"), attempt(3, 1)], 1, 4),
        ([attempt(1, 3), attempt(2, 3), attempt(3, 4, "recovered")], 3, 2),
        ([attempt(1, 4)], 0, 3),
    ],
    ids=["none", "old", "all", "between", "since", "dropped", "anew", "said twice", "reopened"],
)
def test_tries_that_are_not_kept_are_counted(kept: list[Any], counted: int, missing: int) -> None:
    assert not_kept(kept, counted) == missing
