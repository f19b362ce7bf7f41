"""The history of a rate: what was noted, and nothing that was not."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from pdpp_worker.store import rates
from pdpp_worker.store.engine import Database
from tests.support.desk import Desk
from tests.web.conftest import Owner

REFUSED = {"at": "2026-01-01T00:00:00+00:00", "why": "429", "retry_after_s": 30.0}


def note(desk: Desk, interval_ms: float, *, minutes_ago: float = 0.0, refused: bool = False) -> None:
    """Note a rate as a worker does at the end of a slice, so long ago."""
    state = {"interval_ms": interval_ms, "ceiling_ms": 250.0, "quota_per_minute": None, "back_off": None}
    with desk.db.begin() as connection:
        rates.save(connection, desk.claim, {**state, "back_off": REFUSED if refused else None})
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
    note(desk, 2000.0, minutes_ago=29, refused=True)
    page = f"/connections/{desk.connection_id}/rate"

    history = owner.json(f"{page}.json?period=1h")["history"]

    assert max(one["slowest_ms"] for one in history) == 2000.0
    assert sum(one["refusals"] for one in history) == 1
    assert "<polyline" in owner.get(f"{page}?period=1h")


def test_a_period_in_which_nothing_was_noted_is_unknown(owner: Owner, desk: Desk) -> None:
    note(desk, 1000.0, minutes_ago=120)
    page = f"/connections/{desk.connection_id}/rate"

    assert "the rate is unknown" in owner.get(f"{page}?period=1h")
    assert "<polyline" in owner.get(f"{page}?period=24h")


def test_a_period_that_is_none_is_refused(owner: Owner, desk: Desk) -> None:
    response = owner.browser.get(f"/connections/{desk.connection_id}/rate?period=2y")

    assert response.status_code == 400
    assert "1h, 24h, 30d" in response.text
