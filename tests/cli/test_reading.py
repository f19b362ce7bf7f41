"""Output of the read commands, for people and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from pdpp_worker.cli.output import fitting
from pdpp_worker.connector import Progress, Reason, ResourceScope, skip
from pdpp_worker.settings import Settings
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record, state


def _collect(scenario: Scenario) -> None:
    scenario.send(
        record("a", title="first"),
        record("b", title="second"),
        Progress(stream="items", message="", count=2, total=4),
        skip("items", Reason.RATE_LIMITED, ResourceScope(resource_id="c")),
        skip("items", Reason.TEMPLATE_UNKNOWN, ResourceScope(resource_id="d")),
        state({"at": 1}),
    )
    scenario.run()


@pytest.mark.parametrize(
    "command",
    [
        *("status", "coverage", "rate", "runs", "gaps mine", "connection list", "connectors", "data list", "db stats"),
        "runs show 1",
    ],
)
def test_a_table_in_a_pipe_has_tabs_between_its_cells(cli: Cli, scenario: Scenario, command: str) -> None:
    _collect(scenario)

    lines = [line for line in cli.ok(*command.split()).splitlines() if "\t" in line]

    tables = {line.count("\t") for line in lines}
    assert len(tables) == (2 if command == "runs show 1" else 1)  # its facts, and its streams
    assert not any("  " in line for line in lines)


@pytest.mark.parametrize(
    ("width", "shown"), [(13, ["a long one", "n"]), (19, ["a long one", "n", "size"]), (12, ["a long one"])]
)
def test_a_table_for_a_narrow_terminal_leaves_out_the_columns_that_matter_least(
    monkeypatch: pytest.MonkeyPatch, width: int, shown: list[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))

    columns, rows = fitting(("a long one", "n", "size"), [("x", "1", "2")], leave_out=("size", "n"))

    assert columns == shown
    assert rows == [["x", "1", "2"][: len(shown)]]


def test_a_run_shows_the_books_of_its_streams(cli: Cli, scenario: Scenario) -> None:
    _collect(scenario)

    [run] = cli.json("runs", "mine")
    shown = cli.json("runs", "show", str(run["id"]))

    assert shown["status"] == run["status"] == "partially_completed"
    assert (shown["records_durable"], shown["records_missing_estimate"]) == (2, 2)
    assert shown["skipped_by_reason"] == {"rate_limited": 1, "template_unknown": 1}
    [books] = shown["streams"]
    assert (books["considered"], books["records_flushed"], books["skipped"], books["unreached"]) == (4, 2, 2, 0)
    assert (books["checkpoints_staged"], books["checkpoints_committed"]) == (1, 1)
    text = cli.ok("runs", "show", str(run["id"]))
    assert "skipped rate_limited 1, template_unknown 1" in text


def test_a_run_that_is_not_over_claims_nothing_about_what_is_missing(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()

    shown = cli.json("runs", "show", str(run_id))

    assert shown["ended_at"] is shown["skipped"] is shown["unreached"] is shown["records_missing_estimate"] is None
    assert "not over yet" in cli.ok("runs", "show", str(run_id))


def test_the_latest_runs_come_first_and_only_as_many_as_asked_for(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    ids = [scenario.run()["id"] for _ in range(3)]

    assert [run["id"] for run in cli.json("runs", "--limit", "2")] == [ids[2], ids[1]]
    assert "There is no run 999" in cli.refusal("runs", "show", "999")


def test_status_never_says_zero_for_what_was_never_run(cli: Cli, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter([]), manifest("items", "notes"))

    rows = cli.json("status")

    assert [(row["stream"], row["records"], row["gaps_by_reason"]) for row in rows] == [
        ("items", None, None),
        ("notes", None, None),
    ]
    text = cli.ok("status")
    assert text.count("never run") == 2
    assert "last run none yet" in text
    assert " 0" not in text


def test_status_says_what_is_held_and_missing_and_what_comes_next(cli: Cli, scenario: Scenario) -> None:
    _collect(scenario)

    [row] = cli.json("status")

    assert row["records"] == 2
    assert row["gaps_by_reason"] == {"rate_limited": 1, "template_unknown": 1}
    assert row["last_run_status"] == "partially_completed"
    assert row["next_retry_at"] is not None


def test_a_run_that_no_worker_is_at_is_not_said_to_be_running(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.queue()
    scenario.rows("UPDATE runs SET status = 'running', started_at = now() RETURNING id")

    assert "last run waiting, begun" in cli.ok("status")


def test_a_deleted_record_is_not_counted_as_held(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"), record("b"))
    scenario.run()
    scenario.send(record("a").model_copy(update={"op": "delete"}))
    scenario.run()

    assert cli.json("status")[0]["records"] == 1


def test_gaps_say_why_and_who_acts(cli: Cli, scenario: Scenario) -> None:
    _collect(scenario)

    gaps = {gap["reason"]: gap for gap in cli.json_lines("gaps", "mine")}

    assert gaps["rate_limited"]["who_acts"] == "the fleet"
    assert gaps["rate_limited"]["sentence"] == Reason.RATE_LIMITED.sentence
    assert gaps["rate_limited"]["next_attempt_at"] is not None
    assert gaps["template_unknown"]["who_acts"] == "version above 1.0.0"
    assert gaps["template_unknown"]["scope"] == {"resource_id": "d"}
    assert [gap["reason"] for gap in cli.json_lines("gaps", "scripted", "--reason", "rate_limited")] == ["rate_limited"]
    assert Reason.TEMPLATE_UNKNOWN.sentence in cli.ok("gaps", "mine")
    assert "known: rate_limited" in cli.refusal("gaps", "mine", "--reason", "bad_luck")


def test_a_gap_that_waits_for_a_sign_in_names_the_owner_until_the_secret_is_replaced(
    cli: Cli, scenario: Scenario
) -> None:
    token = {"token": {"title": "Token", "required": False}}
    expired = skip("items", Reason.CREDENTIALS_EXPIRED, ResourceScope(resource_id="a"))
    scenario.install(lambda _start, _context: iter([expired]), manifest(credentials=token))
    scenario.run()
    [gap] = cli.json_lines("gaps", "mine")
    assert (gap["who_acts"], gap["next_attempt_at"]) == ("you: sign in", None)

    cli.ok("connection", "secret", "mine", "token", stdin="fresh\n")

    [gap] = cli.json_lines("gaps", "mine")
    assert gap["next_attempt_at"] is not None


def test_closed_gaps_are_listed_on_request_only(cli: Cli, scenario: Scenario) -> None:
    expired = skip("items", Reason.UPSTREAM_ERROR, ResourceScope(resource_id="a"))
    scenario.send(expired)
    scenario.run()
    scenario.rows("UPDATE gaps SET status = 'recovered', closed_at = now() RETURNING id")

    assert "Nothing is known to be missing" in cli.ok("gaps", "mine")
    [gap] = cli.json_lines("gaps", "mine", "--status", "all")
    assert (gap["status"], gap["who_acts"]) == ("recovered", "recovered")


def test_a_list_of_gaps_longer_than_a_page_is_whole(cli: Cli, scenario: Scenario) -> None:
    misses = [skip("items", Reason.TIMED_OUT, ResourceScope(resource_id=f"r{number}")) for number in range(1200)]
    scenario.send(*misses)
    scenario.run()

    assert len(cli.json_lines("gaps", "mine")) == 1200
    assert len(cli.json_lines("gaps", "mine", "--limit", "7")) == 7
    lines = cli.ok("gaps", "mine").splitlines()
    assert sum("timed_out" in line for line in lines) == 1201  # and its sentence
    assert sum("who acts" in line for line in lines) == 1


def test_events_come_oldest_first(cli: Cli, scenario: Scenario) -> None:
    _collect(scenario)

    events = cli.json_lines("events", "mine")

    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert events[0]["type"] == "run_queued"
    assert events[-1]["type"] == "run_ended"
    assert cli.json_lines("events", "--limit", "1") == events[-1:]


def test_connectors_are_listed_with_what_they_never_supply(cli: Cli, scenario: Scenario) -> None:
    stars = {"name": "stars", "availability": {"supplied": False, "reason": "The export has none."}}
    scenario.install(lambda _start, _context: iter([]), manifest("items", stars))

    [connector] = cli.json("connectors")

    assert (connector["name"], connector["version"], connector["queue"]) == ("scripted", "1.0.0", "collect")
    assert connector["streams"][1] == {
        "name": "stars",
        "supplied": False,
        "not_with": None,
        "not_without": None,
        "reason": "The export has none.",
    }
    assert "scripted never supplies stars: The export has none." in cli.ok("connectors")


def test_text_of_others_cannot_steer_the_terminal(cli: Cli, scenario: Scenario) -> None:
    scenario.send(skip("items", Reason.TIMED_OUT, ResourceScope(resource_id="[red]\x1b[2J\u2028x[/red]")))
    scenario.run()

    text = cli.ok("gaps", "mine")

    assert "\x1b" not in text
    assert "\u2028" not in text
    assert "[red]" in text


def test_tables_fit_into_a_hundred_columns(cli: Cli, scenario: Scenario) -> None:
    _collect(scenario)

    for command in ("status", "gaps mine", "runs", "runs show 1", "connection list", "connection show mine"):
        assert max(map(len, cli.ok(*command.split()).splitlines())) <= 100, command


def test_the_schemas_revision_is_told(cli: Cli) -> None:
    revisions = cli.json("db", "revision")

    assert revisions["revision"] == revisions["needed"] is not None
    assert revisions["needed"] in cli.ok("db", "upgrade")


def test_on_a_server_of_the_owners_an_old_schema_is_left_to_the_owner(cli: Cli, scenario: Scenario) -> None:
    scenario.rows("UPDATE alembic_version SET version_num = '0001' RETURNING version_num")

    assert "pdpp-worker db upgrade" in cli.refusal("status")


def test_a_schema_that_lacks_what_this_version_uses_asks_for_a_newer_one(cli: Cli, scenario: Scenario) -> None:
    scenario.execute("UPDATE alembic_version SET version_num = '9999'")
    scenario.execute("COMMENT ON TABLE alembic_version IS 'oldest code: 9999'")

    for command in (["status"], ["db", "upgrade"]):
        assert "Install the newer version." in cli.refusal(*command)


def test_a_wrong_setting_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PDPP_DATABASE_URL", "mysql://nowhere")

    assert "PDPP_DATABASE_URL must start with" in cli.refusal("status")


def test_help_and_version_are_there_by_their_usual_names(cli: Cli) -> None:
    assert "Usage" in cli.ok("-h")
    assert "Usage" in cli.ok("runs", "-h")
    assert cli.ok("--version") == cli.ok("version")


def test_a_connector_is_shown_with_what_it_needs(cli: Cli, scenario: Scenario) -> None:
    settings = {"place": {"title": "Place", "choices": ["here", "there"], "default": "here"}}
    scenario.install(
        lambda _start, _context: iter([]),
        manifest("items", settings=settings, credentials={"token": {"title": "Token"}}),
    )

    shown = cli.ok("connector", "show", "scripted")

    assert "Place (one of here, there; default: here)" in shown
    assert "Token, needed" in shown
    assert cli.json("connector", "show", "scripted") == cli.json("connectors")[0]


def test_the_address_of_the_database_is_shown_without_its_password(cli: Cli, settings: Settings) -> None:
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value())

    shown = make_url(cli.ok("db", "address").strip())

    assert (shown.database, shown.password, shown.drivername) == (url.database, None, "postgresql")
