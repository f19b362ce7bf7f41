"""A broken rule ends the run; a failure says who has to act."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pdpp_worker.connector import (
    Context,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    DoneError,
    Message,
    Reason,
    SourceAccount,
    Start,
    Throttled,
    skip,
)
from pdpp_worker.protocol.scope import BatchScope
from pdpp_worker.store import connections
from tests.support.scripted import Scenario, manifest, record, state


def test_a_throttle_that_the_connector_does_not_handle_becomes_a_gap_of_the_stream(scenario: Scenario) -> None:
    def throttled(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        raise Throttled("GET /list was refused for the rate")

    scenario.install(throttled)

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"rate_limited": 1})
    assert scenario.gaps()[0]["scope"] == {"partition": {}}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DoneError(message="signed out", recovery_hint="refresh_credentials"), "credentials_expired"),
        (DoneError(message="a bot check", recovery_hint="manual_action_required"), "challenged"),
        (DoneError(message="down", retryable=True), "upstream_error"),
        (DoneError(message="unknown page"), "parse_failed"),
    ],
)
def test_a_connector_that_fails_says_who_has_to_act(scenario: Scenario, error: DoneError, reason: str) -> None:
    scenario.send(record("a"), Done(status="failed", error=error))

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {reason: 1})


@pytest.mark.parametrize(
    "message",
    [
        lambda secret: DetailGap(
            stream="items", record_key="a", reason="timed_out", detail_locator={"url": f"/a?token={secret}"}
        ),
        lambda secret: DetailGap(stream="items", record_key=secret, reason="timed_out"),
        lambda secret: skip("items", Reason.TIMED_OUT, BatchScope(partition={"account": secret})),
    ],
    ids=["locator", "key", "scope"],
)
def test_a_miss_that_holds_a_secret_is_refused(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, message: Callable[[str], Message]
) -> None:
    def script(_start: Start, context: Context) -> Iterator[Message]:
        yield message(context.secret("token").get_secret_value())

    monkeypatch.setenv("A_TOKEN", "correct-horse")
    with scenario.db.begin() as connection:
        connections.set_credentials(connection, scenario.connection_id, {"token": "env:A_TOKEN"})
    scenario.install(script, manifest(credentials={"token": {"title": "Token"}}))

    run = scenario.run()

    assert "holds a secret of the connection" in run["error"]
    assert "correct-horse" not in str(scenario.gaps())


@pytest.mark.parametrize(
    ("parents", "keeper", "sentence"),
    [
        (
            {"state_stream": "items", "coverage_strategy": "checkpoint_window"},
            "items",
            "coverage_strategy checkpoint_window, so the STATE of items says by itself what of it was read",
        ),
        (
            {"parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"},
            "details",
            "names state_stream 'details'; by the manifest its place is kept by items",
        ),
    ],
)
def test_details_cannot_be_accounted_for_past_the_cursor_that_covers_them(
    scenario: Scenario, parents: dict[str, Any], keeper: str, sentence: str
) -> None:
    owing = DetailCoverage(stream="details", state_stream=keeper, required_keys=["a"], hydrated_keys=[])
    scenario.install(
        lambda _start, _context: iter([record("a"), owing, state(1)]), manifest("items", {"name": "details", **parents})
    )

    run = scenario.run()

    assert sentence in run["error"]
    assert scenario.cursors() == {}


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            DetailCoverage(stream="items", state_stream="elsewhere", required_keys=[], hydrated_keys=[]),
            "names state_stream 'elsewhere'; by the manifest its place is kept by items",
        ),
        (record("a", stream="elsewhere"), "outside the scope"),
        (state(1, "elsewhere"), "outside the scope"),
        (DetailGap(stream="elsewhere", record_key="a", reason="timed_out"), "outside the scope"),
        (DetailGapRecovered(gap_id="99", stream="items", record_key="a"), "did not hand over"),
    ],
)
def test_a_violation_ends_the_run_and_keeps_what_was_durable(
    scenario: Scenario, message: Message, sentence: str
) -> None:
    scenario.send(record("before"), message, record("after"))

    run = scenario.run()

    assert run["status"] == "partially_completed"
    assert sentence in run["error"]
    assert set(scenario.held()) == {"before"}


@pytest.mark.parametrize(
    "messages",
    [
        (record("a"), SourceAccount(identity="U1", label=None)),
        (SourceAccount(identity="U1"), record("a"), SourceAccount(identity="U2")),
    ],
    ids=["after a record", "two in one run"],
)
def test_an_account_is_stated_once_and_before_any_record(scenario: Scenario, messages: tuple[Message, ...]) -> None:
    scenario.send(*messages)

    run = scenario.run()

    assert "SOURCE_ACCOUNT" in run["error"]
