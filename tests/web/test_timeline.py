"""Runs along the clock: what a run did and waited for, and nothing that it did not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from pdpp_worker.store import events
from pdpp_worker.store.views import timeline_views
from tests.support.scripted import Scenario, manifest, record
from tests.web.conftest import Owner


def _happened(scenario: Scenario, *steps: tuple[float, str, dict[str, object]]) -> int:
    """A run with these events, each so many minutes ago; returns its number."""
    scenario.send(record("a"))
    run_id = scenario.run()["id"]
    with scenario.db.begin() as connection:
        connection.execute(text("DELETE FROM events"))
        for minutes, kind, data in steps:
            events.append(connection, 1, run_id, [(kind, None, data)])
            connection.execute(
                text(
                    "UPDATE events SET at = clock_timestamp() - :minutes * interval '1 minute' "
                    "WHERE id = (SELECT max(id) FROM events)"
                ),
                {"minutes": minutes},
            )
        connection.execute(text("UPDATE runs SET created_at = clock_timestamp() - interval '50 minutes'"))
    return int(run_id)


def test_slices_and_waits_follow_each_other(owner: Owner, scenario: Scenario) -> None:
    reason = "answered 503 three times"
    run_id = _happened(
        scenario,
        (50, "run_queued", {}),
        (45, "run_started", {"slice": 1}),
        (40, "slice_ended", {"wait_reason": reason}),
        (20, "slice_started", {"slice": 2}),
        (10, "run_ended", {}),
    )

    [lane] = owner.json("/timeline.json?period=1h")["lanes"]

    assert [(one["run_id"], one["works"], one["reason"]) for one in lane["spans"]] == [
        (run_id, False, None),
        (run_id, True, None),
        (run_id, False, reason),
        (run_id, True, None),
    ]
    assert reason in owner.get("/timeline?period=1h")


def test_slices_that_follow_at_once_are_one_bar(owner: Owner, scenario: Scenario) -> None:
    _happened(
        scenario,
        (45, "run_started", {}),
        (40, "slice_ended", {}),
        (39.999, "slice_started", {}),
        (30, "run_ended", {}),
    )

    [lane] = owner.json("/timeline.json?period=1h")["lanes"]

    assert [one["works"] for one in lane["spans"]] == [True]


def test_a_span_is_cut_at_the_edge_of_the_period(owner: Owner, scenario: Scenario) -> None:
    _happened(scenario, (300, "run_started", {}), (30, "run_ended", {}))

    document = owner.json("/timeline.json?period=1h")

    assert [one["begin"] for one in document["lanes"][0]["spans"]] == [document["since"]]


def test_another_version_is_marked_at_its_first_run(scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()
    scenario.install(lambda _start, _context: iter([]), manifest("items", version="2.0.0"))
    scenario.run()
    now = datetime.now(UTC)

    with scenario.db.begin() as connection:
        [lane] = timeline_views.read(connection, {1: "mine"}, None, now - timedelta(hours=1), now + timedelta(hours=1))

    assert [one.version for one in lane.versions] == ["2.0.0"]


def test_a_period_that_is_none_is_refused(owner: Owner) -> None:
    response = owner.browser.get("/timeline?period=9y")

    assert response.status_code == 400
    assert "1h, 6h, 24h, 7d" in response.text


def test_a_changed_setting_is_flagged_by_its_name_without_its_value(owner: Owner, scenario: Scenario) -> None:
    declared = {"settings": {"place": {"title": "Place", "type": "string"}}}
    scenario.install(lambda _start, _context: iter([]), manifest("items", **declared))

    owner.done("/connections/1/settings", "/connections/1", **{"set.place": "a-private-place"})

    [lane] = owner.json("/timeline.json?period=1h")["lanes"]
    assert [(one["action"], one["names"]) for one in lane["changes"]] == [("settings.set", ["place"])]
    page = owner.get("/timeline?period=1h")
    assert "settings set: place" in page
    assert "a-private-place" not in page
