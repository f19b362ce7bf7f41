"""The history of a rate: what was noted, and nothing that was not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from pdpp_worker.connector import Reason, ResourceScope, skip
from pdpp_worker.coverage.rate_rows import RateView
from pdpp_worker.store import rates
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views.rate_views import PendingPoint
from pdpp_worker.web.burn_down import burn_down
from pdpp_worker.web.charts import HEIGHT, TICKS, WIDTH, line
from tests.support.desk import Desk
from tests.support.scripted import Scenario, manifest, state
from tests.web.conftest import Owner

TARGETED = {"recovery": {"supports_targeted_resource_fetch": True}}

REFUSED = {"at": "2026-01-01T00:00:00+00:00", "why": "rate_limited", "retry_after_s": 30.0}


FAILED = {**REFUSED, "why": "network_error", "retry_after_s": None}


def note(
    desk: Desk, interval_ms: float, *, minutes_ago: float = 0.0, back_off: dict[str, object] | None = None
) -> None:
    """Note a rate as a worker does at the end of a slice, so long ago."""
    state = {"interval_ms": interval_ms, "ceiling_ms": 250.0, "quota_per_minute": None, "back_off": None}
    with desk.db.begin() as connection:
        rates.save(connection, desk.claim, {**state, "back_off": back_off})
        connection.execute(
            text(
                "UPDATE rate_history SET at = clock_timestamp() - :minutes * interval '1 minute', "
                "refused_at = CASE WHEN refused_at IS NOT NULL THEN clock_timestamp() - :minutes * interval '1 minute' "
                "END WHERE id = (SELECT max(id) FROM rate_history)"
            ),
            {"minutes": minutes_ago},
        )


@pytest.fixture
def desk(db: Database) -> Desk:
    return Desk(db)


def test_what_was_noted_is_shown_with_its_refusals(owner: Owner, desk: Desk) -> None:
    note(desk, 1000.0, minutes_ago=30)
    note(desk, 2000.0, minutes_ago=29, back_off=REFUSED)
    note(desk, 2000.0, minutes_ago=28, back_off=FAILED)
    page = f"/connections/{desk.connection_id}/rate"

    history = owner.json(f"{page}.json?period=1h")["history"]

    assert max(one["slowest_ms"] for one in history) == 2000.0
    assert sum(one["refusals"] for one in history) == 1
    html = owner.get(f"{page}?period=1h")
    assert "<polyline" in html
    assert len(re.findall(r"<li>\d\d:\d\d</li>|<li>\d\d-\d\d \d\d:\d\d</li>", html)) == TICKS
    assert '<td class="n">unknown</td>' in html
    assert '<td class="n"></td>' not in html


def test_a_period_in_which_nothing_was_noted_is_unknown(owner: Owner, desk: Desk) -> None:
    note(desk, 1000.0, minutes_ago=120)
    page = f"/connections/{desk.connection_id}/rate"

    assert "the rate is unknown" in owner.get(f"{page}?period=1h")
    assert "<polyline" in owner.get(f"{page}?period=24h")


def test_a_period_that_is_none_is_refused(owner: Owner, desk: Desk) -> None:
    response = owner.browser.get(f"/connections/{desk.connection_id}/rate?period=2y")

    assert response.status_code == 400
    assert "1h, 24h, 30d" in response.text


def test_what_was_pending_goes_down_as_gaps_are_closed(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter([]), manifest("items", **TARGETED))
    scenario.send(*(skip("items", Reason.TIMED_OUT, ResourceScope(resource_id=key)) for key in "abc"), state(1))
    scenario.run()
    scenario.execute("UPDATE gaps SET opened_at = opened_at - interval '30 minutes'")
    scenario.execute("UPDATE gaps SET status = 'recovered', closed_at = now() - interval '10 minutes' WHERE id = 1")

    points = owner.json("/connections/1/rate.json?period=1h")["burn_down"]

    assert [one["pending"] for one in points] == [3, 2]
    assert "changes of what is pending" in owner.get("/connections/1/rate?period=1h")


def test_what_only_the_owner_resolves_is_no_pending_work(owner: Owner, scenario: Scenario) -> None:
    scenario.send(skip("items", Reason.CREDENTIALS_EXPIRED, ResourceScope(resource_id="a")), state(1))
    scenario.run()

    assert owner.json("/connections/1/rate.json")["burn_down"] == []


NOW = datetime(2026, 1, 2, tzinfo=UTC)
RATE = RateView(
    connection="mine",
    interval_ms=1000.0,
    per_minute=60.0,
    ceiling_ms=250.0,
    quota_per_minute=None,
    day_bytes=None,
    most_day_bytes=None,
    last_back_off_at=None,
    last_back_off_reason=None,
    learned_at=NOW,
    pending=100,
    done_at=None,
    done_give_or_take_s=None,
    waits_until=None,
    wait_reason=None,
)


def test_the_forecast_is_a_band_from_what_is_pending_now_to_nothing() -> None:
    rate = replace(RATE, done_at=NOW + timedelta(hours=6), done_give_or_take_s=3600.0)

    picture = burn_down([PendingPoint(NOW - timedelta(hours=3), 150)], rate, NOW - timedelta(days=1), NOW)

    assert picture is not None
    assert (picture["earliest"], picture["latest"]) == (NOW + timedelta(hours=5), NOW + timedelta(hours=7))
    assert picture["until"] == NOW + timedelta(hours=7)
    first, early, late = (tuple(map(float, one.split(","))) for one in picture["band"].points.split())
    assert early[1] == late[1] == HEIGHT
    assert first[0] == picture["now"] < early[0] < late[0] == WIDTH
    begun, until, now = (tuple(map(float, one.split(","))) for one in picture["past"].points.split()[:3])
    assert (begun[1], until) == (until[1], (now[0], begun[1]))


def test_where_nobody_can_tell_the_end_there_is_no_band() -> None:
    picture = burn_down([], RATE, NOW - timedelta(days=1), NOW)

    assert picture is not None
    assert picture["band"] is None


def test_where_nothing_was_pending_there_is_no_picture() -> None:
    assert burn_down([], replace(RATE, pending=0), NOW - timedelta(days=1), NOW) is None


def test_a_picture_shows_at_most_as_much_of_the_future_as_of_the_past() -> None:
    rate = replace(RATE, done_at=NOW + timedelta(days=90), done_give_or_take_s=86_400.0)

    picture = burn_down([], rate, NOW - timedelta(days=1), NOW)

    assert picture is not None
    assert picture["until"] == NOW + timedelta(days=1)


def test_one_value_alone_can_be_seen() -> None:
    assert line([(300.0, 5.0)], 10.0).points == f"298,{HEIGHT / 2:g} 302,{HEIGHT / 2:g}"
