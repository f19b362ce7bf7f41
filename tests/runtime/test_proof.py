"""A gap closes by proof, and whoever says nothing of it has tried it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import pytest
from sqlalchemy import text

from pdpp_worker.connector import Context, DetailCoverage, DetailGap, DetailGapRecovered, Message, Record, Start, State
from pdpp_worker.protocol.scope import TimeRange
from pdpp_worker.recovery.sweep import sweep_transient
from tests.support.backlog import TARGETED, missing
from tests.support.scripted import NOW, Scenario, manifest, record, state


def make_due(scenario: Scenario) -> None:
    with scenario.db.begin() as connection:
        connection.execute(text("UPDATE gaps SET next_attempt_at = now()"))


class TestRecovery:
    """A gap is closed by proof and nothing else."""

    def miss(self, scenario: Scenario) -> str:
        scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
        scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
        scenario.run()
        with scenario.db.begin() as connection:
            connection.execute(text("UPDATE gaps SET next_attempt_at = now()"))
        return str(scenario.gaps()[0]["id"])

    def test_the_record_it_names_closes_it(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        scenario.recover_with(record("b"), DetailGapRecovered(gap_id=gap_id, stream="items", record_key="b"))

        run = scenario.run()

        assert [[gap.gap_id for gap in start.detail_gaps] for start in scenario.starts[-2:]] == [[gap_id], []]
        assert (run["status"], scenario.gaps()[0]["status"]) == ("succeeded", "recovered")

    def test_a_claim_without_the_record_is_a_violation(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        scenario.recover_with(record("c"), DetailGapRecovered(gap_id=gap_id, stream="items", record_key="b"))

        run = scenario.run()

        assert "not proved" in run["error"]
        assert (run["status"], scenario.gaps()[0]["status"]) == ("partially_completed", "open")

    def test_the_provider_can_affirm_that_there_is_nothing(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        scenario.recover_with(DetailGapRecovered(gap_id=gap_id, stream="items", record_key="b", absent=True))

        scenario.run()

        assert scenario.gaps()[0]["status"] == "absent_upstream"

    def test_the_same_miss_again_is_the_same_gap_with_one_more_attempt(self, scenario: Scenario) -> None:
        gap_id = self.miss(scenario)
        gap = DetailGap(stream="items", record_key="b", reason="rate_limited", gap_id=gap_id)
        scenario.recover_with(gap)

        scenario.run()

        assert [(one["attempts"], one["status"]) for one in scenario.gaps()] == [(2, "open")]


@pytest.mark.usefixtures("no_haste")
def test_a_gap_that_the_connector_says_nothing_about_does_not_stay_due(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
    scenario.run()
    make_due(scenario)

    scenario.send(record("a"))
    run = scenario.run()

    [gap] = scenario.gaps()
    assert (gap["attempts"], gap["status"], run["status"]) == (2, "open", "partially_completed")
    assert gap["next_attempt_at"] > datetime.now(UTC)


@pytest.mark.usefixtures("no_haste")
def test_a_walk_is_an_attempt_at_every_gap_of_a_connector_that_takes_none(scenario: Scenario) -> None:
    scenario.send(record("a"), DetailGap(stream="items", record_key="b", reason="rate_limited"))
    scenario.run()
    make_due(scenario)

    scenario.send(record("a"))
    scenario.run()

    [gap] = scenario.gaps()
    assert gap["attempts"] == 2
    assert gap["next_attempt_at"] > datetime.now(UTC)


def test_a_run_leaves_the_gaps_that_it_met_itself_to_the_next(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery={"supports_targeted_resource_fetch": True})
    scenario.settings = scenario.settings.model_copy(update={"slice_messages": 2, "batch_records": 1})

    def walk(start: Start, _: Context) -> Iterator[Message]:
        assert start.detail_gaps == []
        make_due(scenario)
        for number in range(start.cursor("items") or 0, 4):
            yield record(f"n{number}")
            yield DetailGap(stream="items", record_key=f"g{number}", reason="upstream_error")
            yield state(number + 1)

    scenario.install(walk)

    run = scenario.run()

    assert run["error"] is None
    assert run["slices"] > 1
    assert set(scenario.held()) == {"n0", "n1", "n2", "n3"}


@pytest.mark.usefixtures("no_haste")
class TestWhatProvesNothing:
    """A gap that is not mended stays open, whatever its connector claims."""

    def missed(self, scenario: Scenario) -> None:
        scenario.manifest = manifest({"name": "items", "cursor_field": "v"}, recovery=TARGETED)
        scenario.send(record("b", v=5), *missing("b"))
        scenario.run()
        scenario.elapse()

    def claim(self, scenario: Scenario, sent: Record) -> list[str]:
        def mend(start: Start, _: Context) -> Iterator[Message]:
            for gap in start.detail_gaps:
                yield sent
                yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=str(sent.key))

        scenario.install(mend)
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()
        return [gap["status"] for gap in scenario.gaps()]

    @pytest.mark.parametrize("batch_records", [1, 4000])
    @pytest.mark.parametrize(
        "sent",
        [
            Record(stream="items", key="b", data={"id": "b", "v": 6}, emitted_at=NOW, partial=True),
            record("another", v=6),
            record("b", v=3),
        ],
        ids=["a part of it", "another record", "an older version than the one that is held"],
    )
    def test_a_claim_rests_on_a_whole_and_current_record_of_the_item(
        self, scenario: Scenario, sent: Record, batch_records: int
    ) -> None:
        scenario.settings = scenario.settings.model_copy(update={"batch_records": batch_records})
        self.missed(scenario)

        assert self.claim(scenario, sent) == ["open"]

    def test_the_whole_and_current_record_does(self, scenario: Scenario) -> None:
        self.missed(scenario)

        assert self.claim(scenario, record("b", v=5)) == ["recovered"]

    @pytest.mark.parametrize("op", ["upsert", "delete"])
    def test_a_walk_that_meets_an_older_version_or_deletion_closes_nothing(
        self, scenario: Scenario, op: Literal["upsert", "delete"]
    ) -> None:
        scenario.manifest = manifest({"name": "items", "cursor_field": "v"})
        scenario.send(record("b", v=5), *missing("b"))
        scenario.run()

        scenario.send(Record(stream="items", key="b", data={"id": "b", "v": 3}, emitted_at=NOW, op=op))
        scenario.run()

        assert [gap["status"] for gap in scenario.gaps()] == ["open"]


@pytest.mark.parametrize("field", ["since", "until"])
@pytest.mark.parametrize(
    "moment",
    ["2024-W05-1T00:00:00+00:00", "2024-01-01T00:00:00,5+00:00", "20240101T000000Z", "2024-01-01T00:00:00+23:30"],
)
def test_a_period_in_any_form_of_iso_8601_is_covered(scenario: Scenario, field: str, moment: str) -> None:
    scenario.send(record("a"), State(stream="items", cursor=1, covered=TimeRange(**{field: moment})))

    assert scenario.run()["status"] == "succeeded"


@pytest.mark.usefixtures("no_haste")
class TestGapsThatNameASource:
    """A gap about a document is closed by what the document holds, one about a record by that record alone."""

    def mended_by(self, scenario: Scenario, reason: str, *sent: Message) -> list[str]:
        scenario.manifest = manifest("items", "others", recovery={**TARGETED, "sources": ["items"]})
        scenario.send(record("a"), *missing("march.pdf", reason=reason))
        scenario.run()
        scenario.execute("UPDATE gaps SET recovery_kind = 'retry_by_runtime', next_attempt_at = now()")

        def mend(start: Start, _: Context) -> Iterator[Message]:
            yield from sent if start.detail_gaps else ()
            for gap in start.detail_gaps:
                yield DetailGapRecovered(gap_id=gap.gap_id, stream="others", record_key="entry")

        scenario.install(mend)
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()
        return [gap["status"] for gap in scenario.gaps()]

    def test_any_record_that_the_claim_names_closes_it(self, scenario: Scenario) -> None:
        entry = Record(stream="others", key="entry", data={"id": "entry"}, emitted_at=NOW, partial=True)

        assert self.mended_by(scenario, "upstream_error", entry) == ["recovered"]

    def test_without_a_record_it_stays(self, scenario: Scenario) -> None:
        assert self.mended_by(scenario, "upstream_error") == ["open"]

    def test_a_refused_record_is_proved_by_itself_alone(self, scenario: Scenario) -> None:
        assert self.mended_by(scenario, "record_rejected", record("entry", "others")) == ["open"]


@pytest.mark.usefixtures("no_haste")
class TestAWayBackWithoutAClaim:
    """A record of a recovery is judged as what it is, whatever is claimed of it."""

    def brings(self, scenario: Scenario, *sent: Message) -> dict[str, object]:
        scenario.manifest = manifest(
            "items", {"name": "d", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"},
            recovery=TARGETED,
        )  # fmt: skip
        scenario.send(record("a"), DetailGap(stream="d", record_key="b", reason="upstream_error"), state(1))
        scenario.run()
        scenario.elapse()
        scenario.install(lambda start, _: iter(sent if start.detail_gaps else ()))
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()
        return scenario.gaps()[0]

    def test_the_whole_record_closes_the_gap(self, scenario: Scenario) -> None:
        assert self.brings(scenario, record("b", "d"))["status"] == "recovered"

    def test_the_word_that_it_was_read_does_not(self, scenario: Scenario) -> None:
        said = DetailCoverage(stream="d", state_stream="items", required_keys=["b"], hydrated_keys=["b"])

        gap = self.brings(scenario, said)

        assert (gap["status"], gap["attempts"]) == ("open", 2)

    def test_a_claim_whose_record_was_refused_is_an_attempt(self, scenario: Scenario) -> None:
        def sent(gap_id: str) -> list[Message]:
            broken = Record(stream="d", key="b", data={"id": float("nan")}, emitted_at=NOW)
            return [broken, DetailGapRecovered(gap_id=gap_id, stream="d", record_key="b")]

        gap = self.brings(scenario, *sent("1"))

        assert (gap["status"], gap["attempts"]) == ("open", 2)
        assert scenario.one("SELECT error FROM runs ORDER BY id DESC LIMIT 1")["error"] is None
