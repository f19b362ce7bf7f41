"""`python -m bench.rate.tiers`: a provider with a limit for each group of requests, met by lanes and by one rate.

The requests come in the order in which a connector makes them, one after the other; a refused one is made again. The
oracle makes them in the same order, each the moment it would be admitted.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.rate.providers import honest
from pdpp_worker.conformance.quota.models import FixedWindow, QuotaModel, TokenBucket
from pdpp_worker.pacing.lanes import Lanes

CEILING_S, LATENCY_S, LATENCY_SIGMA = 1.2, 0.3, 0.5
MINUTE_S = 60.0
TIERS = {"users": 50, "conversations": 20, "history": 1, "replies": 1}
"""Requests a minute."""
CHANNELS = 50
_console = Console()


@dataclass(frozen=True, slots=True)
class Walk:
    """The outcome of one walk; `most_refused` in any minute."""

    lasted_s: float
    refused: int
    most_refused: int
    too_close: int


def requests(rng: random.Random) -> Sequence[str]:
    """The groups of a walk's requests, in order."""
    order = ["users"] * 20 + ["conversations"] * 10
    for _ in range(CHANNELS):
        order += ["history"] + ["replies"] * rng.randint(0, 2) + ["users"] * rng.randint(0, 3)
    return order


def limits(seed: int) -> dict[str, QuotaModel]:
    """The law of every group, at its place in time: windows, or buckets of one minute's requests."""
    rng = random.Random(f"tiers {seed}")
    windows = rng.random() < 0.5
    return {
        name: FixedWindow(count / MINUTE_S, MINUTE_S) if windows else TokenBucket(count / MINUTE_S, count, 0.0)
        for name, count in TIERS.items()
    }


def walk(seed: int, lane_of: Callable[[str], str]) -> Walk:
    """Make all requests, paced by the lanes that `lane_of` puts them in."""
    rng = random.Random(seed)
    laws, lanes, order = limits(seed), Lanes(CEILING_S * 1000), requests(rng)
    begun = now = rng.uniform(0, MINUTE_S)
    sent_at, refused, recent, most, too_close = -math.inf, 0, deque[float](), 0, 0
    for name in order:
        while True:
            lane = lane_of(name)
            at = lanes.next_send(now, lane)
            too_close += at - sent_at < CEILING_S - 1e-6
            lanes.on_send(at, lane)
            sent_at, now = at, at + rng.lognormvariate(math.log(LATENCY_S), LATENCY_SIGMA)
            decision = laws[name].admit(at)
            if not decision.verdict.refuses:
                lanes.on_success(now, lane)
                break
            lanes.on_throttle(now, honest(decision.wait_s - (now - at)), lane)
            refused += 1
            recent.append(at)
            while at - recent[0] > MINUTE_S:
                recent.popleft()
            most = max(most, len(recent))
    return Walk(now - begun, refused, most, too_close)


def oracle(seed: int) -> float:
    """How long the walk takes a client that knows every law's state, s."""
    rng = random.Random(seed)
    laws, order = limits(seed), requests(rng)
    begun = now = rng.uniform(0, MINUTE_S)
    sent_at = -math.inf
    for name in order:
        at = max(now, sent_at + CEILING_S)
        while (decision := laws[name].admit(at)).verdict.refuses:
            at += decision.wait_s + 1e-9
        sent_at, now = at, at + rng.lognormvariate(math.log(LATENCY_S), LATENCY_SIGMA)
    return now - begun


def one_lane(_: str) -> str:
    """The lane of every group, where a connection has one."""
    return ""


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many providers.")] = 24,
    first_seed: Annotated[int, typer.Option(help="Seeds are counted from here.")] = 5000,
) -> None:
    """Share of the oracle's speed, cold, with a lane for every group and with one rate for all."""
    numbers = range(first_seed, first_seed + seeds)
    best = [oracle(seed) for seed in numbers]
    table = Table("", "of oracle", "worst", "minutes", "refused", "in 60 s", "< ceiling")
    table.add_row("oracle", "1", "1", f"{median(best) / MINUTE_S:.0f}", "0", "0", "0")
    for title, lane_of in (("a lane a group", str), ("one rate", one_lane)):
        walks = [walk(seed, lane_of) for seed in numbers]
        shares = [most / one.lasted_s for one, most in zip(walks, best, strict=True)]
        table.add_row(
            title,
            f"{median(shares):.3f}",
            f"{min(shares):.3f}",
            f"{median(one.lasted_s for one in walks) / MINUTE_S:.0f}",
            f"{median(one.refused for one in walks):.0f}",
            str(max(one.most_refused for one in walks)),
            str(sum(one.too_close for one in walks)),
        )
    _console.print(table)


if __name__ == "__main__":
    typer.run(main)
