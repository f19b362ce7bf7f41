"""`report`: the owner's statement, for people and for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from pdpp_worker.connector import Reason
from tests.cli.conftest import Cli
from tests.coverage.test_coverage import TARGETED, execute, miss, only
from tests.support.scripted import Scenario, manifest, record, state

STARS = {"name": "stars", "availability": {"supplied": False, "reason": "The export has none."}}
ENLARGE = """
    INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, first_run_id, last_run_id,
        next_attempt_at, connector_version_seen)
    SELECT :id, 'items', jsonb_build_object('resource_id', 'g' || n), decode(md5(n::text), 'hex'), 'timed_out',
        'retry_by_runtime', 1, 1, now(), '1.0.0'
    FROM generate_series(1, CAST(:count AS int)) AS n
"""


def collect(scenario: Scenario) -> None:
    found = [record("a"), record("b"), *miss("c", "d"), *miss("e", reason=Reason.TEMPLATE_UNKNOWN), state({"at": 1})]
    scenario.install(lambda _start, _context: iter(found), manifest("items", STARS, **TARGETED))
    scenario.run()


def report(cli: Cli) -> dict[str, Any]:
    return dict(cli.json("report"))


def test_it_is_the_coverage_with_every_open_gap(cli: Cli, scenario: Scenario) -> None:
    collect(scenario)

    made = report(cli)

    [part] = made["connections"]
    items, stars = part["streams"]
    assert (part["connection"], part["connector"], part["version"]) == ("mine", "scripted", "1.0.0")
    assert [gap["scope"]["resource_id"] for gap in items.pop("gaps")] == ["c", "d", "e"]
    assert [items, {**stars, "gaps": None}] == [cli.json("coverage")[0], {**cli.json("coverage")[1], "gaps": None}]
    assert stars["gaps"] == []
    assert made["answer"].startswith("Not everything is here")


def test_each_gap_says_who_mends_it(cli: Cli, scenario: Scenario) -> None:
    collect(scenario)

    gaps = report(cli)["connections"][0]["streams"][0]["gaps"]

    assert [(gap["reason"], gap["who_mends"]) for gap in gaps] == [
        ("rate_limited", "time"),
        ("rate_limited", "time"),
        ("template_unknown", "upgrade"),
    ]
    assert gaps[2]["sentence"] == Reason.TEMPLATE_UNKNOWN.sentence


def test_the_text_says_what_is_held_and_missing_and_why_and_what_happens_next(cli: Cli, scenario: Scenario) -> None:
    collect(scenario)

    written = cli.ok("report")

    for words in (
        "Not everything is here",
        "items: waiting for upgrade",
        "held     2 records",
        "missing  3 (rate_limited 2, template_unknown 1)",
        "stars: known absent",
        "The export has none.",
        "Nobody retries it.",
    ):
        assert words in written
    assert max(map(len, written.splitlines())) <= 80


def test_the_text_names_some_gaps_and_counts_the_others(cli: Cli, scenario: Scenario) -> None:
    collect(scenario)
    execute(scenario, ENLARGE, id=scenario.connection_id, count=40)

    written = cli.ok("report", "--limit", "5")

    assert sum("      gap " in line for line in written.splitlines()) == 5
    assert "and 38 more; see: pdpp-worker gaps mine" in written
    assert len(report(cli)["connections"][0]["streams"][0]["gaps"]) == 43


def test_names_of_others_cannot_steer_the_terminal(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"), *miss("\x1b[2J" + "x" * 500))
    scenario.run()

    written = cli.ok("report")

    assert "\x1b" not in written
    assert max(map(len, written.splitlines())) <= 80


def test_it_is_of_one_moment(cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit while the report is written does not make its parts disagree."""
    from pdpp_worker.store.views import gap_views

    collect(scenario)
    unclosed = gap_views.unclosed_of_stream

    def late(*arguments: Any) -> Any:
        execute(scenario, "UPDATE gaps SET status = 'recovered', closed_at = now()")
        return unclosed(*arguments)

    monkeypatch.setattr(gap_views, "unclosed_of_stream", late)

    items = report(cli)["connections"][0]["streams"][0]

    assert items["missing"] == len(items["gaps"]) == 3


def test_it_can_be_of_one_connection(cli: Cli, scenario: Scenario) -> None:
    collect(scenario)
    cli.ok("connection", "add", "other", "--connector", "scripted", "--paused")

    assert [part["connection"] for part in cli.json("report", "other")["connections"]] == ["other"]
    assert "pdpp-worker connection resume other" in " ".join(cli.ok("report", "other").split())


def test_without_a_connection_there_is_nothing_to_report(cli: Cli) -> None:
    assert "There is no connection yet" in cli.ok("report")
    assert report(cli)["connections"] == []


def test_counts_use_the_index_of_what_is_unclosed(scenario: Scenario) -> None:
    """A long history of closed gaps costs nothing."""
    from pdpp_worker.store.views import coverage_views

    execute(scenario, ENLARGE, id=scenario.connection_id, count=5000)
    execute(scenario, "UPDATE gaps SET status = 'recovered', closed_at = now() WHERE id % 50 <> 0")
    with scenario.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE gaps"))
        statement = text(f"EXPLAIN (FORMAT JSON) {coverage_views._MISSING.text}")
        [plan] = connection.execute(statement, {"ids": [scenario.connection_id]}).scalars()

    of_gaps = [node["Node Type"] for node in _nodes(plan[0]["Plan"]) if node.get("Relation Name") == "gaps"]
    assert "ix_gaps_alike" in json.dumps(plan)
    assert of_gaps
    assert "Seq Scan" not in of_gaps


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


def test_the_streams_verdict_stands_in_both(cli: Cli, scenario: Scenario) -> None:
    collect(scenario)

    with_absent = cli.json("coverage")

    assert [one["verdict"] for one in with_absent] == ["waiting_for_upgrade", "known_absent"]
    scenario.send(record("c"), record("d"), record("e"), state({"at": 2}))
    execute(scenario, "UPDATE gaps SET status = 'recovered', closed_at = now()")
    scenario.manifest = manifest("items")
    scenario.install(lambda _start, _context: iter([record("c"), state({"at": 2})]), scenario.manifest)
    scenario.run()
    assert only(cli)["verdict"] == report(cli)["connections"][0]["streams"][0]["verdict"] == "complete"
