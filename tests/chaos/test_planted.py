"""Each invariant of an episode catches the bug that it is there for; `make chaos` tries all, `make test` two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos import episode, planted
from tests.chaos.faults import freeze_worker, kill_worker
from tests.chaos.outside import failing_notes
from tests.chaos.world import Fault, World

pytestmark = pytest.mark.process  # starts servers and processes itself

PLANTED: dict[str, tuple[str, Fault, str]] = {
    "fence not checked": (planted.FENCE_NOT_CHECKED, freeze_worker, "fence: "),
    "cursor committed first": (planted.CURSOR_FIRST, kill_worker, "is ahead of"),
    "gap forgotten": (planted.GAP_FORGOTTEN, failing_notes, "is ahead of"),
    "gap closed without its record": (planted.GAP_CLOSED_WITHOUT_RECORD, failing_notes, "closed without its record"),
    "record forgotten": (planted.RECORD_FORGOTTEN, kill_worker, "is missing"),
    "wait doubled": (planted.WAIT_DOUBLED, kill_worker, "not at rest"),
}
TRIED = list(PLANTED) if "PDPP_CHAOS_SEEDS" in os.environ else list(PLANTED)[1:3]


@pytest.mark.parametrize(("text", "fault", "sentence"), [PLANTED[one] for one in TRIED], ids=TRIED)
def test_a_planted_bug_is_caught(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: Fault, sentence: str
) -> None:
    # A bug that lets nothing come to rest is not waited for; a busy machine has its time to show the others.
    monkeypatch.setattr(episode, "STEADY_S", 12.0 if fault is kill_worker else 60.0)
    # A worker that stands still and loses its lease writes again only where it was in the middle of a batch.
    monkeypatch.setattr(episode, "FAULTS_EACH", 5 if fault is freeze_worker else 2)
    monkeypatch.setattr(episode, "HOLD_S", (4.5,))
    world.plant = tmp_path / "plant"
    world.plant.mkdir()
    (world.plant / "sitecustomize.py").write_text(text)

    wrong = episode.play(world, seed=1, faults=[fault])

    assert any(sentence in one for one in wrong), f"{wrong}\n{world.logs()}"
