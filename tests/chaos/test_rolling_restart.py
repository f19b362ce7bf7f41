"""Workers that are restarted one after the other lose a long run no more than a batch each; `make chaos` runs it."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial

import pytest

from tests.chaos.episode import come_to_rest
from tests.chaos.world import PERIODS, World
from tests.support.fleet import Member
from tests.support.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_CHAOS_SEEDS" not in os.environ, reason="takes a minute: make chaos"),
]

NOTES, PACE_S, RESTARTS = 600, 0.02, 6
BATCH = round(PERIODS["batch_s"] / PACE_S)
"""Most requests in the time of a batch."""
BETWEEN = 50
"""Requests between two restarts."""
ONE_SLICE = {"PDPP_SLICE_S": "600"}
"""A slice ends for a restart alone."""
FIRST_RUN = "SELECT status, slices FROM runs ORDER BY id LIMIT 1"


def test_a_rolling_restart_asks_for_a_batch_again_at_most_and_the_run_ends_complete(world: World) -> None:
    account = world.add_account("long", NOTES, PACE_S)
    log = world.notes[account].log
    for _ in range(2):
        world.start_worker(**ONE_SLICE)
    world.start_beat()
    for _ in range(RESTARTS):
        old = until(partial(at_work, world, len(log) + BETWEEN), *world.workers)
        assert old is not None
        world.start_worker(**ONE_SLICE)
        old.process.terminate()
        assert old.process.wait() == 0
        world.workers.remove(old)
    wrong = come_to_rest(world)

    asked = Counter(one for one in log if one.startswith("/notes/"))
    assert wrong == [], world.logs()
    assert world.rows(FIRST_RUN) == [{"status": "succeeded", "slices": RESTARTS + 1}]
    assert len(asked) == NOTES
    assert asked.total() - NOTES <= RESTARTS * BATCH


def at_work(world: World, far: int) -> Member | None:
    """The worker that has the run now, once so many requests were sent."""
    holders = world.holders() if sum(len(notes.log) for notes in world.notes.values()) > far else set()
    return next((one for one in world.workers if one.process.pid in holders), None)
