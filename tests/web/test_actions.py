"""Forms change what they say, say what happened, and lead on."""

from __future__ import annotations

from typing import Any

import pytest

from pdpp_worker import registry
from pdpp_worker.connector import Reason, skip
from pdpp_worker.connector import ResourceScope as Item
from pdpp_worker.protocol.scope import WHOLE_STREAM, Scope
from pdpp_worker.secrets import Place, Vault
from tests.support.scripted import Scenario, manifest, record, state
from tests.web.conftest import Owner, collect, inputs

TARGETED = {"recovery": {"supports_targeted_resource_fetch": True}}
SETTINGS = {
    "settings": {
        "place": {"title": "Place", "type": "string"},
        "deep": {"title": "Deep", "type": "boolean", "default": False},
        "depth": {"title": "Depth", "type": "integer"},
    },
    "credentials": {"token": {"title": "Token"}},
}
PAGE = "/connections/1"


def connection(scenario: Scenario) -> dict[str, Any]:
    return scenario.one("SELECT * FROM connections WHERE id = 1")


def test_a_run_is_asked_for_and_stopped(owner: Owner, scenario: Scenario) -> None:
    scenario.send(record("a"))

    said = owner.done(f"{PAGE}/run", PAGE, full="1")

    run = scenario.one("SELECT * FROM runs")
    assert (run["trigger"], run["mode"], run["status"]) == ("manual", "full_refresh", "queued")
    assert "Run 1 of mine is queued." in said
    assert "is asked to stop" in owner.done(f"{PAGE}/cancel", PAGE)
    assert scenario.one("SELECT status FROM runs")["status"] in ("cancelled", "queued")


def test_a_connection_is_paused_and_resumed(owner: Owner, scenario: Scenario) -> None:
    scenario.send(record("a"))
    owner.done(f"{PAGE}/schedule", PAGE, every="1h")

    owner.done(f"{PAGE}/pause", PAGE)
    paused = scenario.one("SELECT paused FROM schedules")["paused"]
    owner.done(f"{PAGE}/resume", PAGE)

    assert paused
    assert not scenario.one("SELECT paused FROM schedules")["paused"]


@pytest.mark.parametrize(("field", "value"), [("every", "1h30m"), ("cron", "30 4 * * *")])
def test_a_schedule_is_changed_and_its_next_five_times_are_shown(
    owner: Owner, scenario: Scenario, field: str, value: str
) -> None:
    scenario.send(record("a"))

    owner.done(f"{PAGE}/schedule", PAGE, **{field: value})

    assert len(owner.json(f"{PAGE}.json")["next_runs"]) == 5
    assert owner.json(f"{PAGE}.json")["cron"] == (value if field == "cron" else None)


@pytest.mark.parametrize("fields", [{"every": "soon"}, {"cron": "x"}, {"every": "1h", "cron": "* * * * *"}, {}])
def test_a_schedule_that_is_none_is_refused_in_words(owner: Owner, scenario: Scenario, fields: dict[str, str]) -> None:
    scenario.send(record("a"))

    response = owner.post(f"{PAGE}/schedule", PAGE, **fields)

    assert response.status_code == 400
    assert "Not done" in response.text


def test_settings_are_changed_where_they_differ_and_go_back_to_the_default(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **SETTINGS))
    owner.done(f"{PAGE}/credential", PAGE, **{"credential": "token", "secret.token": "hush-hush"})
    owner.done(f"{PAGE}/settings", PAGE, **{"set.place": "here", "set.deep": "true", "set.depth": "3"})
    held = connection(scenario)["settings"]

    owner.done(f"{PAGE}/settings", PAGE, **{"set.place": "", "set.deep": "true", "set.depth": "3"})

    assert held == {"place": "here", "deep": True, "depth": 3}
    assert connection(scenario)["settings"] == {"deep": True, "depth": 3}
    assert "must be a whole number" in owner.post(f"{PAGE}/settings", PAGE, **{"set.depth": "x"}).text


def test_a_credential_is_replaced_and_never_shown(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **SETTINGS))

    said = owner.done(f"{PAGE}/credential", PAGE, **{"credential": "token", "secret.token": "hush-hush"})

    stored = connection(scenario)["credentials"]["token"]
    assert Vault(scenario.settings).open(Place("scripted", "mine", "token"), stored).get_secret_value() == "hush-hush"
    assert "hush-hush" not in said + owner.get(PAGE) + owner.browser.get(f"{PAGE}.json").text
    assert "stored (encrypted)" in owner.get(PAGE)


def test_a_reference_that_gives_nothing_is_refused(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **SETTINGS))

    response = owner.post(f"{PAGE}/credential", PAGE, **{"credential": "token", "secret.token": "env:NOT_SET_ANYWHERE"})

    assert "NOT_SET_ANYWHERE, which is not set" in response.text
    assert connection(scenario)["credentials"] == {}


def test_the_ceiling_is_set_after_its_cost_was_told(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **TARGETED))
    scenario.send(skip("items", Reason.TIMED_OUT, Item(resource_id="c")), state(1))
    scenario.run()
    state_of = '{"interval_ms": 1000}'
    scenario.execute(
        "INSERT INTO rate_states (connection_id, state) VALUES (1, CAST(:state AS jsonb)) "
        "ON CONFLICT (connection_id) DO UPDATE SET state = CAST(:state AS jsonb)",
        state=state_of,
    )

    assert "takes 1 h instead of 1 s" in owner.get(f"{PAGE}?rate=3600000")
    owner.done(f"{PAGE}/rate", PAGE, min_interval_ms="3600000")

    assert connection(scenario)["min_interval_ms"] == 3_600_000
    owner.done(f"{PAGE}/rate", PAGE, min_interval_ms="")
    assert connection(scenario)["min_interval_ms"] is None


@pytest.mark.parametrize("chosen", [{"only": "chosen", "gap": "1"}, {"stream": "items", "reason": "rate_limited"}, {}])
def test_a_recovery_states_its_cost_before_it_queues_a_run(
    owner: Owner, scenario: Scenario, chosen: dict[str, str]
) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **TARGETED))
    collect(scenario)

    asked = owner.done(f"{PAGE}/recover", PAGE, **chosen)
    before = scenario.rows("SELECT 1 FROM runs WHERE ended_at IS NULL")
    said = owner.done(f"{PAGE}/recover", PAGE, **hidden(asked))

    assert "1 gap of mine: " in asked
    assert before == []
    assert "mine: 1 pending, about" in said
    assert scenario.one("SELECT kind FROM runs WHERE ended_at IS NULL")["kind"] == "recovery"


def hidden(asked: str) -> dict[str, str]:
    """The fields of a page that asks once more."""
    return {name: value for name, value in inputs(asked) if name != "token"}


@pytest.mark.parametrize(
    ("scope", "said"), [(WHOLE_STREAM, "go without the whole stream"), (Item(resource_id="a"), "go without 1 gap")]
)
def test_a_group_is_waived_only_when_asked_once_more(owner: Owner, scenario: Scenario, scope: Scope, said: str) -> None:
    scenario.send(skip("items", Reason.TIMED_OUT, scope), state(1))
    scenario.run()

    asked = owner.done(f"{PAGE}/waive", PAGE, stream="items", reason="timed_out")
    before = [gap["status"] for gap in scenario.gaps()]
    owner.done(f"{PAGE}/waive", PAGE, **hidden(asked))

    assert said in asked
    assert (before, [gap["status"] for gap in scenario.gaps()]) == (["open"], ["waived"])


def test_gaps_of_one_reason_and_stream_are_one_group(owner: Owner, scenario: Scenario) -> None:
    scenario.send(*(skip("items", Reason.TIMED_OUT, Item(resource_id=key)) for key in "abc"), state(1))
    scenario.run()
    scenario.execute("UPDATE gaps SET status = 'exhausted', next_attempt_at = NULL WHERE id = 1")

    [group] = owner.json("/gaps.json")["groups"]

    assert (group["count"], group["given_up"], group["exhausted"]) == (3, 1, False)
    assert group["who_mends"] == "owner"


def test_where_nothing_can_be_recovered_it_is_said_why(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)

    said = owner.done(f"{PAGE}/recover", PAGE, reason="template_unknown")

    assert "waits for another version of the connector" in said


def test_gaps_are_waived_and_reopened_one_by_one(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)

    assert "Gap 1" in owner.done(f"{PAGE}/waive", PAGE, gap="1", back="gap")
    waived = [gap["status"] for gap in scenario.gaps()]
    owner.done(f"{PAGE}/reopen", PAGE, gap="1")

    assert waived == ["waived", "open"]
    assert [gap["status"] for gap in scenario.gaps()] == ["open", "open"]


@pytest.mark.parametrize("fields", [{}, {"only": "chosen", "reason": "rate_limited"}, {"reason": "no_reason"}])
def test_without_a_choice_nothing_is_waived(owner: Owner, scenario: Scenario, fields: dict[str, str]) -> None:
    collect(scenario)

    assert owner.post(f"{PAGE}/waive", PAGE, **fields).status_code == 400
    assert {gap["status"] for gap in scenario.gaps()} == {"open"}


def test_a_connection_is_added_from_the_manifests_form(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **SETTINGS))
    page = "/connections/add?connector=scripted"
    fields = {"connector": "scripted", "name": "other", "set.place": "there", "set.deep": "", "set.depth": ""}

    refused = owner.post("/connections/add", page, **fields)
    added = owner.done("/connections/add", page, **fields, **{"secret.token": "hush"}, every="1h")

    assert "The credential token is needed" in refused.text
    assert "Added other." in added
    row = scenario.one("SELECT * FROM connections WHERE name = 'other'")
    assert row["settings"] == {"place": "there"}
    assert row["credentials"]["token"].startswith("bound:")


def test_another_account_is_accepted_by_the_button_that_is_due(owner: Owner, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.execute(
        "UPDATE connections SET account_identity = 'a', account_label = 'old', other_identity = 'b', "
        "other_label = 'new' WHERE id = 1"
    )

    assert owner.json("/home.json")["cards"][0]["due"] == "accept_account"
    assert "mine reads new" in owner.done(f"{PAGE}/accept-account", "/")


def test_an_uninstalled_connector_is_shown_and_asks_for_no_button(
    owner: Owner, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(scenario)
    monkeypatch.setattr(registry, "all_connectors", dict)

    assert "not installed" in owner.get(PAGE)
    assert owner.json("/home.json")["cards"][0]["due"] is None


def test_a_run_that_is_asked_for_walks(owner: Owner, scenario: Scenario) -> None:
    scenario.send(record("a"))
    owner.done(f"{PAGE}/run", PAGE)

    scenario.work()

    assert [start.recovery_only for start in scenario.starts] == [False]
