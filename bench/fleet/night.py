"""`python -m bench.fleet.night HOURS`: a fleet is disturbed in every way, and no minute may pass unexplained."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from bench.fleet import account, figures
from bench.fleet.figures import Stretch
from bench.fleet.processes import prefer, running
from bench.fleet.watch import Watch
from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.secrets import Vault
from tests.support.servers import temporary_data_dir

QUOTA = QuotaOptions(model="bucket", rate_per_s=2.0, burst=10)
SPARE = 1.2
"""More gaps than the quota can serve, so that there is work until the end."""
ROUND_S = 1800.0
"""Every kind of disturbance comes once in this time, at random instants; in a shorter night once all the same."""
SHUT_S = 5.0
LONGEST_S = 600.0
"""Of a Retry-After and of an outage."""
MINUTE_S = 60.0

_console = Console(width=120, soft_wrap=True, highlight=False)


class Act(NamedTuple):
    """A disturbance of the fleet or the provider, and its time (Unix s)."""

    at: float
    name: str
    do: Callable[[], None]


def main(
    hours: Annotated[float, typer.Argument(min=0.01, help="How long; 0.04 is a first look.")],
    seed: Annotated[int, typer.Option(help="Which instants the disturbances come at.")] = 1,
) -> None:
    """List the silences of more than a minute that neither a hold, a Retry-After nor a stopped fleet explains."""
    duration = hours * 3600
    options = ProviderOptions(conversations=int(SPARE * QUOTA.rate_per_s * duration), quota=QUOTA)
    with temporary_data_dir() as data_dir, ProviderProcess(options) as provider, running(data_dir, {}) as fleet:
        prefer(provider)
        account.connect(fleet.db, Vault(fleet.settings), provider)
        account.miss(fleet.db, account.conversation_ids(options))
        watch = Watch(fleet, provider)
        watch.order()
        _disturb(watch, sorted(_acts(watch, duration, random.Random(seed))), watch.begun + duration)
        idle = _report(watch)
    raise typer.Exit(1 if idle else 0)


def _acts(watch: Watch, duration: float, spread: random.Random) -> Iterator[Act]:
    provider, longest = watch.provider, min(LONGEST_S, duration / 6)
    for _ in range(max(1, round(duration / ROUND_S))):
        instants = (watch.begun + duration * spread.uniform(0.1, 0.8) for _ in range(5))
        pause, outage = (spread.uniform(longest / 4, longest) for _ in range(2))
        shut = QuotaOptions(model="fixed", window_s=pause, rate_per_s=1 / pause, retry_after="seconds")
        yield Act(at := next(instants), f"Retry-After of up to {pause:.0f} s", partial(provider.set_quota, shut))
        yield Act(at + SHUT_S, "the quota as before", partial(provider.set_quota, QUOTA))
        yield Act(at := next(instants), "503 to everything", partial(provider.set_faults, FaultOptions(error_share=1)))
        yield Act(at + outage, "answers as before", partial(provider.set_faults, FaultOptions()))
        yield Act(next(instants), "restart", watch.restart)
        yield Act(next(instants), "Valkey emptied", watch.flush)
        yield Act(next(instants), "the next bell is lost", watch.lose_bell)


def _disturb(watch: Watch, acts: list[Act], until: float) -> None:
    while time.time() < until:
        while acts and acts[0].at <= time.time():
            act = acts.pop(0)
            _console.print(f"{_clock(time.time())}  {act.name}")
            act.do()
        watch.look()


def _report(watch: Watch) -> list[Stretch]:
    now, entries, seen = time.time(), watch.entries(), watch.provider.stats()
    arrivals = [one.at for one in entries]
    idle = figures.unexplained(arrivals, (watch.begun, now), watch.explained(entries), MINUTE_S)
    _console.print(
        f"{seen.requests:,} requests in {now - watch.begun:.0f} s, {1000 * (seen.smallest_gap_s or 0):.0f} ms apart or "
        f"more; at most {seen.most_refusals_in_60_s} refusals in a minute"
    )
    _console.print(f"silences of more than {MINUTE_S:.0f} s that nothing explains: {len(idle) or 'none'}")
    for begin, end in idle:
        _console.print(f"  {_clock(begin)} to {_clock(end)}: {end - begin:.0f} s")
    return idle


def _clock(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%H:%M:%S")


if __name__ == "__main__":
    typer.run(main)
