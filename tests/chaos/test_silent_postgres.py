"""A PostgreSQL whose packets are swallowed for a while, under a whole fleet; `make chaos` runs it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from pdpp_worker.local.supervisor import GRACE_S
from tests.chaos.world import World
from tests.support.fleet import Member, beat, celery
from tests.support.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_CHAOS_SEEDS" not in os.environ, reason="takes a minute: make chaos"),
]

ACCOUNTS, NOTES, PACE_S = 3, 150, 0.1
SILENCE_S, BOUND_S = 15.0, 30.0
POOLS = {"control": ("threads", "2"), "collect": ("threads", "16"), "local": ("prefork", "2")}
AT_WORK = "SELECT count(*) = %s AS all FROM leases WHERE expires_at > clock_timestamp()"
TOLD = "SELECT 1 FROM runs WHERE rung_at > %s UNION ALL SELECT 1 FROM events WHERE at > %s AND type = 'slice_started'"
NOW = "SELECT clock_timestamp() AS now"


@pytest.fixture
def fleet(world: World) -> Iterator[list[Member]]:
    """Every process of a fleet, at work on all accounts."""
    for number in range(ACCOUNTS):
        world.add_account(f"account-{number}", NOTES, PACE_S)
    with ExitStack() as stack:
        members = [stack.enter_context(_worker(world, queue)) for queue in POOLS]
        members.append(stack.enter_context(beat(world.settings, world.directory)))
        until(lambda: world.rows(AT_WORK, ACCOUNTS)[0]["all"], *members)
        yield members


def _worker(world: World, queue: str) -> Any:
    pool, size = POOLS[queue]
    options = ("-Q", queue, "-P", pool, "-c", size, "-n", f"{queue}@%h", "-l", "INFO")
    alone = ("--task-events", "--without-gossip", "--without-mingle")
    return celery(world.settings, world.directory, "worker", *options, *alone, **world.environment)


def test_workers_are_told_of_runs_soon_after_it(world: World, fleet: list[Member]) -> None:
    world.proxy.swallow()
    time.sleep(SILENCE_S)
    world.proxy.forward()
    began, now = time.monotonic(), world.rows(NOW)[0]["now"]

    until(lambda: world.rows(TOLD, now, now), *fleet)

    assert time.monotonic() - began <= BOUND_S, world.logs()


def test_every_process_ends_in_time_when_told_to_in_the_middle_of_it(world: World, fleet: list[Member]) -> None:
    world.proxy.swallow()
    time.sleep(SILENCE_S / 3)

    for member in fleet:
        member.process.terminate()

    for member in fleet:
        member.process.wait(GRACE_S)
