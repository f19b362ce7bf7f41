"""Taps as connectors, run through the real runtime."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.singer.definition import CatalogOption
from pdpp_worker.singer.describe import describe
from pdpp_worker.store.engine import Database
from tests.cli.conftest import cli
from tests.subprocess.conftest import Commands

__all__ = ["cli"]

TAPS = Path(sys.prefix) / "taps" / "bin"


def real_tap(name: str) -> str:
    """A tap that `make test` has installed; skips the test where it is not there."""
    if not (TAPS / name).exists():
        pytest.skip(f"{name} is not installed in {TAPS}; `make test` installs it")
    return str(TAPS / name)


class Taps(Commands):
    """One connection of a tap."""

    folder: Path

    def connect(
        self,
        tap: list[str],
        config: dict[str, Any],
        catalog: dict[str, Any],
        streams: list[str],
        *,
        taken_by: CatalogOption = "catalog",
        **secrets: str,
    ) -> None:
        """Let the connection be one of this tap; secrets are references such as `env:NAME`."""
        made = describe(
            tap[0],
            config,
            catalog,
            name="scripted",
            version="1.0",
            secrets=secrets,
            streams=streams,
            taken_by=taken_by,
        )
        made = type(made)(made.manifest, made.definition.model_copy(update={"tap": tap}))
        made.write(self.folder)
        self.use(self.folder)
        self.configure(credentials=json.dumps(secrets))


@pytest.fixture
def taps(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis, tmp_path: Path) -> Taps:
    """One connection, ready to run."""
    one = Taps(monkeypatch, settings.model_copy(update={"silence_s": 60.0}), db, redis)
    one.folder = tmp_path / "scripted"
    return one
