"""One connector that is broken stops no other, and its own connection stays in sight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pdpp_worker import registry
from pdpp_worker.dispatch import dispatch
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli
from tests.support.installed import SENDS_ONE, install


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, db: Database) -> Iterator[None]:
    """An installed package with a broken manifest, and a connection of its connector."""
    install(tmp_path, "pinboard", SENDS_ONE, manifest="{")
    monkeypatch.syspath_prepend(tmp_path)
    registry._packaged.cache_clear()
    with db.begin() as connection:
        connections.add(connection, "pins", "pinboard", {}, {})
        connections.add(connection, "talk", "chatgpt", {}, {})
    yield
    registry._packaged.cache_clear()


@pytest.mark.parametrize("command", ["status", "coverage", "report", "connectors", "runs", "rate"])
def test_every_command_goes_on(cli: Cli, broken: None, command: str) -> None:
    assert cli(command).exit_code == 0


def test_its_connection_says_that_the_manifest_is_broken(cli: Cli, broken: None) -> None:
    said = cli.ok("status").replace("\n", "")
    assert "pins: last run none yet" in said
    assert "pinboard_package/manifest.json is not JSON" in said
    assert "pinboard_package/manifest.json is not JSON" in cli("connectors").stderr
    assert "pinboard_package/manifest.json is not JSON" in cli("doctor", "--json").stdout


def test_the_dispatcher_goes_on(settings: Settings, db: Database, broken: None) -> None:
    with db.begin() as connection:
        for row in connections.list_all(connection, None):
            now = "2026-01-01T00:00:00+00:00"
            connections.schedule(
                connection, row.id, every_s=3600, cron=None, jitter_s=0, next_run_at=datetime.fromisoformat(now)
            )

    assert [one.connector for one in dispatch(settings, db)] == ["chatgpt"]
