"""A run goes on behind its last checkpoint when the process of its walk was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdpp_worker.confined import beside as module
from pdpp_worker.confined.places import Places
from tests.support.scripted import Scenario, manifest

pytestmark = pytest.mark.process  # starts processes itself


def test_a_run_whose_walk_is_killed_loses_and_doubles_nothing(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PLACES", Places(1))
    walk, mark = "tests.support.walks:killed_in_the_midst", str(tmp_path / "killed")
    scenario.install(
        lambda start, context: context.beside(walk, start.cursor("items") or 0, 3_000, 1_500, mark),
        manifest("items"),
    )

    first, second = scenario.run(), scenario.run()

    assert (first["status"], second["status"]) == ("partially_completed", "succeeded")
    assert "sudden end" in first["error"]
    assert 0 < first["records_flushed"] < 1_500
    assert scenario.held().keys() == {str(number) for number in range(3_000)}
    assert first["records_unchanged"] == 0
