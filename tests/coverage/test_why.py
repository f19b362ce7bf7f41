"""`why`: is one item here, and if not, since when, for what reason, who resolves it, when, and at what cost."""

from __future__ import annotations

from typing import Any

import pytest

from pdpp_worker.connector import BatchScope, Reason, ResourceScope, skip
from pdpp_worker.protocol.scope import WHOLE_STREAM
from tests.cli.conftest import Cli
from tests.coverage.test_coverage import TARGETED, execute, learn, miss, only
from tests.support.scripted import Scenario, manifest, record, state

STARS = {"name": "stars", "availability": {"supplied": False, "reason": "The export has none."}}
STRICT = {"name": "items", "schema": {"type": "object", "properties": {"size": {"type": "integer"}}}}


def why(cli: Cli, *arguments: str) -> dict[str, Any]:
    return dict(cli.json("why", *arguments))


def test_an_item_that_is_here(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    first = scenario.run()

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"], found["gap"], found["cost"]) == ("held", None, None, None)
    assert found["because"] == f"It is here since run {first['id']}."
    assert found["record"]["first_run_id"] == first["id"]
    assert "data" not in found["record"]


def test_an_item_that_the_source_deleted(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()
    scenario.send(record("a").model_copy(update={"op": "delete"}))
    scenario.run()

    assert why(cli, "mine", "items", "a")["state"] == "deleted"


def test_a_missing_item_has_its_whole_story(cli: Cli, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter([record("b"), *miss("a")]), manifest(**TARGETED))
    first = scenario.run()
    last = scenario.run()
    learn(scenario, 3000)

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"], found["attempts"]) == ("missing", "time", 2)
    assert (found["gap"]["first_run_id"], found["gap"]["last_run_id"]) == (first["id"], last["id"])
    assert found["found_missing_at"] < found["last_tried_at"] < found["next_attempt_at"]
    assert found["cost"] == {"requests": 1, "seconds": 3.0}
    assert found["because"] == Reason.RATE_LIMITED.sentence
    assert why(cli, str(found["gap"]["id"])) == found
    assert "the fleet, in time" in cli.ok("why", "mine", "items", "a")


def test_the_cost_is_unknown_as_long_as_the_rate_is(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("b"), *miss("a"))
    scenario.run()

    assert why(cli, "mine", "items", "a")["cost"] == {"requests": 1, "seconds": None}


@pytest.mark.parametrize(
    ("reason", "who", "action"),
    [
        (Reason.TEMPLATE_UNKNOWN, "upgrade", "above 1.0.0"),
        (Reason.CREDENTIALS_EXPIRED, "owner", "Sign in at the source again"),
        (Reason.CHALLENGED, "owner", "recover mine"),
    ],
)
def test_what_time_does_not_resolve(cli: Cli, scenario: Scenario, reason: Reason, who: str, action: str) -> None:
    scenario.send(record("b"), *miss("a", reason=reason))
    scenario.run()

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"], found["next_attempt_at"]) == ("missing", who, None)
    assert action in found["next"]


@pytest.mark.parametrize(
    ("status", "state", "who"),
    [
        ("exhausted", "given_up", "owner"),
        ("waived", "waived", "nobody"),
        ("absent_upstream", "absent_upstream", "nobody"),
        ("recovered", "recovered", None),
    ],
)
def test_a_gap_that_is_not_open_any_more(
    cli: Cli, scenario: Scenario, status: str, state: str, who: str | None
) -> None:
    scenario.send(record("b"), *miss("a"))
    scenario.run()
    closed_at = "CASE WHEN CAST(:status AS text) <> 'exhausted' THEN now() END"
    execute(scenario, f"UPDATE gaps SET status = :status, closed_at = {closed_at}", status=status)  # noqa: S608

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"], found["next_attempt_at"]) == (state, who, None)
    assert ("pdpp-worker gaps reopen mine --gap" in found["next"]) == (who is not None)


def test_a_refused_record_is_kept_as_it_came_beside_its_earlier_version(cli: Cli, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter([record("a", size=1)]), manifest(STRICT))
    first = scenario.run()
    scenario.install(lambda _start, _context: iter([record("a", size="large")]), manifest(STRICT))
    second = scenario.run()

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"]) == ("missing", "upgrade")
    assert found["rejection"]["run_id"] == second["id"]
    assert "size breaks the schema" in found["rejection"]["error"]
    assert f"here since run {first['id']}" in found["because"]
    assert "large" not in cli.ok("why", "mine", "items", "a")


def test_a_stream_that_is_never_supplied_has_the_reason(cli: Cli, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter([record("a")]), manifest("items", STARS))
    scenario.run()

    found = why(cli, "mine", "stars", "a")

    assert (found["state"], found["who_mends"]) == ("never_supplied", "nobody")
    assert found["because"] == "The export has none."
    assert why(cli, "mine", "stars")["verdict"] == "known_absent"


def test_a_stream_that_was_never_walked(cli: Cli, scenario: Scenario) -> None:
    scenario.send()

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"]) == ("never_walked", None)


def test_an_item_that_a_wider_gap_may_be_about(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("b"), skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))
    scenario.run()

    found = why(cli, "mine", "items", "a")

    assert (found["state"], found["who_mends"], found["cost"]) == ("maybe_missing", "time", None)
    assert "the whole stream" in found["because"]
    assert why(cli, str(found["gap"]["id"]))["resource_id"] is None


def test_an_item_that_the_last_walk_was_to_leave_out(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    run = scenario.run()
    narrowed = '[{"name": "items", "resources": ["a"]}]'
    execute(
        scenario, "UPDATE runs SET streams = CAST(:streams AS jsonb) WHERE id = :id", streams=narrowed, id=run["id"]
    )

    assert why(cli, "mine", "items", "b")["state"] == "filtered"


def test_an_item_that_no_walk_has_met(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"), state({"at": 1}))
    run = scenario.run()

    found = why(cli, "mine", "items", "b")

    assert found["state"] == "not_known"
    assert found["next"] == "If the source has it, a walk brings it: pdpp-worker run mine"
    assert (
        f"It is unknown here under this name: run {run['id']} walked the stream to its end without" in found["because"]
    )


def test_an_item_with_a_strange_name(cli: Cli, scenario: Scenario) -> None:
    name = '["a", "\u2028 \x00"]'
    scenario.send(record("b"), skip("items", Reason.TIMED_OUT, ResourceScope(resource_id=name)))
    scenario.run()

    assert why(cli, "mine", "items", name)["state"] == "missing"
    assert "\u2028" not in cli.ok("why", "mine", "items", name)
    assert why(cli, "mine", "items", "x" * 100_000)["state"] == "not_known"


def test_without_an_item_it_answers_for_the_stream(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()

    assert why(cli, "mine", "items") == only(cli)
    assert "complete" in cli.ok("why", "mine", "items")


def test_what_does_not_exist_is_named_in_one_sentence(cli: Cli, scenario: Scenario) -> None:
    scenario.send()

    assert "known: mine" in cli.refusal("why", "yours", "items", "a")
    assert "known: items" in cli.refusal("why", "mine", "itmes", "a")
    assert "There is no gap 12" in cli.refusal("why", "12")
    assert "There is no gap" in cli.refusal("why", "9" * 30)
    assert "no gap's number" in cli.refusal("why", "mine")


@pytest.mark.parametrize("exhausted", [False, True])
def test_a_part_that_cannot_be_asked_for_says_which_walk_closes_it_and_that_walk_does(
    cli: Cli, scenario: Scenario, exhausted: bool
) -> None:
    scenario.manifest = manifest(**TARGETED)
    part = BatchScope(partition={"folder": "x"})
    scenario.send(record("a"), skip("items", Reason.SOURCE_PARTITION_FAILED, part), state(1))
    scenario.run()
    if exhausted:
        execute(scenario, "UPDATE gaps SET status = 'exhausted', next_attempt_at = NULL")
    [gap] = scenario.gaps()

    end = "a walk of the whole stream closes it: pdpp-worker run mine --full"
    assert why(cli, str(gap["id"]))["next"].endswith(end)

    scenario.send(record("a"), record("b"), state(2))
    scenario.run(full=True)
    assert [one["status"] for one in scenario.gaps()] == ["recovered"]
