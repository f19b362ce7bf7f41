"""`python -m bench.rate.bounds`: what a client gets that knows the provider and obeys the rules of ours.

It keeps the allowance of two refusals in any 60 s, and cannot know which request is shed.
It sends each request as early as it may. A later send would only make the refusals, and what waits for them, later too:
so no law that keeps these rules gets a larger share of the all-knowing client's throughput.
"""

from __future__ import annotations

from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.rate.oracle import Oracle
from bench.rate.scenarios import UNRELATED, Scenario
from bench.rate.simulator import Setting, drain
from pdpp_worker.conformance.quota.models import QuotaModel
from pdpp_worker.pacing.allowance import Allowance

_console = Console()


class Obeying(Oracle):
    """The all-knowing client, refused for reasons that it cannot foresee."""

    def __init__(self, law: QuotaModel, ceiling_s: float) -> None:
        super().__init__(law, ceiling_s)
        self._allowance = Allowance()

    def next_send(self, now: float) -> float:
        """When the law admits the next request and the allowance has room for one more refusal."""
        hold = self._allowance.hold()
        return super().next_send(now if hold is None else max(now, hold.until))

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:  # noqa: ARG002 - shed without a wait
        """Note the refusal; what was charged for it stays charged."""
        self._allowance.on_refused(now)
        self._granted_at = now


def share(scenario: Scenario, seed: int) -> float:
    """Its throughput as a share of the all-knowing client's."""
    setting, client = Setting(), scenario.client
    free, obeying = (
        Oracle(scenario.open_law(seed), client.ceiling_s),
        Obeying(scenario.open_law(seed), client.ceiling_s),
    )
    best = drain(lambda: free, scenario.open_provider(seed), setting, client, seed=seed)
    shed = scenario.shedding_alone(seed)
    return drain(lambda: obeying, shed, setting, client, seed=seed).per_s / best.per_s


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many providers of each kind.")] = 24,
    first_seed: Annotated[int, typer.Option(help="Seeds are counted from here.")] = 5000,
) -> None:
    """The bound for every kind of shedding: median and worst of the seeds."""
    table = Table("provider", "bound", "worst")
    for scenario in (one for one in UNRELATED if one.shed):
        shares = [share(scenario, seed) for seed in range(first_seed, first_seed + seeds)]
        table.add_row(scenario.name, f"{median(shares):.3f}", f"{min(shares):.3f}")
    _console.print(table)


if __name__ == "__main__":
    typer.run(main)
