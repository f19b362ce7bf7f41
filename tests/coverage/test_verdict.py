"""The verdict on a stream, as a function of its facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.coverage.verdict import (
    Availability,
    GapFacts,
    Resolver,
    StreamFacts,
    Verdict,
    WalkEnd,
    resolver,
    verdict,
)

counts = st.integers(0, 3)
any_facts = st.builds(
    StreamFacts,
    availability=st.sampled_from(Availability),
    walk=st.sampled_from(WalkEnd),
    records=counts,
    by_owner=counts,
    by_upgrade=counts,
    by_time=counts,
    whole_stream=st.booleans(),
    closed_without_item=counts,
    unknown_parts=counts,
).filter(lambda facts: not facts.whole_stream or facts.by_owner + facts.by_upgrade + facts.by_time > 0)
any_gap = st.builds(
    GapFacts,
    availability=st.sampled_from(Availability),
    closed=st.booleans(),
    exhausted=st.booleans(),
    timed=st.booleans(),
    upgrade=st.booleans(),
    upgraded=st.booleans(),
)

WHOLE = StreamFacts(
    availability=Availability.SUPPLIED,
    walk=WalkEnd.FINISHED,
    records=5,
    by_owner=0,
    by_upgrade=0,
    by_time=0,
    whole_stream=False,
    closed_without_item=0,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Verdict.COMPLETE),
        ({"records": 0}, Verdict.COMPLETE),
        ({"closed_without_item": 2}, Verdict.COMPLETE),
        ({"records": 0, "closed_without_item": 2}, Verdict.KNOWN_ABSENT),
        ({"availability": Availability.NEVER}, Verdict.KNOWN_ABSENT),
        ({"availability": Availability.NEVER, "walk": WalkEnd.NEVER, "by_time": 1}, Verdict.KNOWN_ABSENT),
        ({"by_time": 1}, Verdict.RECOVERING),
        ({"unknown_parts": 1}, Verdict.UNKNOWN_PARTS),
        ({"unknown_parts": 1, "by_time": 1}, Verdict.UNKNOWN_PARTS),
        ({"unknown_parts": 1, "by_upgrade": 1}, Verdict.WAITING_FOR_UPGRADE),
        ({"unknown_parts": 1, "walk": WalkEnd.UNFINISHED}, Verdict.UNKNOWN),
        ({"unknown_parts": 1, "records": 0, "closed_without_item": 2}, Verdict.UNKNOWN_PARTS),
        ({"unknown_parts": 1, "availability": Availability.NEVER}, Verdict.KNOWN_ABSENT),
        ({"by_time": 1, "walk": WalkEnd.UNFINISHED, "whole_stream": True}, Verdict.RECOVERING),
        ({"by_time": 1, "walk": WalkEnd.UNFINISHED}, Verdict.UNKNOWN),
        ({"by_time": 1, "by_upgrade": 1}, Verdict.WAITING_FOR_UPGRADE),
        ({"by_upgrade": 1, "walk": WalkEnd.UNFINISHED, "whole_stream": True}, Verdict.WAITING_FOR_UPGRADE),
        ({"walk": WalkEnd.NEVER}, Verdict.UNKNOWN),
        ({"walk": WalkEnd.UNFINISHED}, Verdict.UNKNOWN),
        ({"walk": WalkEnd.CHECKPOINT_REFUSED}, Verdict.UNKNOWN),
        ({"availability": Availability.UNDECLARED}, Verdict.UNKNOWN),
        ({"availability": Availability.UNDECLARED, "by_time": 1}, Verdict.UNKNOWN),
        ({"availability": Availability.NOT_INSTALLED}, Verdict.WAITING_FOR_OWNER),
        ({"by_owner": 1, "by_upgrade": 1, "by_time": 1, "walk": WalkEnd.NEVER}, Verdict.WAITING_FOR_OWNER),
    ],
)
def test_the_most_serious_one_is_said(change: dict[str, object], expected: Verdict) -> None:
    assert verdict(replace(WHOLE, **change)) is expected  # type: ignore[arg-type]


@given(any_facts)
def test_complete_means_walked_to_the_end_with_nothing_unclosed(facts: StreamFacts) -> None:
    whole = (
        facts.availability is Availability.SUPPLIED
        and facts.walk is WalkEnd.FINISHED
        and facts.by_owner == facts.by_upgrade == facts.by_time == facts.unknown_parts == 0
    )

    assert (verdict(facts) is Verdict.COMPLETE) <= whole


@given(any_facts)
def test_recovering_means_that_the_fleet_alone_retries_all_of_it(facts: StreamFacts) -> None:
    if verdict(facts) is Verdict.RECOVERING:
        assert facts.availability is Availability.SUPPLIED
        assert facts.by_time > 0
        assert facts.by_owner == facts.by_upgrade == facts.unknown_parts == 0


@given(any_facts, st.sampled_from(["by_owner", "by_upgrade", "by_time", "unknown_parts"]))
def test_one_more_miss_never_makes_a_verdict_better(facts: StreamFacts, field: str) -> None:
    worse = replace(facts, **{field: getattr(facts, field) + 1})
    order = list(Verdict)

    assert order.index(verdict(worse)) <= order.index(verdict(facts))


@given(any_facts)
def test_known_absent_hides_nothing_that_can_be_had(facts: StreamFacts) -> None:
    if verdict(facts) is Verdict.KNOWN_ABSENT and facts.availability is not Availability.NEVER:
        assert facts.records == facts.by_owner == facts.by_upgrade == facts.by_time == 0


@given(any_gap)
def test_time_resolves_only_what_has_a_next_attempt(gap: GapFacts) -> None:
    if resolver(gap) is Resolver.TIME:
        assert gap.timed
        assert not gap.exhausted


@given(any_gap)
def test_somebody_resolves_whatever_is_not_closed_and_can_be_had(gap: GapFacts) -> None:
    can_be_had = gap.availability in (Availability.SUPPLIED, Availability.NOT_INSTALLED)

    assert (resolver(gap) is not Resolver.NOBODY) == (can_be_had and not gap.closed)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timed": True}, Resolver.TIME),
        ({}, Resolver.OWNER),
        ({"timed": True, "exhausted": True}, Resolver.OWNER),
        ({"upgrade": True}, Resolver.UPGRADE),
        ({"upgrade": True, "timed": True}, Resolver.TIME),
        ({"upgrade": True, "upgraded": True}, Resolver.OWNER),
        ({"closed": True, "timed": True}, Resolver.NOBODY),
        ({"availability": Availability.UNDECLARED, "timed": True}, Resolver.NOBODY),
        ({"availability": Availability.NOT_INSTALLED, "timed": True}, Resolver.OWNER),
    ],
)
def test_who_mends_a_gap(change: dict[str, object], expected: Resolver) -> None:
    plain = GapFacts(
        availability=Availability.SUPPLIED, closed=False, exhausted=False, timed=False, upgrade=False, upgraded=False
    )

    assert resolver(replace(plain, **change)) is expected  # type: ignore[arg-type]
