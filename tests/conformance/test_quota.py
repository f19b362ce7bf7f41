"""The quota models hold for every sequence of requests."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chatgpt.practice.quota import Quota
from pdpp_worker.conformance.quota.combined import Drift, PenaltyBox, build_model
from pdpp_worker.conformance.quota.decisions import Decision, Verdict
from pdpp_worker.conformance.quota.models import FixedWindow, QuotaModel, SlidingWindow, TokenBucket
from pdpp_worker.conformance.quota.options import QuotaOptions

START = 1_700_000_000.0
TINY_S = 1e-5

gaps = st.lists(st.floats(0, 40), min_size=1, max_size=80)
rates = st.floats(0.05, 5)


def instants(gaps: list[float]) -> list[float]:
    return [START + passed for passed in accumulate(gaps)]


def admitted(model: QuotaModel, arrivals: list[float]) -> list[float]:
    return [at for at in arrivals if model.admit(at).verdict is Verdict.ADMITTED]


@given(gaps, rates, st.integers(1, 20))
def test_bucket_admits_no_more_than_its_burst_and_what_was_refilled(gaps: list[float], rate: float, burst: int) -> None:
    passed = admitted(TokenBucket(rate, burst, START), instants(gaps))

    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - passed[first]) + TINY_S


@given(gaps, st.floats(0.02, 0.5))
def test_sliding_window_never_holds_more_than_its_limit(gaps: list[float], rate: float) -> None:
    limit = max(1, round(rate * 60))

    passed = admitted(SlidingWindow(rate, 60), instants(gaps))

    for end in passed:
        assert sum(end - 60 < at <= end for at in passed) <= limit


@given(gaps, st.floats(0.02, 0.5))
def test_fixed_window_admits_exactly_its_limit_of_what_comes(gaps: list[float], rate: float) -> None:
    limit = max(1, round(rate * 60))
    arrivals = instants(gaps)

    passed = admitted(FixedWindow(rate, 60), arrivals)

    for minute in {at // 60 for at in arrivals}:
        came = sum(at // 60 == minute for at in arrivals)
        assert sum(at // 60 == minute for at in passed) == min(limit, came)


@pytest.mark.parametrize("model", ["bucket", "sliding", "fixed"])
@given(gaps=gaps, rate=rates)
def test_the_wait_of_a_refusal_is_neither_too_short_nor_too_long(model: str, gaps: list[float], rate: float) -> None:
    options = QuotaOptions(model=model, rate_per_s=rate, burst=2)  # type: ignore[arg-type]
    subject = build_model(options, START)
    decisions = [(at, subject.admit(at)) for at in instants(gaps)]
    at, last = decisions[-1]
    if last.verdict is not Verdict.REFUSED:
        return

    if last.wait_s > 2 * TINY_S:
        assert subject.admit(at + last.wait_s - TINY_S).verdict is Verdict.REFUSED
    assert subject.admit(at + last.wait_s + TINY_S).verdict is Verdict.ADMITTED


@given(st.lists(st.floats(0, 0.01), min_size=1, max_size=50))
def test_a_refusal_costs_nothing(hammering: list[float]) -> None:
    model = TokenBucket(rate_per_s=0.1, burst=1, start=START)
    model.admit(START)

    for at in instants(hammering):
        model.admit(at)

    assert model.admit(START + 10.001).verdict is Verdict.ADMITTED


def test_window_limit_is_at_least_one() -> None:
    model = SlidingWindow(rate_per_s=0.001, window_s=60)

    assert [model.admit(START + second).verdict for second in (0, 59, 60)] == ["admitted", "refused", "admitted"]


def test_drift_changes_the_rate_at_the_given_instants() -> None:
    model = Drift(TokenBucket(1.0, 1, START), ((100, 0.1), (200, 2.0)), START)

    def wait_after(second: float) -> float:
        model.admit(START + second)
        return model.admit(START + second).wait_s

    assert [wait_after(second) for second in (50, 150, 250)] == pytest.approx([1.0, 10.0, 0.5])


def test_what_was_granted_before_a_drop_of_the_rate_stays_granted() -> None:
    model = Drift(TokenBucket(1.0, 20, START), ((10, 0.001),), START)
    for _ in range(20):
        model.admit(START)

    assert len(admitted(model, [START + 20] * 30)) == 10


@given(gaps, st.integers(1, 6))
def test_penalty_box_admits_nothing_while_it_is_closed(gaps: list[float], refusals: int) -> None:
    box = PenaltyBox(TokenBucket(0.05, 1, START), refusals, penalty_s=300)

    decisions = [(at, box.admit(at).verdict) for at in instants(gaps)]

    for closed_at in [at for at, verdict in decisions if verdict is Verdict.FLAGGED]:
        during = [verdict for at, verdict in decisions if closed_at < at < closed_at + 300]
        assert set(during) <= {Verdict.BOXED}


def test_penalty_box_closes_at_the_last_allowed_refusal_and_opens_again() -> None:
    box = PenaltyBox(TokenBucket(0.001, 1, START), refusals=3, penalty_s=600)

    said = [box.admit(START + second) for second in (0, 1, 2, 3, 4, 602.9, 603, 604, 605)]

    assert [one.verdict.value for one in said] == [
        "admitted", "refused", "refused", "flagged", "boxed", "boxed", "refused", "refused", "flagged",
    ]  # fmt: skip
    assert said[4] == Decision(Verdict.BOXED, 599.0)


def test_refusals_before_a_penalty_do_not_count_after_it() -> None:
    box = PenaltyBox(TokenBucket(0.001, 1, START), refusals=2, penalty_s=10)
    box.admit(START)

    said = [box.admit(START + second).verdict for second in (1, 2, 13, 14)]

    assert said == ["refused", "flagged", "refused", "flagged"]


def test_refusals_a_minute_apart_lead_to_no_penalty() -> None:
    box = PenaltyBox(TokenBucket(0.0001, 1, START), refusals=2, penalty_s=600)
    box.admit(START)

    assert [box.admit(START + second).verdict for second in (1, 61, 121)] == ["refused"] * 3


def test_scope_decides_which_requests_are_charged() -> None:
    details = Quota(QuotaOptions(model="bucket", burst=1), clock=lambda: START)
    everything = Quota(QuotaOptions(model="bucket", burst=1, scope="all"), clock=lambda: START)

    assert [details.charge(kind).verdict for kind in ("list", "detail", "batch")] == [
        "uncharged",
        "admitted",
        "refused",
    ]
    assert [everything.charge(kind).verdict for kind in ("list", "memories")] == ["admitted", "refused"]


@pytest.mark.parametrize(
    "meaningless",
    [
        {"model": "leaky"},
        {"rate_per_s": 0},
        {"burst": 0},
        {"steps": [[10, -1]]},
        {"steps": [[10, 1], [5, 2]]},
        {"penalty_refusals": -1},
        {"retry_after": "soon"},
        {"scope": "some"},
    ],
)
def test_options_without_a_meaning_are_refused(meaningless: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        QuotaOptions(**meaningless)  # type: ignore[arg-type]
