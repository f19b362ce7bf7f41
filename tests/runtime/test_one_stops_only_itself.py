"""A tick goes over many: one that fails costs itself, and its owner is told why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker.dispatch import dispatch, run_requests
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import schedule_rules
from pdpp_worker.recovery.cost import state_cost
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.store import connections
from pdpp_worker.store.views import connection_views
from pdpp_worker.store.views.connection_views import ConnectionView
from tests.cli.conftest import Cli, cli
from tests.support.backlog import TARGETED, missing
from tests.support.schedule import plan
from tests.support.scripted import Scenario, manifest, record, state

__all__ = ["cli"]


def add_other(scenario: Scenario, connector: str = "scripted", **schedule: Any) -> int:
    """Another connection, which is due for longer."""
    with scenario.db.begin() as connection:
        other = connections.add(connection, "other", connector, {}, {})
    values = {"every_s": None, "cron": None, **schedule}
    scenario.execute(
        "INSERT INTO schedules (connection_id, every_s, cron, next_run_at) "
        "VALUES (:id, :every_s, :cron, now() - interval '1 hour')",
        id=other,
        **values,
    )
    return other


def view(scenario: Scenario, name: str) -> ConnectionView:
    """A connection as its owner sees it."""
    with scenario.db.begin() as connection:
        return next(one for one in connection_views.read(connection) if one.name == name)


def queued(scenario: Scenario) -> set[int]:
    """The connections that have a run."""
    return {row["connection_id"] for row in scenario.rows("SELECT connection_id FROM runs")}


@pytest.mark.parametrize("absurd", [{"every_s": 6e12}, {"every_s": float("inf")}, {"cron": "0 0 */29 2 1#5"}])
def test_a_schedule_without_a_next_time_is_followed_once_a_day_and_says_so(
    scenario: Scenario, absurd: dict[str, Any]
) -> None:
    scenario.send(record("a"))
    plan(scenario)
    other = add_other(scenario, **absurd)

    dispatch(scenario.settings, scenario.db)

    assert queued(scenario) == {scenario.connection_id, other}
    shown = view(scenario, "other")
    assert shown.schedule_error is not None
    assert shown.next_run_at is not None
    assert shown.next_run_at < datetime.now(UTC) + timedelta(hours=25)


def test_the_owner_sees_what_is_wrong_and_mends_it(scenario: Scenario, cli: Cli) -> None:
    scenario.send(record("a"))
    add_other(scenario, cron="0 0 */29 2 1#5")
    dispatch(scenario.settings, scenario.db)

    told = cli.ok("connection", "show", "other")
    cli.ok("connection", "set", "other", "--every", "1d")

    assert "never comes" in told
    assert view(scenario, "other").schedule_error is None


def test_a_connection_of_a_connector_that_is_not_installed_says_so(scenario: Scenario) -> None:
    scenario.send(record("a"))
    plan(scenario)
    add_other(scenario, "nowhere", every_s=60.0)

    dispatch(scenario.settings, scenario.db)

    assert queued(scenario) == {scenario.connection_id}
    assert "There is no connector named 'nowhere'" in str(view(scenario, "other").schedule_error)


def test_what_fails_in_an_unforeseen_way_is_looked_at_again_later(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"))
    plan(scenario)
    other = add_other(scenario, every_s=60.0)
    scenario.execute("""UPDATE connections SET settings = '{"broken": true}' WHERE id = :id""", id=other)
    real = run_requests.full_scope

    def scope(connector: Any, settings: Any) -> list[dict[str, Any]]:
        if settings:
            raise ZeroDivisionError
        return real(connector, settings)

    monkeypatch.setattr(run_requests, "full_scope", scope)
    dispatch(scenario.settings, scenario.db)

    assert queued(scenario) == {scenario.connection_id}
    assert view(scenario, "other").schedule_error == "ZeroDivisionError"
    assert scenario.rows("SELECT 1 FROM schedules WHERE next_run_at <= clock_timestamp()") == []


def test_a_sweep_goes_on_behind_a_connection_that_fails(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing("b"), state(1))
    scenario.run()
    mine = scenario.connection_id
    with scenario.db.begin() as connection:
        other = connections.add(connection, "other", "scripted", {}, {})
    scenario.execute("UPDATE gaps SET connection_id = :other", other=other)
    scenario.connection_id = mine
    scenario.run()
    scenario.elapse()
    scenario.execute("UPDATE gaps SET next_attempt_at = now() - interval '1 hour' WHERE connection_id = :id", id=other)

    def cost(settings: Any, connection: Any, row: Any, *rest: Any) -> dict[str, Any]:
        if row.id == other:
            raise ZeroDivisionError
        return state_cost(settings, connection, row, *rest)

    monkeypatch.setattr("pdpp_worker.recovery.sweep.state_cost", cost)
    sweep_transient(scenario.settings, scenario.db)

    assert scenario.rows("SELECT connection_id FROM runs WHERE ended_at IS NULL") == [{"connection_id": mine}]


@pytest.mark.parametrize(("every", "cron"), [("9999999w", None), (f"{'9' * 400}w", None), (None, "0 0 */29 2 1#5")])
def test_a_schedule_without_a_next_time_is_refused_at_the_door(every: str | None, cron: str | None) -> None:
    with pytest.raises(ConfigurationError):
        schedule_rules.read(every, cron, None)
