"""`python -m bench.rate`: rate laws side by side, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.rate.compare import Figures, compare, run
from bench.rate.picture import draw
from bench.rate.policies import POLICIES
from bench.rate.providers import SINE_DEPTH, Sine
from bench.rate.scenarios import SCENARIOS, Scenario
from bench.rate.simulator import Setting

FIRST_SEED = 5000
"""The law was tuned on seeds from 100 to 147: these are others."""
QUICK = Setting(items=800, runs=20)
PICTURED = "sine"
STEPS = 300
_console = Console(width=140)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many providers of each kind.")] = 24,
    policies: Annotated[list[str] | None, typer.Option(help="A policy; again for more. Default: all.")] = None,
    scenarios: Annotated[list[str] | None, typer.Option(help="Part of a scenario's name; again for more.")] = None,
    first_seed: Annotated[int, typer.Option(help="Seeds are counted from here.")] = FIRST_SEED,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer items, two seeds.")] = False,
    cold: Annotated[bool, typer.Option("--cold", help="Runs that begin with nothing learned as well.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = 1,
    picture: Annotated[Path | None, typer.Option(help="Draw the intervals over time into this SVG.")] = None,
) -> None:
    """Throughput as a share of the all-knowing client's, and what it cost in refusals."""
    names = policies or list(POLICIES)
    unknown = set(names) - set(POLICIES)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not one of {', '.join(POLICIES)}")
    chosen = [one for one in SCENARIOS if not scenarios or any(part in one.name for part in scenarios)]
    setting = QUICK if quick else Setting()
    numbers = range(first_seed, first_seed + (2 if quick else seeds))
    with _console.status("running"):
        figures = list(compare(chosen, names, numbers, setting, cold=cold, processes=processes))
    _console.print(_table(figures))
    if picture is not None:
        picture.write_text(_picture(next(one for one in SCENARIOS if one.name == PICTURED), names, first_seed))


def _table(figures: Sequence[Figures]) -> Table:
    table = Table("provider", "policy")
    for column in ("of oracle", "worst", "cold", "429 %", "worst", "in 60 s", "flags", "< ceiling", "1st min"):
        table.add_column(column, justify="right")
    before = ""
    for one in figures:
        if before and one.scenario != before:
            table.add_section()
        table.add_row(
            one.scenario if one.scenario != before else "",
            one.policy,
            f"{one.of_oracle:.3f}",
            f"{one.of_oracle_worst:.3f}",
            f"{one.of_oracle_cold:.3f}",
            f"{one.refused:.2%}".rstrip("%"),
            f"{one.refused_worst:.2%}".rstrip("%"),
            str(one.most_refused),
            f"{one.flags:.3g}",
            str(one.too_close),
            f"{one.first_minute:.2f}",
        )
        before = one.scenario
    return table


def _picture(scenario: Scenario, names: Sequence[str], seed: int) -> str:
    traces = {name: run(scenario, name, seed, Setting(), trace=True).trace for name in names}
    first, last = min(trace[0][0] for trace in traces.values()), max(trace[-1][0] for trace in traces.values())
    instants = [first + (last - first) * step / STEPS for step in range(STEPS + 1)]
    quota = scenario.open_law(seed)
    assert isinstance(quota, Sine)
    return draw(
        f"Gaps between requests while the quota swings by {SINE_DEPTH:.0%} (dashed: what the provider sustains)",
        traces,
        [(at, 1 / quota.rate_at(at)) for at in instants],
    )


if __name__ == "__main__":
    typer.run(main)
