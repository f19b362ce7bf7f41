"""Whatever is sent, refused, killed and swept: what was expected is held, or known to be missing, or gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdpp_worker.connector import (
    BatchScope,
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Reason,
    ResourceScope,
    Start,
    skip,
)
from pdpp_worker.recovery.sweep import sweep_transient
from tests.support.scripted import Scenario, manifest, record, state

ITEMS = 12
PARTS = frozenset({"i00", "i05", "i10"})
"""Items that are parts of the source, missed by partition and not by id."""
OUTCOMES = ("held", "refused", "broken", "gone")
STEPS = ("run", "full run", "sweep", "time passes")


class Killed(BaseException):
    """The worker is gone in the middle of it."""


@dataclass
class World:
    """A provider of a few items, whose answers are drawn, and a worker that may be killed at any message."""

    outcomes: Iterator[str]
    kill_at: int | None = None
    gone: set[str] = field(default_factory=set)

    def collect(self, start: Start, _: Context) -> Iterator[Message]:
        for count, message in enumerate(self._messages(start)):
            if count == self.kill_at:
                self.kill_at = None
                raise Killed
            yield message

    def _messages(self, start: Start) -> Iterator[Message]:
        for gap in start.detail_gaps:
            key = gap.scope.resource_id if isinstance(gap.scope, ResourceScope) else str(gap.scope.partition["item"])
            yield from self._answer(key, gap.gap_id)
        if start.recovery_only:
            return
        for number in range(start.cursor("items") or 0, ITEMS):
            yield from self._answer(f"i{number:02}", None)
            yield state(number + 1)

    def _answer(self, key: str, gap_id: str | None) -> Iterator[Message]:
        outcome = "gone" if key in self.gone else next(self.outcomes)
        if outcome == "held":
            yield record(key)
            if gap_id is not None:
                yield DetailGapRecovered(gap_id=gap_id, stream="items", record_key=key)
        elif outcome == "gone" and gap_id is not None:
            self.gone.add(key)
            yield DetailGapRecovered(gap_id=gap_id, stream="items", record_key=key, absent=True)
        elif key in PARTS:
            reason = Reason.TEMPLATE_UNKNOWN if outcome == "broken" else Reason.SOURCE_PARTITION_FAILED
            yield skip("items", reason, BatchScope(partition={"item": key}))
        else:
            why = "template_unknown" if outcome == "broken" else "rate_limited"
            yield DetailGap(stream="items", record_key=key, reason=why, gap_id=gap_id)


def act(scenario: Scenario, step: str) -> None:
    """One thing that happens, to its end or until the worker is killed."""
    if step == "time passes":
        scenario.elapse()
        return
    try:
        if step == "sweep":
            sweep_transient(scenario.settings, scenario.db)
        else:
            scenario.queue(full=step == "full run")
        scenario.work()
    except Killed:
        scenario.expire_lease()


def missing(scenario: Scenario) -> list[str]:
    """The items of the gaps that are not closed; a run that was given up misses all of it."""
    return [
        row["scope"].get("resource_id") or row["scope"]["partition"].get("item", "all of it")
        for row in scenario.gaps()
        if row["closed_at"] is None
    ]


@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=5, max_size=40),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.none() | st.integers(0, 30)), min_size=2, max_size=8),
    batch=st.integers(1, 8),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_item_walked_past_is_held_or_missing_or_gone(
    scenario: Scenario, outcomes: list[str], steps: list[tuple[str, int | None]], batch: int
) -> None:
    scenario.reset()
    scenario.settings = scenario.settings.model_copy(
        update={"batch_records": batch, "slice_messages": 2 * batch, "gap_max_attempts": 4}
    )
    endless = (outcome for _ in range(1000) for outcome in outcomes)
    world = World(endless)
    recovery = {"supports_targeted_resource_fetch": True, "scopes": ["resource", "batch"]}
    scenario.install(world.collect, manifest(recovery=recovery))

    for step, world.kill_at in steps:
        act(scenario, step)

        held, lacking = scenario.held().keys(), missing(scenario)
        absent = world.gone
        walked = {f"i{number:02}" for number in range(int(scenario.cursors().get("items", 0)))}
        assert walked <= held | set(lacking) | absent
        assert len(lacking) == len(set(lacking))

    for run in scenario.rows("SELECT * FROM runs WHERE status = 'succeeded'"):
        own = scenario.rows("SELECT 1 FROM gaps WHERE first_run_id = :id AND closed_at IS NULL", id=run["id"])
        assert (own, run["unreached"], run["skipped"]) == ([], 0, 0)
