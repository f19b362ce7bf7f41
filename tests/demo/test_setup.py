"""The demonstration takes its accounts from the connectors that bring one."""

from __future__ import annotations

from pathlib import Path

from pdpp_worker import registry
from pdpp_worker.demo.setup import open_demo
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database


def test_every_account_that_a_connector_brings_is_connected_and_due(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    bringing = {one.manifest.name for one in registry.packaged_connectors().values() if one.module("practice.demo")}
    own = settings.model_copy(update={"data_dir": tmp_path})

    with open_demo(own, db) as demo, db.begin() as connection:
        rows = {row.name: row for row in connections.list_all(connection)}

    assert demo.is_first
    assert {one.manifest.name for one in demo.connections} == bringing
    assert {row.connector for row in rows.values()} == bringing
    assert set(rows) == {one.name for one in demo.connections}


def test_a_second_demonstration_goes_on_with_the_same_connections(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path})
    with open_demo(own, db):
        pass

    with open_demo(own, db) as again, db.begin() as connection:
        rows = connections.list_all(connection)

    assert not again.is_first
    assert len(rows) == len(again.connections)
