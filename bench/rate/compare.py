"""Every policy against every provider, for many seeds, beside the all-knowing client."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median

from bench.rate.oracle import Oracle
from bench.rate.policies import POLICIES
from bench.rate.providers import Provider, Scenario
from bench.rate.simulator import Drain, Setting, drain
from pdpp_worker.demo.provider.laws import Unlimited


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy against one scenario: medians and worst of the seeds; flags are the mean. Shares are fractions."""

    scenario: str
    policy: str
    of_oracle: float
    of_oracle_worst: float
    of_oracle_cold: float
    refused: float
    refused_worst: float
    most_refused: int
    flags: float
    too_close: int
    first_minute: float


def compare(
    scenarios: Sequence[Scenario], names: Sequence[str], seeds: Sequence[int], setting: Setting
) -> Iterator[Figures]:
    """Run everything; one scenario after the other."""
    for scenario in scenarios:
        best = [_oracle(scenario, seed, setting).per_s for seed in seeds]
        for name in names:
            warm = [run(scenario, name, seed, setting) for seed in seeds]
            cold = [run(scenario, name, seed, setting, warm=False) for seed in seeds]
            yield _figures(scenario.name, name, best, warm, cold)


def run(scenario: Scenario, name: str, seed: int, setting: Setting, *, warm: bool = True, trace: bool = False) -> Drain:
    """One policy against one provider."""
    rng = random.Random(f"{name} {seed}")
    make = POLICIES[name]
    return drain(lambda: make(setting, rng), scenario.provider(seed), setting, seed=seed, warm=warm, trace=trace)


def _oracle(scenario: Scenario, seed: int, setting: Setting) -> Drain:
    provider = scenario.provider(seed)
    oracle = Oracle(provider.open_law, setting.ceiling_s)
    open_provider = Provider(Unlimited(), provider.phase_s, tells_wait=False, error_share=provider.error_share)
    return drain(lambda: oracle, open_provider, setting, seed=seed)


def _figures(scenario: str, policy: str, best: list[float], warm: list[Drain], cold: list[Drain]) -> Figures:
    shares = [one.per_s / most for one, most in zip(warm, best, strict=True)]
    return Figures(
        scenario=scenario,
        policy=policy,
        of_oracle=median(shares),
        of_oracle_worst=min(shares),
        of_oracle_cold=median(one.per_s / most for one, most in zip(cold, best, strict=True)),
        refused=median(one.refused_share for one in warm),
        refused_worst=max(one.refused_share for one in warm),
        most_refused=max(one.most_refused for one in warm),
        flags=mean(one.flags for one in warm),
        too_close=sum(one.too_close for one in (*warm, *cold)),
        first_minute=median(one.first_minute for one in warm),
    )
