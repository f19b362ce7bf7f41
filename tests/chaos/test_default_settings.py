"""A fleet with the settings that it comes with gets over faults too, and over hours without a fleet; `make chaos`."""

from __future__ import annotations

import os

import pytest

from pdpp_worker.settings import Settings
from tests.chaos import episode
from tests.chaos.faults import kill_program, kill_worker, stop_worker
from tests.chaos.moved_time import idle_hours
from tests.chaos.outside import failing_notes, owner_acts, provider_away
from tests.chaos.world import PERIODS, World

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_CHAOS_SEEDS" not in os.environ, reason="takes minutes: make chaos"),
]

STEADY_S = 300.0
"""A lease, a look of the dispatcher, a sweep and a slice, each as long as they are by default, and a busy machine."""
FAULTS = (idle_hours, kill_worker, kill_program, stop_worker, failing_notes, provider_away, owner_acts)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_episode_ends_with_exactly_the_truth(world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(episode, "STEADY_S", STEADY_S)
    usual = {name: Settings.model_fields[name].default for name in PERIODS}
    world.settings, world.bounds = world.settings.model_copy(update=usual), {}

    wrong = episode.play(world, seed, FAULTS)

    assert wrong == [], world.logs()
