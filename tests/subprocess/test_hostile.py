"""A command that misbehaves costs its own run only: records stay, its cursors do not, no process is left."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from structlog.testing import capture_logs

from pdpp_worker.command import child, conversation, stderr
from pdpp_worker.protocol.messages import Interaction, InteractionResponse
from pdpp_worker.settings import get_settings
from tests.subprocess.conftest import Commands


class Watching:
    """An owner at the terminal who answers nothing."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, question: Interaction, _: Callable[[], None]) -> InteractionResponse:
        """Let a question go by."""
        return InteractionResponse(request_id=question.request_id, status="timeout")

    def tell(self, text: str) -> None:
        """Be shown a sentence."""
        self.told.append(text)


def test_a_command_that_does_as_it_should_succeeds(commands: Commands) -> None:
    run = commands.misbehave("good")

    assert (run["status"], set(commands.held()), commands.cursors()) == ("succeeded", {"a"}, {"items": "1"})


@pytest.mark.parametrize(
    ("how", "said", "reason"),
    [
        ("lies_about_counts", "DONE counts 7 records; 1 came", "parse_failed"),
        ("lies_about_its_end", "DONE says succeeded, and the command ended with exit code 3", "parse_failed"),
        ("fails_with_exit_0", "broken (DONE says failed, and the command ended with exit code 0)", "parse_failed"),
        ("fails_and_breaks_rules", "the password is wrong", "credentials_expired"),
        ("talks_after_done", "a message came after DONE", "parse_failed"),
        ("no_done", "ended without DONE (exit code 9)", "source_partition_failed"),
        ("half_a_line", "ended without DONE (exit code 0)", "source_partition_failed"),
        ("bad_text", "DONE counts 2 records; 1 came", "parse_failed"),
        ("speaks_something_else", "more than 1,000 messages were refused", "parse_failed"),
        ("fails", "broken", "upstream_error"),
        ("asks_twice", "a second INTERACTION came while the first", "parse_failed"),
    ],
)
def test_a_bad_end_keeps_the_records_and_commits_no_cursor(
    commands: Commands, how: str, said: str, reason: str
) -> None:
    run = commands.misbehave(how)

    assert said in run["error"]
    assert run["skipped_by_reason"] == {reason: 1}
    assert run["status"] == ("failed" if how == "asks_twice" else "partially_completed")
    assert set(commands.held()) <= {"a"}
    assert commands.cursors() == {}


def test_a_line_without_end_is_a_violation_before_it_fills_the_memory(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "ENDLESS_BYTES", 1_000_000)
    monkeypatch.setattr(child, "LINE_BYTES", 100_000)

    run = commands.misbehave("endless_line")

    assert "a line of more than 1000000 bytes, and no end to it" in run["error"]
    assert set(commands.held()) == {"a"}


def test_a_record_too_long_to_be_read_is_a_rejection_under_its_name(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LINE_BYTES", 100_000)

    run = commands.misbehave("long_record")

    assert (run["status"], run["error"], run["records_rejected"]) == ("partially_completed", None, 1)
    assert set(commands.held()) == {"a", "b"}
    [gap] = commands.gaps()
    assert (gap["scope"], gap["reason"]) == ({"resource_id": "long"}, "record_rejected")
    assert commands.cursors() == {"items": "1"}


def test_a_cursor_too_long_to_be_read_costs_no_record(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LINE_BYTES", 100_000)

    run = commands.misbehave("long_state")

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"state_too_large": 1})
    assert set(commands.held()) == {"a", "b"}
    assert commands.cursors() == {}


def test_a_long_line_without_a_name_may_have_been_any_record(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LINE_BYTES", 100_000)

    run = commands.misbehave("long_line")

    assert run["messages_refused"] == {"RECORD.line": 1}
    assert (run["status"], commands.cursors()) == ("partially_completed", {})


def test_values_that_json_does_not_have_cost_only_their_records(commands: Commands) -> None:
    run = commands.misbehave("odd_values")

    assert (run["status"], run["records_rejected"]) == ("partially_completed", 2)
    assert set(commands.held()) == {"a", "surrogate", "nul"}


def test_an_integer_beyond_all_reading_costs_its_record(commands: Commands) -> None:
    run = commands.misbehave("vast_integer")

    assert (run["status"], run["error"], run["records_rejected"]) == ("partially_completed", None, 1)
    assert [gap["scope"] for gap in commands.gaps()] == [{"resource_id": "b"}]


def test_strange_items_cost_themselves_alone(commands: Commands) -> None:
    run = commands.misbehave("strange_items")

    assert (run["status"], run["error"], run["records_rejected"]) == ("partially_completed", None, 3)
    assert set(commands.held()) == {"a", '"\\ud800"'}
    assert {gap["scope"]["resource_id"] for gap in commands.gaps()} == {"deep", "digits", "inf", "gone"}
    assert commands.cursors() == {"items": "1"}


def test_half_a_surrogate_pair_costs_its_own_message_alone(commands: Commands) -> None:
    run = commands.misbehave("half_pairs")

    assert run["error"] is None
    assert run["status"] != "failed"
    assert {"a", "z"} <= set(commands.held())
    assert "r" in {gap["scope"].get("resource_id") for gap in commands.gaps()}


def test_a_line_that_is_no_message_is_counted_and_costs_nothing_else(commands: Commands) -> None:
    run = commands.misbehave("no_json")

    assert (run["status"], run["messages_refused"]) == ("succeeded", {"line.line": 1})
    assert (set(commands.held()), commands.cursors()) == ({"a", "b"}, {"items": "1"})


def test_a_record_of_another_stream_is_dropped_and_counted(commands: Commands) -> None:
    run = commands.misbehave("outside_the_scope")

    assert (run["status"], run["messages_refused"]) == ("succeeded", {"RECORD.stream": 1})
    assert set(commands.held()) == {"a"}


def test_one_wrong_message_among_ten_thousand_costs_what_it_was_about(commands: Commands) -> None:
    run = commands.misbehave("one_wrong_among_many", "items", "others")

    assert run["messages_refused"] == {"RECORD.key": 1}
    assert (run["status"], run["records_flushed"], run["records_rejected"]) == ("partially_completed", 10_000, 1)
    assert commands.cursors() == {"others": "2"}


def test_an_owner_who_is_asked_to_act_elsewhere_has_the_time_for_it(commands: Commands) -> None:
    commands.settings = commands.settings.model_copy(update={"silence_s": 1.0})

    assert commands.misbehave("asks_for_help")["status"] == "succeeded"
    [shown] = commands.rows("SELECT data FROM events WHERE type = 'assistance'")
    assert shown["data"]["message"] == "Confirm it"


def test_an_owner_at_the_terminal_is_shown_what_the_connector_asks_for(commands: Commands) -> None:
    owner = commands.answerer = Watching()

    commands.misbehave("asks_for_help")

    assert owner.told == [
        "The connector asks you to act: Confirm it",
        "What the connector asked for is resolved.",
    ]


def test_a_request_for_gaps_is_answered_where_there_are_none(commands: Commands) -> None:
    commands.misbehave("asks_for_pages")

    assert commands.held()["answer"]["answer"]["detail_gaps"] == []


def test_a_certified_failure_of_one_stream_lets_the_others_commit(commands: Commands) -> None:
    run = commands.misbehave("certified_failure", "items", "others")

    assert (run["status"], commands.cursors()) == ("partially_completed", {"items": "1"})
    assert run["skipped_by_reason"] == {"source_partition_failed": 1}


def test_a_command_that_reads_nothing_is_not_waited_for(commands: Commands) -> None:
    assert commands.misbehave("never_reads")["status"] == "succeeded"


def test_a_command_that_never_answers_is_ended_when_it_was_silent_for_too_long(commands: Commands) -> None:
    commands.settings = commands.settings.model_copy(update={"silence_s": 0.5})

    run = commands.misbehave("never_answers")

    assert (run["status"], run["error"]) == ("failed", "the connector was silent for 0.5 s")
    assert run["skipped_by_reason"] == {"timed_out": 1}
    assert not any(psutil.pid_exists(pid) for pid in commands.marked)


def test_what_a_command_forks_away_ends_with_it(commands: Commands) -> None:
    run = commands.misbehave("forks_away")

    assert run["status"] == "succeeded"
    commands.nothing_is_left()


@pytest.fixture
def one_user() -> Iterator[None]:
    """Programs run as the user of the fleet: another one could not kill its subreaper."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDPP_CONNECTOR_USER", str(os.geteuid()))
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.usefixtures("one_user")
@pytest.mark.parametrize("how", ["kills_its_subreaper", "forks_away_and_kills_its_subreaper"])
def test_a_command_that_kills_its_subreaper_ends_with_it(commands: Commands, how: str) -> None:
    assert commands.misbehave(how)["status"] == "failed"

    assert commands.still_there() == []


def test_a_command_that_stays_after_its_done_is_not_believed(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "EXIT_S", 0.5)

    run = commands.misbehave("stays_after_done")

    assert "did not exit within 0.5 s after its DONE" in run["error"]
    assert commands.cursors() == {}
    commands.nothing_is_left()


def test_a_violation_ends_the_whole_process_group(commands: Commands) -> None:
    commands.misbehave("speaks_something_else")

    commands.nothing_is_left()


def test_a_flood_on_standard_error_reaches_the_log_bounded(commands: Commands) -> None:
    with capture_logs() as logs:
        run = commands.misbehave("floods_stderr")

    said = [entry for entry in logs if entry["event"] == "command says"]
    assert run["status"] == "succeeded"
    assert len(said) == stderr.LINES
    assert logs[-2]["event"] == "command says more than is logged"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ranks processes for that")
def test_a_system_without_memory_ends_the_command_before_the_worker(commands: Commands) -> None:
    commands.misbehave("tells_its_rank")

    assert commands.rows("SELECT data ->> 'text' AS rank FROM records") == [{"rank": "1000"}]


def test_secrets_of_the_connection_reach_neither_the_log_nor_the_run(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "tok-en-123456")
    commands.configure(credentials='{"token": "env:MY_TOKEN"}')

    with capture_logs() as logs:
        run = commands.misbehave("tells_secrets", credentials={"token": {"title": "Token", "env": "TOKEN"}})

    assert run["error"] == "[secret] was refused"
    assert "signed in with [secret]" in [entry.get("line") for entry in logs]
    assert "tok-en-123456" not in json.dumps([logs, commands.rows("SELECT data::text FROM events")], default=str)


def test_a_missing_credential_waits_for_the_owner_and_starts_nothing(commands: Commands) -> None:
    run = commands.misbehave("never_answers", credentials={"token": {"title": "Token", "env": "TOKEN"}})

    assert run["skipped_by_reason"] == {"credentials_expired": 1}
    assert commands.marked == []


def test_a_program_that_is_not_there_is_named(commands: Commands) -> None:
    run = commands.misbehave("good", command=["no-such-program"])

    assert "the program no-such-program of the connector scripted is not on this machine" in run["error"]


def test_a_command_sees_little_of_the_environment_and_no_secret_in_its_arguments(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "tok-en-123456")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not yours")
    commands.configure(credentials='{"token": "env:MY_TOKEN"}')

    commands.misbehave("shows_environment", credentials={"token": {"title": "Token", "env": "TOKEN"}})

    seen = commands.held()["environment"]
    assert {"PATH", "TOKEN", "PDPP_RUN_ID", "PDPP_PACING_MIN_INTERVAL_MS", "PDPP_FILES_DIR"} <= set(seen["names"])
    assert not {"MY_TOKEN", "AWS_SECRET_ACCESS_KEY", "PDPP_DATABASE_URL"} & set(seen["names"])
    assert "tok-en-123456" not in json.dumps(seen)


def test_streams_that_nobody_knows_are_counted_and_cost_nothing_else(commands: Commands) -> None:
    """A million of them take 25 s and 3 MB."""
    run = commands.misbehave("speaks_of_many_streams")

    assert (run["status"], set(commands.held())) == ("succeeded", {"a"})
    assert sum(run["messages_refused"].values()) == 500
