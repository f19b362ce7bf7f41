"""The controller against every kind of provider, in virtual time: its safety, and that it is not bought with sloth."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

from bench import rate
from bench.rate.compare import Figures, compare, run
from bench.rate.picture import draw
from bench.rate.policies import POLICIES
from bench.rate.published import PublishedPacing
from bench.rate.scenarios import ANNOUNCED, DRIFTING, LYING, QUICK, SCENARIOS, STATIONARY, UNRELATED, Scenario
from bench.rate.simulator import Setting
from bench.rate.tiers import one_lane, oracle, walk

SEEDS = (7001, 7002)
SETTING, SHORT = Setting(items=1200, runs=40), Setting(items=800, runs=20)
VECTORS = json.loads((Path(rate.__file__).parent / "vectors.json").read_text())["vectors"]


def named(name: str) -> Scenario:
    return next(one for one in SCENARIOS if one.name == name)


@pytest.fixture(scope="module")
def ours() -> dict[str, Figures]:
    return {one.scenario: one for one in compare([*STATIONARY, *DRIFTING], ["ours"], SEEDS, SETTING)}


def test_the_ceiling_is_never_crossed(ours: dict[str, Figures]) -> None:
    assert {name: one.too_close for name, one in ours.items()} == dict.fromkeys(ours, 0)


def test_no_minute_sees_more_than_two_refusals(ours: dict[str, Figures]) -> None:
    assert max(one.most_refused for one in ours.values()) <= 2


def test_no_penalty_box_ever_shuts(ours: dict[str, Figures]) -> None:
    assert {name: one.flags for name, one in ours.items()} == dict.fromkeys(ours, 0)


def test_refusals_are_rare_while_it_still_learns(ours: dict[str, Figures]) -> None:
    assert max(one.refused_worst for one in ours.values()) < 0.03


def test_it_stays_close_to_the_all_knowing_client(ours: dict[str, Figures]) -> None:
    assert min(one.of_oracle for one in ours.values()) > 0.8
    assert median(one.of_oracle for one in ours.values()) > 0.94


def test_the_first_minute_of_a_later_run_is_as_fast_as_the_rest(ours: dict[str, Figures]) -> None:
    stationary = ("bucket", "sliding minute", "fixed minute", "strict spacing")

    assert min(ours[name].first_minute for name in stationary) >= 0.9


@pytest.fixture(scope="module")
def others() -> dict[str, Figures]:
    kinds = [*QUICK, *UNRELATED, *LYING, *ANNOUNCED, named("fixed 10 min, Retry-After"), named("second and hour")]
    return {one.scenario: one for one in compare(kinds, ["ours"], SEEDS, SHORT, cold=False)}


def test_nor_is_anything_broken_by_providers_of_other_kinds(others: dict[str, Figures]) -> None:
    assert {name: one.too_close for name, one in others.items()} == dict.fromkeys(others, 0)
    assert max(one.most_refused for one in others.values()) <= 2


def test_announced_limits_need_no_refusal(others: dict[str, Figures]) -> None:
    announced = [others[one.name] for one in ANNOUNCED]

    assert max(one.refused_worst for one in announced) == 0
    assert min(one.of_oracle for one in announced) > 0.95


def test_waits_that_are_over_already_cost_nothing(others: dict[str, Figures]) -> None:
    assert others["Retry-After in the past"].of_oracle > 0.9
    assert others["Retry-After always 0"].of_oracle > 0.85


def test_an_owner_who_uses_the_account_leaves_most_of_the_rest(others: dict[str, Figures]) -> None:
    assert others["used by hand"].of_oracle > 0.85


def test_lanes_come_close_to_the_all_knowing_client_where_one_rate_does_not() -> None:
    lanes, one_rate = walk(SEEDS[0], str), walk(SEEDS[0], one_lane)
    best = oracle(SEEDS[0])

    assert best / lanes.lasted_s > 0.8 > 0.5 > best / one_rate.lasted_s
    assert (lanes.most_refused, lanes.too_close) <= (2, 0)


def test_a_policy_that_hammers_is_flagged_where_ours_is_not() -> None:
    boxed = named("box 5 a minute")

    flags = {name: run(boxed, name, SEEDS[0], Setting(items=300, runs=3)).flags for name in POLICIES}

    assert flags["ours"] == 0
    assert min(flags["full jitter"], flags["botocore adaptive"], flags["Celery rate_limit"]) > 0


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one["name"])
def test_the_published_law_answers_as_published(vector: dict[str, object]) -> None:
    law = PublishedPacing(**vector["options"])  # type: ignore[arg-type]

    for now, operation, retry_after, interval, delay in vector["events"]:  # type: ignore[attr-defined]
        answered = None
        if operation == "admit":
            answered = law.next_delay(now)
        elif operation == "success":
            law.on_success(now)
        elif operation == "throttle":
            law.on_throttle(retry_after)
        assert (law.interval, answered) == (interval, delay)


def test_the_picture_shows_every_policy_and_its_refusals() -> None:
    picture = draw("title", {"a & b": [(0.0, 1.0, False), (9.0, 9.0, True)]}, [(0.0, 1.0), (9.0, 1.0)])

    assert "a &amp; b" in picture
    assert "1 refused" in picture
    assert picture.endswith("</svg>")
