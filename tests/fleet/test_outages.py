"""Servers that fall silent: what a worker says, that it goes on afterwards, and that it ends when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.dispatch import request_run
from pdpp_worker.local.supervisor import GRACE_S
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.support.fleet import beat, worker
from tests.support.swallowing import SwallowingProxy
from tests.support.waiting import until

CONNECTIONS = 4
PACE = {"PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": "100", "PDPP_PACING_COLD_START_MS": "100"}


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    with ProviderProcess(ProviderOptions(conversations=500, token="token")) as process:
        yield process


@pytest.fixture
def proxy(db: Database) -> Iterator[SwallowingProxy]:
    with SwallowingProxy(db.engine.url) as proxy:
        yield proxy


@pytest.fixture
def far(settings: Settings, db: Database, proxy: SwallowingProxy) -> Settings:
    """The settings of a worker whose way to the database can be cut."""
    url = db.engine.url.set(host="127.0.0.1", port=proxy.port, query={})
    return settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


def start_runs(settings: Settings, db: Database, provider: ProviderProcess) -> None:
    credentials = {"access_token": Vault(settings).seal("token")}
    for number in range(CONNECTIONS):
        with db.begin() as connection:
            values = {"base_url": provider.base_url}
            connection_id = connections.add(connection, f"me {number}", "chatgpt", values, credentials)
            row = connections.by_id(connection, connection_id)
        request_run(db, row, trigger="manual")


def all_at_work(db: Database) -> bool:
    query = text("SELECT count(*) FROM runs WHERE status = 'running' AND spent_requests > 2")
    with db.begin() as connection:
        return int(connection.execute(query).scalar_one()) == CONNECTIONS


def test_a_worker_ends_when_told_to_though_its_database_swallows_everything(
    far: Settings, db: Database, proxy: SwallowingProxy, provider: ProviderProcess, tmp_path: Path
) -> None:
    start_runs(far, db, provider)
    with worker(far, tmp_path, "control,collect", **PACE) as member:
        until(lambda: all_at_work(db), member)
        proxy.swallow()

        member.process.terminate()

        member.process.wait(GRACE_S)


def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    far: Settings, db: Database, proxy: SwallowingProxy, provider: ProviderProcess, tmp_path: Path
) -> None:
    start_runs(far, db, provider)
    with worker(far, tmp_path, "control,collect", **PACE) as member, beat(far, tmp_path) as clock:
        until(lambda: all_at_work(db), member, clock)
        proxy.swallow()
        member.wait_for("PostgreSQL cannot be reached")
        proxy.forward()
        member.wait_for("PostgreSQL answers again")

    assert member.log.count("PostgreSQL cannot be reached") == member.log.count("PostgreSQL answers again") == 1
    assert "Traceback" not in member.log
