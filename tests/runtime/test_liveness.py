"""No connection stands still: once no hold is in force, the next request goes out within one interval.

Tried in virtual time over the fleet, the bucket and the rate model together, whatever happens to those who wait.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.conformance.quota.models import TokenBucket
from pdpp_worker.errors import ProviderError, Throttled, UpstreamError
from tests.support.virtual_fleet import CEILING_MS, START, Fleet, Mischief, Sent

ROUNDING_S = 1e-3


class Step(NamedTuple):
    """One request: how it is answered, what happens while it waits, how long the fleet rested before, its lane."""

    answer: ProviderError | None
    happens: list[Mischief]
    rest_s: float
    lane: str


mischief = st.builds(
    Mischief,
    late_s=st.sampled_from([0.0, 0.0, 0.006, 0.02, 1.0, 45.0]),
    dies=st.sampled_from([False] * 9 + [True]),
    stops=st.sampled_from([False] * 5 + [True]),
    loses_bell=st.booleans(),
    empties_redis=st.sampled_from([False] * 5 + [True]),
    clock_steps_s=st.sampled_from([0.0] * 5 + [-3600.0, 3600.0, 1e8, -1.0]),
)


def refusal(retry_after_s: float | None) -> Throttled:
    """A refusal for the rate."""
    due = None if retry_after_s is None else datetime.now(UTC) + timedelta(seconds=retry_after_s)
    return Throttled("refused", retry_after=due)


answers = st.one_of(
    st.none(),
    st.none(),
    st.just(UpstreamError("failed")),
    st.sampled_from([None, 0.0, 1.0, 70.0, 600.0, 3600.0, 86400.0]).map(refusal),
)
rests = st.sampled_from([0.0, 0.0, 0.0, 3600.0, 30_000.0])
lanes = st.sampled_from(["", "", "history", "users"])
scripts = st.lists(st.builds(Step, answers, st.lists(mischief, max_size=5), rests, lanes))


def work(fleet: Fleet, script: list[Step]) -> None:
    """Send one request after the other, through all that happens."""
    for step in script:
        if step.rest_s:
            fleet.rest(step.rest_s)
        fleet.request(lambda _, step=step: step.answer, *step.happens, lane=step.lane)  # type: ignore[misc]


@given(scripts)
def test_the_next_request_goes_out_within_one_interval_of_the_last_hold(
    script: list[Step],
) -> None:
    fleet = Fleet()

    work(fleet, script)

    assert [one for one in fleet.sent if one.unexplained_s > ROUNDING_S] == []


@given(scripts)
def test_nothing_that_happens_to_a_wait_breaks_the_ceiling(
    script: list[Step],
) -> None:
    fleet = Fleet()

    work(fleet, script)

    assert all(b.at - a.at >= CEILING_MS / 1000 - ROUNDING_S for a, b in pairwise(fleet.sent))


@pytest.mark.parametrize("idle_s", [60.0, 3600.0, 20_000.0])
@pytest.mark.parametrize(
    "happens",
    [
        Mischief(late_s=0.006),
        Mischief(stops=True),
        Mischief(stops=True, loses_bell=True),
        Mischief(dies=True),
        Mischief(empties_redis=True),
        Mischief(clock_steps_s=-3600.0),
    ],
    ids=["late wake", "slice ends", "lost bell", "death", "emptied Redis", "clock set back"],
)
def test_what_goes_wrong_with_a_request_after_a_rest_costs_no_part_of_the_rest(
    happens: Mischief, idle_s: float
) -> None:
    fleet = Fleet()
    for _ in range(50):
        fleet.request(lambda _: None)
    fleet.rest(idle_s)
    fleet.bucket.flush()

    sent = [fleet.request(lambda _: None, *[happens] * 4) for _ in range(5)]

    assert max(one.at - one.wanted_at - one.late_s for one in sent) <= 5.0


def test_a_pause_longer_than_a_slice_is_waited_once() -> None:
    fleet = Fleet()
    for _ in range(5):
        fleet.request(lambda _: None)
    refused = fleet.request(lambda _: refusal(120.0))

    following = fleet.request(lambda _: None)

    assert following.at - refused.at == pytest.approx(120.0, abs=5.0)


@pytest.mark.parametrize("seed", range(8))
def test_a_night_has_no_idle_minute_that_no_hold_explains(seed: int) -> None:
    draw = random.Random(seed)
    fleet, provider = Fleet(), TokenBucket(2.0, 10, START)

    while fleet.now < START + 4 * 3600:
        fleet.request(lambda at: answered(provider, at, draw), *(happening(draw) for _ in range(draw.randint(0, 2))))

    assert [(one.at - START, idle_s) for one, idle_s in idle_stretches(fleet) if idle_s > 60.0] == []


def answered(provider: TokenBucket, at: float, draw: random.Random) -> ProviderError | None:
    """The answer of a provider that now and then fails, or asks for a pause."""
    if draw.random() < 0.002:
        return refusal(draw.choice([20.0, 200.0, 900.0]))
    if draw.random() < 0.01:
        return UpstreamError("failed")
    return refusal(None) if provider.admit(at).verdict.refuses else None


def happening(draw: random.Random) -> Mischief:
    """Accidents of a wait in a bad night: mostly nothing but a late wake-up."""
    unlucky = draw.random()
    return Mischief(
        late_s=draw.expovariate(50.0),
        stops=unlucky < 0.01,
        loses_bell=draw.random() < 0.3,
        empties_redis=0.01 < unlucky < 0.015,
        clock_steps_s=draw.choice([-3600.0, 3600.0]) if 0.015 < unlucky < 0.018 else 0.0,
        dies=0.018 < unlucky < 0.02,
    )


def idle_stretches(fleet: Fleet) -> list[tuple[Sent, float]]:
    """Every request, and how long before it nothing was sent although no hold was in force."""
    return [
        (b, b.at - max(a.at, b.held_until if b.held_until > b.wanted_at else a.at)) for a, b in pairwise(fleet.sent)
    ]
