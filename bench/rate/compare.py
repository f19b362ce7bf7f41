"""Every policy against every provider, for many seeds, beside the all-knowing client."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import mean, median

from bench.rate.oracle import Oracle
from bench.rate.policies import POLICIES
from bench.rate.scenarios import Scenario
from bench.rate.simulator import Drain, Setting, drain


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy against one scenario: medians and worst of the seeds; flags are the mean. Shares are fractions."""

    scenario: str
    policy: str
    of_oracle: float
    of_oracle_worst: float
    of_oracle_cold: float
    """NaN where cold starts were not asked for."""
    refused: float
    refused_worst: float
    refusals: float
    most_refused: int
    flags: float
    too_close: int
    first_minute: float


@dataclass(frozen=True, slots=True)
class _Job:
    scenario: Scenario
    seed: int
    setting: Setting

    def oracle(self) -> Drain:
        """The all-knowing client's drain."""
        oracle = Oracle(self.scenario.open_law(self.seed), self.scenario.client.ceiling_s)
        open_provider = self.scenario.open_provider(self.seed)
        return drain(lambda: oracle, open_provider, self.setting, self.scenario.client, seed=self.seed)

    def run(self, name: str, *, warm: bool) -> Drain:
        """A policy's drain."""
        return run(self.scenario, name, self.seed, self.setting, warm=warm)


def compare(
    scenarios: Sequence[Scenario],
    names: Sequence[str],
    seeds: Sequence[int],
    setting: Setting,
    *,
    cold: bool = True,
    processes: int = 1,
) -> Iterator[Figures]:
    """Run everything, one scenario after the other; without `cold`, cold starts are left out."""
    with ProcessPoolExecutor(processes) if processes > 1 else nullcontext() as pool:
        for scenario in scenarios:
            yield from _compare(scenario, names, [_Job(scenario, seed, setting) for seed in seeds], pool, cold=cold)


def _compare(
    scenario: Scenario, names: Sequence[str], jobs: Sequence[_Job], pool: Executor | None, *, cold: bool
) -> Iterator[Figures]:
    each = map if pool is None else pool.map
    best = list(each(_Job.oracle, jobs))
    for name in names:
        warm = list(each(partial(_Job.run, name=name, warm=True), jobs))
        anew = list(each(partial(_Job.run, name=name, warm=False), jobs)) if cold else []
        yield _figures(scenario.name, name, best, warm, anew)


def run(scenario: Scenario, name: str, seed: int, setting: Setting, *, warm: bool = True, trace: bool = False) -> Drain:
    """One policy against one provider."""
    rng = random.Random(f"{name} {seed}")
    make = POLICIES[name]
    return drain(
        lambda: make(scenario.client, rng),
        scenario.provider(seed),
        setting,
        scenario.client,
        seed=seed,
        warm=warm,
        trace=trace,
    )


def _figures(scenario: str, policy: str, best: list[Drain], warm: list[Drain], cold: list[Drain]) -> Figures:
    shares = [one.per_s / most.per_s for one, most in zip(warm, best, strict=True)]
    starts = [one.per_s / most.per_s for one, most in zip(cold, best, strict=bool(cold))]
    return Figures(
        scenario=scenario,
        policy=policy,
        of_oracle=median(shares),
        of_oracle_worst=min(shares),
        of_oracle_cold=median(starts) if starts else math.nan,
        refused=median(one.refused_share for one in warm),
        refused_worst=max(one.refused_share for one in warm),
        refusals=median(one.refused for one in warm),
        most_refused=max(one.most_refused for one in warm),
        flags=mean(one.flags for one in warm),
        too_close=sum(one.too_close for one in (*warm, *cold)),
        first_minute=median(one.first_minute for one in warm),
    )
