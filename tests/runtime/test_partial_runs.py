"""A run tells about itself when not everything went well."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from pdpp_worker.connector import Context, DetailGap, Message, Progress, Reason, ResourceScope, Start, skip
from pdpp_worker.protocol.messages import Record, State
from pdpp_worker.runtime.time_limits import SliceEnded
from pdpp_worker.store import connections
from tests.support.scripted import NOW, Scenario, manifest, record, state

CASE_A_RECORDS = 50_396


@pytest.mark.parametrize(
    ("cursor", "records"),
    [
        pytest.param({"highest_modseq": 10**5000}, CASE_A_RECORDS, id="an integer of five thousand digits"),
        pytest.param({"highest_modseq": float("nan")}, 2000, id="a number that JSON does not have"),
        pytest.param({"highest_modseq": b"\x00"}, 2000, id="bytes"),
    ],
)
def test_a_cursor_that_cannot_be_represented_costs_only_itself(
    scenario: Scenario, cursor: object, records: int
) -> None:
    def mailbox(start: Start, _: Context) -> Iterator[Message]:
        begin = start.state["items"]["uid"] if start.state else 0
        for uid in range(begin, records):
            yield record(f"m{uid}", subject="hello")
            if uid == records // 2:
                yield state({"uid": uid})
        yield state(cursor)

    scenario.install(mailbox)

    run = scenario.run()

    assert run["status"] == "partially_completed"
    assert run["records_durable"] == run["records_emitted"] == records
    assert (run["checkpoints_staged"], run["checkpoints_committed"]) == (1, 0)
    assert len(scenario.held()) == records
    assert json.loads(scenario.cursors()["items"]) == {"uid": records // 2}


def test_the_run_after_a_bad_cursor_does_not_start_from_scratch(scenario: Scenario) -> None:
    def mailbox(start: Start, _: Context) -> Iterator[Message]:
        begin = start.state["items"]["uid"] if start.state else 0
        yield from (record(f"m{uid}") for uid in range(begin, 100))
        yield state({"uid": 100})
        yield state({"uid": float("inf")})

    scenario.install(mailbox)
    scenario.run()

    second = scenario.run()

    assert second["records_emitted"] == 0
    assert scenario.starts[-1].cursor("items") == {"uid": 100}


def test_an_integer_beyond_64_bits_is_a_cursor_like_any_other(scenario: Scenario) -> None:
    scenario.send(record("a"), state({"highest_modseq": 2**70}))

    run = scenario.run()

    assert run["status"] == "succeeded"
    assert json.loads(scenario.cursors()["items"]) == {"highest_modseq": 2**70}


@pytest.mark.parametrize("cursor_bytes", [50_000, 5_000_000], ids=["50 kB", "5 MB"])
def test_a_large_cursor_commits_with_the_others(scenario: Scenario, cursor_bytes: int) -> None:
    streams = ("sessions", "messages", "attachments", "notes")
    cursor = {f"project/session-{n:06}.jsonl": 1_700_000_000.123456 for n in range(cursor_bytes // 45)}

    def logs(_: Start, __: Context) -> Iterator[Message]:
        for n in range(5_000 if cursor_bytes < 1_000_000 else 400):
            stream = streams[n % 4]
            yield Record(stream=stream, key=f"r{n}", data={"id": f"r{n}", "text": "x"}, emitted_at=NOW)
        for stream in streams:
            yield State(stream=stream, cursor={"file_mtimes": cursor})

    scenario.install(logs, manifest(*streams))

    run = scenario.run()

    assert run["status"] == "succeeded"
    assert run["records_flushed"] == run["records_emitted"]
    assert (run["checkpoints_staged"], run["checkpoints_committed"]) == (4, 4)
    assert {json.loads(one)["file_mtimes"] == cursor for one in scenario.cursors().values()} == {True}


def test_a_missing_detail_makes_a_run_partial_and_says_why(scenario: Scenario) -> None:
    gap = DetailGap(stream="items", record_key="b", reason="rate_limited", last_error="GET /b was refused for the rate")
    scenario.send(record("a"), gap, state({"at": 1}))

    run = scenario.run()

    assert run["status"] == "partially_completed"
    assert run["skipped_by_reason"] == {"rate_limited": 1}
    assert run["records_missing_estimate"] == 1
    assert run["retry_hint"]["why"] == "rate_limited"
    assert [(one["scope"], one["reason"], one["status"]) for one in scenario.gaps()] == [
        ({"resource_id": "b"}, "rate_limited", "open")
    ]


def test_nothing_durable_and_something_missing_is_a_failure(scenario: Scenario) -> None:
    scenario.send(skip("items", Reason.UPSTREAM_ERROR, ResourceScope(resource_id="a")))

    run = scenario.run()

    assert (run["status"], run["records_durable"]) == ("failed", 0)


def test_records_stay_when_the_connector_crashes(scenario: Scenario) -> None:
    def crashes(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        yield state({"at": 1})
        yield record("b")
        raise ZeroDivisionError("secret detail")

    scenario.install(crashes)

    run = scenario.run()

    assert run["status"] == "partially_completed"
    assert set(scenario.held()) == {"a", "b"}
    assert scenario.cursors() == {"items": '{"at":1}'}
    assert run["error"] == "ZeroDivisionError in the connector"
    assert [gap["reason"] for gap in scenario.gaps()] == ["parse_failed"]


def test_a_crash_with_a_secret_in_its_text_tells_the_log_all_but_the_secret(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashes(_: Start, context: Context) -> Iterator[Message]:
        yield record("a")
        raise ZeroDivisionError(f"sent {context.secret('token').get_secret_value()}")

    monkeypatch.setenv("A_TOKEN", "correct-horse")
    with scenario.db.begin() as connection:
        connections.set_credentials(connection, scenario.connection_id, {"token": "env:A_TOKEN"})
    scenario.install(crashes, manifest(credentials={"token": {"title": "Token"}}))

    with capture_logs() as logged:
        scenario.run()

    assert "ZeroDivisionError: sent [secret]" in str(logged)
    assert "correct-horse" not in str(logged)


def test_a_bad_record_is_kept_as_it_came_and_does_not_stop_the_run(scenario: Scenario) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    scenario.manifest = manifest({"name": "items", "schema": schema})
    scenario.send(record("a", n=1), record("b", n="one"), record("c", n=3), state({"at": 3}))

    run = scenario.run()

    rejection = scenario.one("SELECT * FROM rejections")
    assert (run["status"], run["records_rejected"], set(scenario.held())) == ("partially_completed", 1, {"a", "c"})
    assert json.loads(rejection["raw"]) == {"id": "b", "n": "one"}
    assert "n breaks the schema" in rejection["error"]
    assert "one" not in rejection["error"]


def test_a_refused_record_heals_when_a_later_version_sends_it_right(scenario: Scenario) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    scenario.manifest = manifest({"name": "items", "schema": schema})
    scenario.send(record("a", n="one"))
    scenario.run()

    scenario.send(record("a", n=1))
    run = scenario.run()

    assert run["status"] == "succeeded"
    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]


def test_a_run_in_which_everything_was_refused_is_never_green(scenario: Scenario) -> None:
    scenario.send(record("a", n=float("nan")), record("b", n=float("inf")))

    run = scenario.run()

    assert (run["status"], run["records_rejected"]) == ("failed", 2)


def test_finding_nothing_where_records_are_held_is_never_green(scenario: Scenario) -> None:
    scenario.send(record("a"), record("b"))
    assert scenario.run()["status"] == "succeeded"

    scenario.send()
    run = scenario.run()

    assert run["status"] == "failed"
    assert "found nothing" in scenario.stream(run["id"])["error"]


def test_finding_nothing_in_the_second_slice_is_never_green_either(scenario: Scenario) -> None:
    def stops_once(_: Start, __: Context) -> Iterator[Message]:
        if len(scenario.starts) == 2:
            raise SliceEnded
        yield from ()

    scenario.send(record("a"))
    scenario.run()
    scenario.install(stops_once)

    run = scenario.run()

    assert (run["slices"], run["status"]) == (2, "failed")


def test_the_books_balance_when_a_run_stops_half_way(scenario: Scenario) -> None:
    def stops(_: Start, __: Context) -> Iterator[Message]:
        yield Progress(stream="items", count=0, total=10)
        yield record("a")
        yield Progress(stream="items", count=1, total=10)
        yield skip("items", Reason.UPSTREAM_ERROR, ResourceScope(resource_id="b"))
        yield Progress(stream="items", count=2, total=10)
        raise ValueError

    scenario.install(stops)

    run = scenario.run()

    books = scenario.stream(run["id"])
    assert books["considered"] == 1 + 2 + 8
    assert (books["records_flushed"], books["skipped"], books["unreached"]) == (1, 2, 8)
