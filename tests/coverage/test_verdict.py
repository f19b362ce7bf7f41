"""The verdict on a stream, as a function of its facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.coverage.verdict import GapFacts, Mender, StreamFacts, Supply, Verdict, Walk, mender, verdict

counts = st.integers(0, 3)
any_facts = st.builds(
    StreamFacts,
    supply=st.sampled_from(Supply),
    walk=st.sampled_from(Walk),
    records=counts,
    by_owner=counts,
    by_upgrade=counts,
    by_time=counts,
    whole_stream=st.booleans(),
    let_go=counts,
).filter(lambda facts: not facts.whole_stream or facts.by_owner + facts.by_upgrade + facts.by_time > 0)
any_gap = st.builds(
    GapFacts,
    supply=st.sampled_from(Supply),
    closed=st.booleans(),
    exhausted=st.booleans(),
    timed=st.booleans(),
    upgrade=st.booleans(),
    upgraded=st.booleans(),
)

WHOLE = StreamFacts(
    supply=Supply.SUPPLIED,
    walk=Walk.FINISHED,
    records=5,
    by_owner=0,
    by_upgrade=0,
    by_time=0,
    whole_stream=False,
    let_go=0,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Verdict.COMPLETE),
        ({"records": 0}, Verdict.COMPLETE),
        ({"let_go": 2}, Verdict.COMPLETE),
        ({"records": 0, "let_go": 2}, Verdict.KNOWN_ABSENT),
        ({"supply": Supply.NEVER}, Verdict.KNOWN_ABSENT),
        ({"supply": Supply.NEVER, "walk": Walk.NEVER, "by_time": 1}, Verdict.KNOWN_ABSENT),
        ({"by_time": 1}, Verdict.RECOVERING),
        ({"by_time": 1, "walk": Walk.UNFINISHED, "whole_stream": True}, Verdict.RECOVERING),
        ({"by_time": 1, "walk": Walk.UNFINISHED}, Verdict.UNKNOWN),
        ({"by_time": 1, "by_upgrade": 1}, Verdict.WAITING_FOR_UPGRADE),
        ({"by_upgrade": 1, "walk": Walk.UNFINISHED, "whole_stream": True}, Verdict.WAITING_FOR_UPGRADE),
        ({"walk": Walk.NEVER}, Verdict.UNKNOWN),
        ({"walk": Walk.UNFINISHED}, Verdict.UNKNOWN),
        ({"walk": Walk.CHECKPOINT_REFUSED}, Verdict.UNKNOWN),
        ({"supply": Supply.UNDECLARED}, Verdict.UNKNOWN),
        ({"supply": Supply.UNDECLARED, "by_time": 1}, Verdict.UNKNOWN),
        ({"supply": Supply.NOT_INSTALLED}, Verdict.WAITING_FOR_OWNER),
        ({"by_owner": 1, "by_upgrade": 1, "by_time": 1, "walk": Walk.NEVER}, Verdict.WAITING_FOR_OWNER),
    ],
)
def test_the_most_serious_one_is_said(change: dict[str, object], expected: Verdict) -> None:
    assert verdict(replace(WHOLE, **change)) is expected  # type: ignore[arg-type]


@given(any_facts)
def test_complete_means_walked_to_the_end_with_nothing_unclosed(facts: StreamFacts) -> None:
    whole = (
        facts.supply is Supply.SUPPLIED
        and facts.walk is Walk.FINISHED
        and facts.by_owner == facts.by_upgrade == facts.by_time == 0
    )

    assert (verdict(facts) is Verdict.COMPLETE) <= whole


@given(any_facts)
def test_recovering_means_that_the_fleet_alone_mends_all_of_it(facts: StreamFacts) -> None:
    if verdict(facts) is Verdict.RECOVERING:
        assert facts.supply is Supply.SUPPLIED
        assert facts.by_time > 0
        assert facts.by_owner == facts.by_upgrade == 0


@given(any_facts, st.sampled_from(["by_owner", "by_upgrade", "by_time"]))
def test_one_more_miss_never_makes_a_verdict_better(facts: StreamFacts, field: str) -> None:
    worse = replace(facts, **{field: getattr(facts, field) + 1})
    order = list(Verdict)

    assert order.index(verdict(worse)) <= order.index(verdict(facts))


@given(any_facts)
def test_known_absent_hides_nothing_that_can_be_had(facts: StreamFacts) -> None:
    if verdict(facts) is Verdict.KNOWN_ABSENT and facts.supply is not Supply.NEVER:
        assert facts.records == facts.by_owner == facts.by_upgrade == facts.by_time == 0


@given(any_gap)
def test_time_mends_only_what_has_a_next_attempt(gap: GapFacts) -> None:
    if mender(gap) is Mender.TIME:
        assert gap.timed
        assert not gap.exhausted


@given(any_gap)
def test_somebody_mends_whatever_is_not_closed_and_can_be_had(gap: GapFacts) -> None:
    can_be_had = gap.supply in (Supply.SUPPLIED, Supply.NOT_INSTALLED)

    assert (mender(gap) is not Mender.NOBODY) == (can_be_had and not gap.closed)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timed": True}, Mender.TIME),
        ({}, Mender.OWNER),
        ({"timed": True, "exhausted": True}, Mender.OWNER),
        ({"upgrade": True}, Mender.UPGRADE),
        ({"upgrade": True, "timed": True}, Mender.TIME),
        ({"upgrade": True, "upgraded": True}, Mender.OWNER),
        ({"closed": True, "timed": True}, Mender.NOBODY),
        ({"supply": Supply.UNDECLARED, "timed": True}, Mender.NOBODY),
        ({"supply": Supply.NOT_INSTALLED, "timed": True}, Mender.OWNER),
    ],
)
def test_who_mends_a_gap(change: dict[str, object], expected: Mender) -> None:
    plain = GapFacts(supply=Supply.SUPPLIED, closed=False, exhausted=False, timed=False, upgrade=False, upgraded=False)

    assert mender(replace(plain, **change)) is expected  # type: ignore[arg-type]
