"""A run goes from slice to slice by bells of its own: the dispatcher looks when a worker starts, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.dispatch import request_run
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from tests.fleet.test_rate import ended, one
from tests.support.fleet import worker
from tests.support.waiting import until

CONVERSATIONS = 8
FAST = {
    "PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": "100",
    "PDPP_PACING_COLD_START_MS": "100",
    "PDPP_SLICE_S": "0.3",
    "PDPP_BATCH_S": "0.1",
}


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    with ProviderProcess(ProviderOptions(conversations=CONVERSATIONS, token="token")) as process:
        yield process


@pytest.fixture
def alone(settings: Settings) -> Settings:
    """Nobody comes by who could find a run that waits."""
    return settings.model_copy(update={"dispatch_every_s": 86_400.0})


@pytest.fixture
def account(alone: Settings, db: Database, provider: ProviderProcess) -> ConnectionRow:
    credentials = {"access_token": Vault(alone).seal("token")}
    with db.begin() as connection:
        connection_id = connections.add(connection, "me", "chatgpt", {"base_url": provider.base_url}, credentials)
        return connections.by_id(connection, connection_id)


def test_a_slice_that_has_had_its_time_is_followed_by_the_next(
    alone: Settings, db: Database, account: ConnectionRow, tmp_path: Path
) -> None:
    request_run(db, account, trigger="manual")

    with worker(alone, tmp_path, "control,collect", **FAST) as member:
        until(lambda: ended(db), member)

    assert one(db, "SELECT slices > 1 AND status = 'succeeded' FROM runs")


def test_a_run_that_pauses_longer_than_a_slice_goes_on_when_the_pause_is_over(
    alone: Settings, db: Database, provider: ProviderProcess, account: ConnectionRow, tmp_path: Path
) -> None:
    provider.set_quota(QuotaOptions(model="bucket", rate_per_s=0.5, burst=4, retry_after="seconds"))
    request_run(db, account, trigger="manual")
    went_on = """
        SELECT 1 FROM events AS pause JOIN events AS next ON next.id > pause.id
        WHERE pause.type = 'slice_ended' AND pause.data ? 'not_before' AND next.type = 'slice_started'
    """

    with worker(alone, tmp_path, "control,collect", **FAST) as member:
        until(lambda: one(db, went_on), member)


def test_a_worker_that_starts_finds_what_the_last_one_left(
    alone: Settings, db: Database, provider: ProviderProcess, account: ConnectionRow, tmp_path: Path
) -> None:
    request_run(db, account, trigger="manual")
    with worker(alone, tmp_path, "control,collect", **FAST) as first:
        until(lambda: provider.stats().requests >= 2, first)
        first.process.terminate()
        until(lambda: first.poll() is not None)

    with worker(alone, tmp_path, "control,collect", **FAST) as second:
        until(lambda: ended(db), second)

    assert one(db, "SELECT status FROM runs") == "succeeded"
