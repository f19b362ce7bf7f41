"""`python -m bench.fleet`."""

from __future__ import annotations

from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.fleet import account
from bench.fleet.drain import IDLE_S, Drained, drain
from bench.fleet.processes import COLLECTORS, busy, prefer, running
from bench.fleet.watch import Watch
from bench.machine import this_machine
from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.secrets import Vault
from tests.support.servers import temporary_data_dir

BURST = 10
CEILING_MS = 60
BUSY = 2
"""Processes that compute beside the fleet, with `--busy`."""

_console = Console(width=120, soft_wrap=True)


def main(
    gaps: Annotated[int, typer.Option(min=1, help="Conversations that are missing.")] = 1500,
    learn: Annotated[
        int, typer.Option(min=0, help="Conversations of a first drain, from which the rate is learned.")
    ] = 600,
    quota: Annotated[float, typer.Option(min=0.1, help="Requests/s that the provider admits.")] = 8.0,
    restart: Annotated[bool, typer.Option("--restart", help="Stop and start the fleet half-way.")] = False,
    flush: Annotated[bool, typer.Option("--flush", help="Empty Valkey half-way.")] = False,
    with_busy: Annotated[bool, typer.Option("--busy", help="Keep two cores busy beside it.")] = False,
) -> None:
    """A backlog drained by a real fleet with default settings: the share of the quota, and what the provider saw."""
    law = QuotaOptions(model="bucket", rate_per_s=quota, burst=BURST)
    options = ProviderOptions(conversations=learn + gaps, quota=law)
    ids = account.conversation_ids(options)
    disturb = [action for wanted, action in ((restart, Watch.restart), (flush, Watch.flush)) if wanted]
    variables = {"PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": str(CEILING_MS)}
    with (
        temporary_data_dir() as data_dir,
        ProviderProcess(options) as provider,
        running(data_dir, variables) as fleet,
        busy(BUSY if with_busy else 0),
    ):
        prefer(provider)
        _console.print(str(this_machine(fleet.db.check())), highlight=False)
        account.connect(fleet.db, Vault(fleet.settings), provider)
        drains = {}
        if learn:
            drains["cold"] = drain(fleet, provider, ids[:learn])
            _console.print(f"the rate was learned from {drains['cold'].admitted:,} requests", highlight=False)
        drains["warm" if learn else "cold"] = drain(fleet, provider, ids[learn:], disturb)
    _console.print(
        f"{COLLECTORS} collect workers, {quota:g} requests/s with a burst of {BURST}, ceiling {CEILING_MS} ms"
    )
    _console.print(_table(drains))


def _table(drains: dict[str, Drained]) -> Table:
    table = Table("", *drains)
    rows = [_rows(one) for one in drains.values()]
    for name in rows[0]:
        table.add_row(name, *(row[name] for row in rows))
    return table


def _rows(one: Drained) -> dict[str, str]:
    overs = one.hand_overs_s
    return {
        "gaps, of them not asked for": f"{one.asked:,}, {one.left:,}",
        "time, s": f"{one.seconds:.1f}",
        "admitted requests": f"{one.admitted:,}",
        "share of the quota": f"{one.share:.2f}",
        "refusals (429), most in 60 s": f"{one.refused}, {one.most_refused_in_60_s}",
        "smallest distance of two arrivals, ms": _number(one.smallest_distance_s, 1000),
        f"unexplained silences above {IDLE_S:g} s": _silences(one),
        "hand-overs, p50 s, longest s": f"{len(overs)}, {median(overs):.2f}, {overs[-1]:.2f}" if overs else "none",
        "held back, s": f"{one.held_s:.1f}",
        "stopped by the restart, s": f"{one.stopped_s:.1f}",
        "silence around the restart, s": _number(one.silence_at_restart_s),
        "silence around the emptying, s": _number(one.silence_at_flush_s),
    }


def _silences(one: Drained) -> str:
    if not one.idle:
        return "none"
    return ", ".join(f"{end - begin:.1f} s at {begin - one.begun:.0f} s" for begin, end in one.idle)


def _number(seconds: float | None, scale: float = 1) -> str:
    return "" if seconds is None else f"{seconds * scale:.2f}"


if __name__ == "__main__":
    typer.run(main)
