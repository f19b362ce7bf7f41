"""Seeded faults at random instants lose nothing, double nothing, and leave nothing standing still.

`make chaos` plays 200 seeds; PDPP_CHAOS_SEEDS names others, as `7` or `100-120`.
"""

from __future__ import annotations

import os

import pytest

from tests.chaos.episode import play
from tests.chaos.faults import FAULTS, QUICK
from tests.chaos.world import World

pytestmark = pytest.mark.process  # starts servers and processes itself
CHOSEN = "PDPP_CHAOS_SEEDS"


def seeds() -> list[int]:
    """The seeds to play."""
    first, _, last = os.environ.get(CHOSEN, "1-3").partition("-")
    return list(range(int(first), int(last or first) + 1))


@pytest.mark.parametrize("seed", seeds())
def test_an_episode_ends_with_exactly_the_truth(world: World, seed: int) -> None:
    wrong = play(world, seed, FAULTS if CHOSEN in os.environ else QUICK)

    assert not wrong, "\n".join([*wrong, world.logs()])
