"""`pdpp-worker rate`: what is known about the rate, and nothing that is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from pdpp_worker.connector import DetailGap, Message
from pdpp_worker.settings import get_settings
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record

LEARNED = """
    INSERT INTO rate_states (connection_id, state) VALUES (:id, CAST(:state AS jsonb))
"""


def learn(scenario: Scenario, state: str) -> None:
    with scenario.db.begin() as connection:
        connection.execute(text(LEARNED), {"id": scenario.connection_id, "state": state})


def miss(scenario: Scenario, count: int) -> None:
    gaps: list[Message] = [DetailGap(stream="items", record_key=f"k{n}", reason="rate_limited") for n in range(count)]
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    scenario.send(record("a"), *gaps)
    scenario.run()


def test_what_was_never_learned_is_unknown_and_not_zero(cli: Cli, scenario: Scenario) -> None:
    scenario.send()

    [shown] = cli.json("rate")

    assert (shown["interval_ms"], shown["per_minute"], shown["quota_per_minute"]) == (None, None, None)
    assert "unknown" in cli.ok("rate")


def test_the_learned_rate_is_shown_under_its_ceiling(cli: Cli, scenario: Scenario) -> None:
    scenario.send()
    state = '{"interval_ms": 4000, "law": {}, "back_off": {"at": "2026-01-01T00:00:00+00:00", "why": "rate_limited"}}'
    learn(scenario, state)

    [shown] = cli.json("rate", "mine")

    assert (shown["interval_ms"], shown["per_minute"], shown["ceiling_ms"]) == (4000, 15, 1000)
    assert shown["last_back_off_reason"] == "rate_limited"


def test_no_interval_is_shown_that_the_ceiling_does_not_allow(cli: Cli, scenario: Scenario) -> None:
    scenario.send()
    learn(scenario, '{"interval_ms": 400, "law": {}, "back_off": null}')

    [shown] = cli.json("rate", "mine")

    assert (shown["interval_ms"], shown["per_minute"]) == (1000, 60)


def test_pending_work_has_a_forecast(cli: Cli, scenario: Scenario) -> None:
    miss(scenario, 30)
    learn(scenario, '{"interval_ms": 2000, "law": {}, "back_off": null}')

    [shown] = cli.json("rate")

    done_at = datetime.fromisoformat(shown["done_at"])
    assert shown["pending"] == 30
    assert timedelta(seconds=30) < done_at - datetime.now(UTC) < timedelta(seconds=90)
    assert 6 <= shown["done_give_or_take_s"] < 9


def test_recover_states_its_cost_first(cli: Cli, scenario: Scenario) -> None:
    miss(scenario, 30)
    learn(scenario, '{"interval_ms": 2000, "law": {}, "back_off": null}')

    assert "mine: 30 pending, about 1 min" in cli.ok("recover", "mine")


def test_a_ceiling_in_the_environment_that_is_none_is_refused_at_start(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PDPP_CHATGPT_PACING_MIN_INTERVAL_MS", "fast")
    get_settings.cache_clear()

    assert "must be a positive number of milliseconds" in cli.refusal("status")


def test_an_unknown_connection_is_refused(cli: Cli) -> None:
    assert "There is no connection named 'nope'" in cli.refusal("rate", "nope")


def test_a_changed_ceiling_tells_its_cost(cli: Cli, scenario: Scenario) -> None:
    miss(scenario, 1)
    learn(scenario, '{"interval_ms": 1000}')

    assert "takes 1 h instead of 1 s" in cli.ok("connection", "set-rate", "mine", "3600000")
