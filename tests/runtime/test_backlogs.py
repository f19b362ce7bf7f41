"""Large backlogs drain: nobody starves, attempts stay bounded, and what was had is credited on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from pdpp_worker.connector import Budget, Context, DetailGap, DetailGapRecovered, Message, ResourceScope, Start
from pdpp_worker.recovery.sweep import recover, sweep_transient
from tests.support.scripted import Scenario, manifest, record, state

TARGETED = {"supports_targeted_resource_fetch": True}
CONVERSATIONS, REFUSED = 14_784, 4_188
BACKLOG, POISONED = 10_000, 256


class Provider:
    """A provider that lets so many requests of a run pass and refuses the rest, and some items for ever."""

    def __init__(self) -> None:
        self.passes = 0
        self.poisoned: frozenset[str] = frozenset()
        self.asked: Counter[str] = Counter()

    def recover(self, start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            assert isinstance(gap.scope, ResourceScope)
            key = gap.scope.resource_id
            self.asked[key] += 1
            if key in self.poisoned or self.passes == 0:
                yield DetailGap(stream="items", record_key=key, reason="rate_limited", gap_id=gap.gap_id)
                continue
            self.passes -= 1
            yield record(key)
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=key)


@pytest.fixture
def provider() -> Provider:
    return Provider()


def collect(scenario: Scenario, provider: Provider, total: int, refused: int) -> None:
    """Install a connector that has so many items, of which so many are refused when it walks."""

    def walk(start: Start, context: Context) -> Iterator[Message]:
        yield from provider.recover(start, context)
        if start.recovery_only or start.cursor("items"):
            return
        for number in range(total):
            if number < refused:
                yield DetailGap(stream="items", record_key=f"c{number:05}", reason="rate_limited")
            else:
                yield record(f"c{number:05}")
        yield state(total)

    scenario.install(walk, manifest(recovery=TARGETED))


def open_gaps(scenario: Scenario) -> int:
    return int(scenario.one("SELECT count(*) FROM gaps WHERE closed_at IS NULL")["count"])


def test_conversations_refused_for_the_rate_are_all_had_in_the_end(scenario: Scenario, provider: Provider) -> None:
    collect(scenario, provider, CONVERSATIONS, REFUSED)

    run = scenario.run()

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"rate_limited": REFUSED})
    assert (run["records_durable"], run["records_missing_estimate"]) == (CONVERSATIONS - REFUSED, REFUSED)

    scenario.elapse()
    provider.passes = 3_000
    [ring] = sweep_transient(scenario.settings, scenario.db)
    run = scenario.finish(ring.run_id)

    assert (run["status"], run["skipped_by_reason"]) == ("partially_completed", {"rate_limited": 1_188})
    assert (run["records_durable"], open_gaps(scenario)) == (3_000, 1_188)

    provider.passes = CONVERSATIONS
    for left in (688, 188, 0):
        recover(scenario.settings, scenario.db, [scenario.connection_id], budget=Budget(items=500))
        scenario.work()
        assert open_gaps(scenario) == left
    assert len(scenario.held()) == CONVERSATIONS


def test_items_that_always_fail_starve_nobody(scenario: Scenario, provider: Provider) -> None:
    collect(scenario, provider, BACKLOG, BACKLOG)
    scenario.run()
    provider.poisoned = frozenset(f"c{number:05}" for number in range(POISONED))
    provider.passes = 10 * BACKLOG
    fresh = 0

    while len(scenario.held()) < BACKLOG - POISONED:
        fresh += 1
        scenario.execute(
            "INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, first_run_id, "
            "last_run_id, next_attempt_at, connector_version_seen) SELECT connection_id, stream, "
            "jsonb_build_object('resource_id', 'fresh' || :n || '-' || id), sha256(('fresh' || :n || id)::bytea), "
            "reason, recovery_kind, first_run_id, last_run_id, now() + interval '1 hour', connector_version_seen "
            "FROM gaps ORDER BY id LIMIT 50",
            n=str(fresh),
        )
        scenario.execute("UPDATE gaps SET next_attempt_at = next_attempt_at - interval '1 hour' WHERE status = 'open'")
        recover(scenario.settings, scenario.db, [scenario.connection_id], budget=Budget(items=2_000))
        scenario.work()
        assert fresh < 20

    assert max(provider.asked.values()) <= scenario.settings.gap_max_attempts
    assert all(provider.asked[key] == 1 for key in provider.asked if key not in provider.poisoned)
    assert {row["status"] for row in scenario.gaps() if row["closed_at"] is None} <= {"open", "exhausted"}
