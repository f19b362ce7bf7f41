"""Connectors of other languages, run through the real runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.command import child
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.registry import CommandConnector
from pdpp_worker.runtime.slice import SliceResult, run_slice
from pdpp_worker.runtime.slice_context import Answerer, nobody
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario
from tests.support.waiting import until

HERE = Path(__file__).parent


class Commands(Scenario):
    """One connection of a connector that is a command."""

    answerer: Answerer = staticmethod(nobody)

    def reset(self) -> None:
        """Its owner trusts the program: no other user reads the directories of a test."""
        super().reset()
        self.let_run_as_fleet_user(True)

    def let_run_as_fleet_user(self, allowed: bool) -> None:
        """Choose for its owner."""
        self.execute("UPDATE connections SET as_fleet_user = :allowed", allowed=allowed)

    def use(self, folder: Path, given: Manifest | None = None) -> None:
        """Let the connection be one of the connector in this folder."""
        self.manifest = given or load_manifest(folder / "manifest.json")
        connector = CommandConnector(self.manifest, str(folder), folder)
        self._monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})

    def misbehave(self, how: str, *streams: str, **fields: Any) -> dict[str, Any]:
        """Run the hostile connector to the end of the run."""
        self.use_hostile(how, *streams, **fields)
        return self.run()

    def use_hostile(self, how: str, *streams: str, **fields: Any) -> None:
        """Let the connection be one of the hostile connector."""
        self.use(HERE / "hostile", hostile(how, *streams, **fields))

    def slice(self, run_id: int, *, stopping: bool = False, turn: int | None = None) -> SliceResult | None:
        return run_slice(
            self.settings,
            self.db,
            self._redis,
            run_id,
            turn=turn,
            stopping=lambda: stopping,
            answerer=self.answerer,
        )

    def configure(self, **columns: Any) -> None:
        """Give the connection settings or credentials."""
        with self.db.begin() as connection:
            for column, value in columns.items():
                statement = text(f"UPDATE connections SET {column} = cast(:value AS jsonb)")  # noqa: S608
                connection.execute(statement, {"value": value})

    @property
    def marked(self) -> list[int]:
        """The processes that the hostile connector wrote down."""
        files = list(self.settings.data_dir.glob("files/*/pids"))
        return [int(line) for file in files for line in file.read_text().split()]

    def still_there(self) -> list[int]:
        """Find those that run now; one that was killed, and that nobody has reaped, does not run."""
        assert self.marked
        return [pid for pid in self.marked if is_running(pid)]

    def nothing_is_left(self) -> None:
        """Every process that was written down has ended."""
        assert self.marked
        until(lambda: not any(psutil.pid_exists(pid) for pid in self.marked))


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended, and that nobody has reaped, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def hostile(how: str, *streams: str, **fields: Any) -> Manifest:
    """The manifest of the hostile connector."""
    return Manifest.model_validate(
        {
            "name": "scripted",
            "version": "1.0.0",
            "title": "Hostile",
            "command": ["{python}", "hostile.py", how],
            "streams": [{"name": name} for name in streams or ("items",)],
            **fields,
        }
    )


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Commands:
    """One connection, ready to run."""
    monkeypatch.setattr(child, "GRACE_S", 0.5)
    return Commands(monkeypatch, settings.model_copy(update={"silence_s": 30.0}), db, redis)
