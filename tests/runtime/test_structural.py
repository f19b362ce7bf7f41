"""Streams that a manifest says can never be had are kept in step with the store; nothing is fetched for them."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import DetailGap, DetailGapRecovered, Reason, SkipResult, skip
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import parse_message
from pdpp_worker.recovery.structural import sweep_structural
from pdpp_worker.store import edits
from tests.support.backlog import TARGETED
from tests.support.scripted import Scenario, manifest, record

WHY = "The export has no stars."
ABSENT = {"name": "stars", "availability": {"supplied": False, "reason": WHY}}


def reasons(scenario: Scenario) -> dict[str, str | None]:
    """Stream to why nobody can have it."""
    return {row["stream"]: row["absent_reason"] for row in scenario.rows("SELECT stream, absent_reason FROM coverage")}


def install(scenario: Scenario, *streams: object) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest(*streams))


def test_every_stream_has_a_row_and_an_absent_one_its_reason(scenario: Scenario) -> None:
    install(scenario, "items", ABSENT)

    assert sweep_structural(scenario.db) == 0

    assert reasons(scenario) == {"items": None, "stars": WHY}


def test_what_an_older_version_stored_as_missing_is_moved(scenario: Scenario) -> None:
    scenario.manifest = manifest("items", "stars")
    missing = DetailGap(stream="stars", record_key="s1", reason="upstream_error")
    scenario.send(record("a"), missing, skip("stars", Reason.EXPORT_NOT_WIRED, missing.scope))
    scenario.run()
    install(scenario, "items", ABSENT)

    assert sweep_structural(scenario.db) == 1

    assert [gap["status"] for gap in scenario.gaps()] == ["absent_upstream"]
    moved = scenario.one("SELECT stream, data FROM events WHERE type = 'gaps_moved'")
    assert moved == {"stream": "stars", "data": {"count": 1, "why": WHY}}


def test_a_stream_that_can_be_had_again_loses_its_reason(scenario: Scenario) -> None:
    install(scenario, "items", ABSENT)
    sweep_structural(scenario.db)
    install(scenario, "items", "stars")

    sweep_structural(scenario.db)

    assert reasons(scenario) == {"items": None, "stars": None}


def test_what_a_setting_ruled_out_is_missing_again_once_it_does_not(scenario: Scenario) -> None:
    reason = {"supplied": False, "with": "archive", "reason": "An archive does not hold them."}
    archive = {"archive": {"type": "path", "title": "Archive"}}
    scenario.manifest = manifest("items", {"name": "inbox", "availability": reason}, settings=archive)
    scenario.send(record("a"), DetailGap(stream="inbox", record_key="i", reason="timed_out"))
    scenario.run()

    status = []
    for settings in ({"archive": "/here"}, {}):
        with scenario.db.begin() as connection:
            edits.set_settings(connection, scenario.connection_id, settings)
        sweep_structural(scenario.db)
        status.append(scenario.gaps()[0]["status"])

    assert status == ["absent_upstream", "open"]


def test_what_the_provider_said_is_gone_stays_gone_whatever_the_manifest_says(scenario: Scenario) -> None:
    scenario.manifest = manifest("items", "stars", recovery=TARGETED)
    scenario.send(record("a"), DetailGap(stream="stars", record_key="b", reason="timed_out"))
    scenario.run()
    gap_id = str(scenario.gaps()[0]["id"])
    scenario.elapse()
    scenario.recover_with(DetailGapRecovered(gap_id=gap_id, stream="stars", record_key="b", absent=True))
    scenario.run()

    for streams in (["items", ABSENT], ["items", "stars"]):
        install(scenario, *streams)
        sweep_structural(scenario.db)

    assert [gap["status"] for gap in scenario.gaps()] == ["absent_upstream"]


def test_gaps_of_what_can_be_had_are_left_alone(scenario: Scenario) -> None:
    scenario.manifest = manifest("items", ABSENT)
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="upstream_error"))
    scenario.run()

    sweep_structural(scenario.db)

    assert [gap["status"] for gap in scenario.gaps()] == ["open"]


def test_a_connection_whose_connector_is_not_installed_is_passed_over(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdpp_worker.registry.all_connectors", dict)

    assert sweep_structural(scenario.db) == 0


@pytest.mark.parametrize("kind", ["permanent_structural", "filter_applied"])
def test_emitting_what_is_no_skip_is_refused_and_names_the_stream(scenario: Scenario, kind: str) -> None:
    raw = {
        "type": "SKIP_RESULT",
        "stream": "items",
        "reason": "stars_are_not_exported",
        "recovery_kind": kind,
        "scope": {"partition": {}},
    }

    with pytest.raises(ProtocolViolation, match=f"{kind} of stream 'items' may not be emitted"):
        parse_message(raw)
    with pytest.raises(ValueError, match="stream 'items'"):
        SkipResult.model_validate(raw)
