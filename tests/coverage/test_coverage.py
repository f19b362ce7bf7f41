"""`coverage`: is anything of a stream missing, why, and what happens next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.connector import (
    Context,
    DetailCoverage,
    DetailGap,
    Message,
    Progress,
    Reason,
    ResourceScope,
    Start,
    skip,
)
from pdpp_worker.coverage import cards, outlook
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record, state

TARGETED = {"recovery": {"supports_targeted_resource_fetch": True, "supports_version_bumped_retry": True}}
BY_PARENT = {"coverage_strategy": "parent_detail_accounting"}
TOKEN = {"token": {"title": "Token", "required": False}}


def execute(scenario: Scenario, statement: str, **values: Any) -> None:
    with scenario.db.begin() as connection:
        connection.execute(text(statement), values)


def learn(scenario: Scenario, interval_ms: float) -> None:
    value = json.dumps({"interval_ms": interval_ms})
    statement = "INSERT INTO rate_states (connection_id, state) VALUES (:id, CAST(:state AS jsonb))"
    execute(scenario, statement, id=scenario.connection_id, state=value)


def miss(*names: str, reason: Reason = Reason.RATE_LIMITED, stream: str = "items") -> list[Message]:
    return [skip(stream, reason, ResourceScope(resource_id=name)) for name in names]


def only(cli: Cli) -> dict[str, Any]:
    [row] = cli.json("coverage")
    return dict(row)


class TestComplete:
    def test_a_stream_that_was_walked_to_its_end_without_a_miss(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"), record("b"), state({"at": 1}))
        run = scenario.run()

        row = only(cli)

        assert (row["verdict"], row["records"], row["missing"], row["open_gaps"]) == ("complete", 2, 0, {})
        assert row["last_complete_walk"]["run_id"] == row["last_walk"]["run_id"] == run["id"]
        assert row["last_complete_walk"]["considered"] == 2
        assert "Nothing that can be had is known to be missing" in cli.ok("coverage")

    def test_it_is_not_said_of_a_stream_with_records_that_are_held_in_part_only(
        self, cli: Cli, scenario: Scenario
    ) -> None:
        streams = ({"name": "items"}, {"name": "parts", "parent_streams": ["items"], **BY_PARENT})
        scenario.manifest = manifest(*streams)
        listed = record("a").model_copy(update={"partial": True})
        lacking = DetailGap(stream="parts", parent_stream="items", record_key="a", reason="rate_limited")
        scenario.send(listed, record("b"), lacking, state(1))
        scenario.run()

        rows = {row["stream"]: row for row in cli.json("coverage")}

        assert rows["items"]["verdict"] == "recovering"
        assert "held in part only: their parts are missing" in rows["items"]["because"]

    def test_it_is_said_of_a_stream_whose_records_are_whole_though_others_lack_theirs(
        self, cli: Cli, scenario: Scenario
    ) -> None:
        scenario.manifest = manifest({"name": "items"}, {"name": "parts", "parent_streams": ["items"], **BY_PARENT})
        lacking = DetailGap(stream="parts", parent_stream="items", record_key="a", reason="rate_limited")
        scenario.send(record("a"), lacking, state(1))
        scenario.run()

        rows = {row["stream"]: row for row in cli.json("coverage")}

        assert (rows["items"]["verdict"], rows["parts"]["verdict"]) == ("complete", "recovering")

    def test_an_empty_account_is_complete_too(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send()
        scenario.run()

        assert (only(cli)["verdict"], only(cli)["records"]) == ("complete", 0)

    def test_it_is_not_lost_to_a_recovery_run(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"))
        scenario.run()
        execute(
            scenario,
            "INSERT INTO runs (connection_id, kind, trigger, mode, streams, connector_version, status, ended_at) "
            "VALUES (:id, 'recovery', 'sweep', 'incremental', '[]', '1.0.0', 'failed', now())",
            id=scenario.connection_id,
        )

        assert only(cli)["verdict"] == "complete"

    def test_a_deleted_record_is_neither_held_nor_missing(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"))
        scenario.run()
        scenario.send(record("a").model_copy(update={"op": "delete"}))
        scenario.run()

        assert (only(cli)["verdict"], only(cli)["records"]) == ("complete", 0)


class TestUnknown:
    def test_a_stream_that_was_never_walked(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send()

        row = only(cli)

        assert (row["verdict"], row["records"], row["missing"]) == ("unknown", None, None)
        assert "never walked" in row["because"]

    def test_a_first_walk_that_is_under_way(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send()
        run_id = scenario.queue()

        row = only(cli)

        assert row["verdict"] == "unknown"
        assert f"Run {run_id} walks it" in row["next"]

    def test_a_walk_that_the_owner_stopped(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"))
        scenario.run()
        run_id = scenario.queue()
        cli.ok("cancel", "mine")
        scenario.slice(run_id)

        row = only(cli)

        assert (row["verdict"], row["missing"]) == ("unknown", None)
        assert f"run {run_id}) cancelled" in row["because"]

    def test_a_walk_that_found_nothing_where_records_are_held(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"))
        scenario.run()
        scenario.send()
        scenario.run(full=True)

        row = only(cli)

        assert row["verdict"] == "unknown"
        assert "found nothing" in row["because"]

    def test_a_place_that_could_not_be_kept(self, cli: Cli, scenario: Scenario) -> None:
        details = {"name": "details", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}
        unaccounted = DetailCoverage(
            stream="details", state_stream="items", required_keys=["a"], hydrated_keys=[], gap_keys=[]
        )
        scenario.install(
            lambda _start, _context: iter([record("a"), unaccounted, state({"at": 1})]), manifest("items", details)
        )
        scenario.run()

        verdicts = {row["stream"]: row for row in cli.json("coverage")}

        assert verdicts["items"]["verdict"] == "unknown"
        assert "neither read nor a gap" in verdicts["items"]["because"]
        assert verdicts["details"]["verdict"] == "unknown"
        assert "depends on" in verdicts["details"]["because"]

    def test_a_stream_that_the_installed_version_does_not_know(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"), *miss("b"))
        scenario.run()
        scenario.install(lambda _start, _context: iter([]), manifest("others"))

        rows = {row["stream"]: row for row in cli.json("coverage")}

        assert (rows["items"]["verdict"], rows["items"]["records"]) == ("unknown", 1)
        assert "does not know this stream" in rows["items"]["because"]


def needs(scenario: Scenario) -> dict[str, list[str]]:
    """Actions that wait for the owner, and the streams that wait."""
    with scenario.db.begin() as connection:
        home = cards.read(connection, outlook.read(scenario.settings, connection))
    return {one.sentence: one.streams for one in home.needs}


class TestRecovering:
    def test_without_a_learned_rate_the_end_is_unknown(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"), *miss("b", "c"))
        scenario.run()

        row = only(cli)

        assert (row["verdict"], row["missing"], row["done_at"]) == ("recovering", 2, None)
        assert row["open_gaps"] == {"retry_by_runtime": {"rate_limited": 2}}
        assert row["next_attempt_at"] is not None
        assert Reason.RATE_LIMITED.sentence in row["because"]
        assert "end unknown" in cli.ok("coverage")

    def test_with_one_it_is_when_the_last_item_will_be_here(self, cli: Cli, scenario: Scenario) -> None:
        names = [f"k{number}" for number in range(30)]
        scenario.install(lambda _start, _context: iter([record("a"), *miss(*names)]), manifest(**TARGETED))
        scenario.run()
        learn(scenario, 2000)

        row = only(cli)

        assert (
            timedelta(seconds=50) < datetime.fromisoformat(row["done_at"]) - datetime.now(UTC) < timedelta(seconds=90)
        )
        assert 6 <= row["done_give_or_take_s"] < 9
        assert "done in" in cli.ok("coverage")

    def test_the_end_is_never_before_the_last_try_is_due(self, cli: Cli, scenario: Scenario) -> None:
        scenario.install(lambda _start, _context: iter([record("a"), *miss("b", "c")]), manifest(**TARGETED))
        scenario.run()
        learn(scenario, 1000)
        execute(
            scenario,
            "UPDATE gaps SET next_attempt_at = clock_timestamp() + interval '5 hours' "
            "WHERE scope ->> 'resource_id' = 'c'",
        )

        assert datetime.fromisoformat(only(cli)["done_at"]) - datetime.now(UTC) > timedelta(hours=4)

    def test_what_is_of_unknown_size_has_no_known_end(self, cli: Cli, scenario: Scenario) -> None:
        def collect(_start: Start, _context: Context) -> Iterator[Message]:
            yield record("a")
            yield skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM)

        scenario.install(collect, manifest(**TARGETED))
        scenario.run()
        learn(scenario, 1000)

        row = only(cli)

        assert (row["verdict"], row["missing"], row["done_at"]) == ("recovering", None, None)

    @pytest.mark.parametrize(
        "meanwhile",
        [
            pytest.param(
                "UPDATE gaps SET reason = 'credentials_expired', next_attempt_at = NULL WHERE id = 1", id="the sign-in"
            ),
            pytest.param(
                "INSERT INTO runs (connection_id, kind, trigger, mode, status, streams, connector_version, "
                "spent_requests, ended_at) SELECT 1, 'recovery', 'sweep', 'incremental', "
                "'failed', '[]', '1.0.0', 3, now() FROM generate_series(1, 2)",
                id="tries that all failed",
            ),
        ],
    )
    def test_where_more_than_time_is_needed_no_end_is_told(self, cli: Cli, scenario: Scenario, meanwhile: str) -> None:
        scenario.install(lambda _start, _context: iter([record("a"), *miss("b", "c")]), manifest(**TARGETED))
        scenario.run()
        learn(scenario, 1000)
        told = only(cli)["done_at"]

        execute(scenario, meanwhile)

        assert told is not None
        assert only(cli)["done_at"] is None

    def test_the_pause_that_the_provider_asked_for_is_waited_out(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"), *miss("b"))
        scenario.run()
        execute(scenario, "UPDATE connections SET cooldown_until = clock_timestamp() + interval '3 hours'")

        assert datetime.fromisoformat(only(cli)["next_attempt_at"]) - datetime.now(UTC) > timedelta(hours=2)

    def test_what_a_live_run_holds_is_being_fetched_now(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("a"), *miss("b", "c"))
        run = scenario.run()
        execute(scenario, "UPDATE gaps SET leased_by_run_id = :run WHERE scope ->> 'resource_id' = 'b'", run=run["id"])
        assert only(cli)["fetching"] == 0

        execute(scenario, "UPDATE leases SET run_id = :run, expires_at = now() + interval '1 minute'", run=run["id"])

        assert only(cli)["fetching"] == 1


class TestWaitingForTheOwner:
    def test_an_expired_sign_in_says_what_to_do_until_it_is_renewed(self, cli: Cli, scenario: Scenario) -> None:
        expired = miss("a", reason=Reason.CREDENTIALS_EXPIRED)
        scenario.install(lambda _start, _context: iter(expired), manifest(credentials=TOKEN))
        scenario.run()

        row = only(cli)

        assert row["verdict"] == "waiting_for_owner"
        assert Reason.CREDENTIALS_EXPIRED.sentence in row["because"]
        assert "pdpp-worker connection secret mine" in row["next"]
        cli.ok("connection", "secret", "mine", "token", stdin="fresh\n")
        assert only(cli)["verdict"] == "recovering"

    def test_a_cause_is_one_entry_with_the_command_that_ends_it_and_then_gone(
        self, cli: Cli, scenario: Scenario
    ) -> None:
        expired = miss("a", reason=Reason.CREDENTIALS_EXPIRED)
        other = skip("others", Reason.CREDENTIALS_EXPIRED, ResourceScope(resource_id="a"))
        names = ("items", "others")
        scenario.install(
            lambda _start, _context: iter([*expired, *miss("b"), other]), manifest(*names, credentials=TOKEN)
        )
        scenario.run()

        asked = needs(scenario)
        cli.ok("connection", "secret", "mine", "token", stdin="fresh\n")

        assert asked == {"Renew the sign-in with: pdpp-worker connection secret mine token": list(names)}
        assert needs(scenario) == {}

    def test_a_bot_check(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("b"), *miss("a", reason=Reason.CHALLENGED))
        scenario.run()

        row = only(cli)

        assert row["verdict"] == "waiting_for_owner"
        assert "Open the account yourself once" in row["next"]

    def test_what_was_given_up_counts_as_missing_and_can_be_asked_for_again(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("b"), *miss("a"))
        scenario.run()
        execute(scenario, "UPDATE gaps SET status = 'exhausted'")

        row = only(cli)

        assert (row["verdict"], row["missing"], row["exhausted"]) == ("waiting_for_owner", 1, 1)
        assert row["next_attempt_at"] is None
        assert "pdpp-worker recover mine" in row["next"]

    def test_a_connector_that_is_gone(self, cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
        scenario.send(record("a"))
        scenario.run()
        monkeypatch.setattr(registry, "all_connectors", dict)

        row = only(cli)

        assert (row["verdict"], row["records"]) == ("waiting_for_owner", 1)
        assert "Install the connector scripted" in row["next"]

    def test_a_newer_version_that_does_not_go_back_by_itself(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("b"), *miss("a", reason=Reason.TEMPLATE_UNKNOWN))
        scenario.run()
        assert only(cli)["verdict"] == "waiting_for_upgrade"

        scenario.install(lambda _start, _context: iter([]), manifest(version="1.1.0"))

        row = only(cli)
        assert row["verdict"] == "waiting_for_owner"
        assert "pdpp-worker run mine --full" in row["next"]


class TestWaitingForAnUpgrade:
    def test_an_unknown_layout_and_a_refused_record(self, cli: Cli, scenario: Scenario) -> None:
        strict = {"name": "items", "schema": {"type": "object", "properties": {"size": {"type": "integer"}}}}
        misses = miss("b", reason=Reason.TEMPLATE_UNKNOWN)
        scenario.install(
            lambda _start, _context: iter([record("a", size="large"), *misses]), manifest(strict, **TARGETED)
        )
        scenario.run()

        row = only(cli)

        assert (row["verdict"], row["missing"]) == ("waiting_for_upgrade", 2)
        assert row["open_gaps"] == {"retry_on_connector_upgrade": {"record_rejected": 1, "template_unknown": 1}}
        assert "above 1.0.0" in row["next"]
        assert "by itself" in row["next"]

    def test_a_connector_that_broke_down(self, cli: Cli, scenario: Scenario) -> None:
        def collect(_start: Start, _context: Context) -> Iterator[Message]:
            yield record("a")
            raise TypeError("boom")

        scenario.install(collect)
        scenario.run()

        row = only(cli)

        assert (row["verdict"], row["records"], row["missing"]) == ("waiting_for_upgrade", 1, None)
        assert "boom" not in row["because"]


class TestKnownAbsent:
    def test_a_stream_that_the_manifest_rules_out(self, cli: Cli, scenario: Scenario) -> None:
        stars = {"name": "stars", "availability": {"supplied": False, "reason": "The export has none."}}
        scenario.install(lambda _start, _context: iter([record("a")]), manifest(stars, "items"))
        scenario.run()

        rows = cli.json("coverage")

        assert [(row["stream"], row["verdict"]) for row in rows] == [("items", "complete"), ("stars", "known_absent")]
        assert (rows[1]["because"], rows[1]["next"]) == ("The export has none.", "Nobody retries it.")
        assert "Nothing that can be had is known to be missing" in cli.ok("coverage")

    def test_a_stream_of_which_the_owner_waived_all(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(*miss("a", "b"))
        scenario.run()
        execute(scenario, "UPDATE gaps SET status = 'waived', closed_at = now() WHERE scope ->> 'resource_id' = 'a'")
        execute(scenario, "UPDATE gaps SET status = 'absent_upstream', closed_at = now() WHERE closed_at IS NULL")

        row = only(cli)

        assert (row["verdict"], row["waived"], row["absent_upstream"]) == ("known_absent", 1, 1)

    def test_what_was_let_go_beside_what_is_held_leaves_a_stream_complete(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(record("b"), *miss("a"))
        scenario.run()
        execute(scenario, "UPDATE gaps SET status = 'waived', closed_at = now()")

        assert (only(cli)["verdict"], only(cli)["missing"]) == ("complete", 0)
        assert "but for 1 that you waived or that do not exist at the provider" in only(cli)["because"]


def test_a_stream_that_depends_on_a_failed_one_is_not_complete(cli: Cli, scenario: Scenario) -> None:
    details = {"name": "details", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}
    scenario.install(
        lambda _start, _context: iter([record("a"), skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM)]),
        manifest("items", details),
    )
    scenario.run()

    verdicts = {row["stream"]: row["verdict"] for row in cli.json("coverage")}

    assert verdicts == {"items": "recovering", "details": "unknown"}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.SOURCE_PARTITION_FAILED, "recovering"),
        (Reason.CREDENTIALS_EXPIRED, "waiting_for_owner"),
        (Reason.SHAPE_CHANGED, "recovering"),
        (Reason.TEMPLATE_UNKNOWN, "waiting_for_upgrade"),
    ],
)
def test_what_was_not_read_of_a_stream_is_missing_in_those_that_depend_on_it(
    cli: Cli, scenario: Scenario, reason: Reason, expected: str
) -> None:
    reactions = {"name": "reactions", "state_stream": "items", "coverage_strategy": "checkpoint_window"}
    scenario.manifest = manifest("items", reactions, **TARGETED)
    part = skip("items", reason, BatchScope(partition={"channel": "C1"}))
    scenario.send(record("a"), record("r", "reactions"), part, state(1))
    scenario.run()

    row = {one["stream"]: one for one in cli.json("coverage")}["reactions"]

    assert (row["verdict"], row["missing"], row["open_gaps"]) == (expected, None, {})
    assert "of the stream items, which it depends on" in row["because"]
    item = cli.json("why", "mine", "reactions", "r2")
    assert item["state"] == "maybe_missing"
    assert "a part of the stream items, which it depends on" in item["because"]


def test_a_record_that_was_refused_is_not_missing_in_what_depends_on_it(cli: Cli, scenario: Scenario) -> None:
    items = {"name": "items", "schema": {"properties": {"size": {"type": "integer"}}}}
    bodies = {"name": "bodies", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}
    scenario.manifest = manifest(items, bodies)
    scenario.send(record("a", size="large"), record("a", "bodies"), state(1))
    scenario.run()

    verdicts = {row["stream"]: row["verdict"] for row in cli.json("coverage")}

    assert verdicts == {"items": "waiting_for_upgrade", "bodies": "complete"}


def test_the_periods_that_were_walked_are_shown(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()
    execute(
        scenario,
        'UPDATE coverage SET intervals = \'{(,"2025-01-01 00:00+00"), ["2025-03-01 00:00+00","2025-04-01 00:00+00")}\'',
    )

    assert only(cli)["intervals"] == [
        {"since": None, "until": "2025-01-01T00:00:00+00:00"},
        {"since": "2025-03-01T00:00:00+00:00", "until": "2025-04-01T00:00:00+00:00"},
    ]


def test_a_connection_or_all_of_a_connector(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()
    cli.ok("connection", "add", "other", "--connector", "scripted")

    assert [row["connection"] for row in cli.json("coverage")] == ["mine", "other"]
    assert [row["connection"] for row in cli.json("coverage", "other")] == ["other"]
    assert len(cli.json("coverage", "scripted")) == 2
    assert "neither a connection" in cli.refusal("coverage", "nobody")


def test_it_can_be_read_in_eighty_columns(cli: Cli, scenario: Scenario) -> None:
    scenario.send(
        record("a"),
        *miss("b"),
        *miss("c", reason=Reason.TEMPLATE_UNKNOWN),
        DetailGap(stream="items", record_key="d", reason="challenged"),
        Progress(stream="items", message="", count=1, total=9),
    )
    scenario.run()

    assert max(map(len, cli.ok("coverage").splitlines())) <= 80


def test_without_a_connection_there_is_nothing_to_say(cli: Cli) -> None:
    assert "There is no connection yet" in cli.ok("coverage")
    assert cli.json("coverage") == []
