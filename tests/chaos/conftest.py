"""A world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pdpp_worker.settings import get_settings
from tests.chaos.world import World, make_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Servers and a watched database; the owner's own connectors are those of the episode."""
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path / "own"))
    get_settings.cache_clear()
    with make_world(tmp_path) as made:
        yield made
    get_settings.cache_clear()
