"""A worker that is told to stop keeps what it has, frees its leases, and is gone in a few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.dispatch import request_run
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.fleet.test_rate import one
from tests.support.fleet import celery
from tests.support.waiting import until

SLICES = 16
GRACE_S = 60.0
"""More than the stop takes on a busy machine, and less than the provider takes for an answer."""
NEVER_SOON_S = 600.0


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    with ProviderProcess(ProviderOptions(conversations=2000, token="token")) as process:
        yield process


def test_sixteen_slices_that_wait_for_answers_end_with_all_that_they_have(
    settings: Settings, db: Database, provider: ProviderProcess, tmp_path: Path
) -> None:
    credentials = {"access_token": Vault(settings).seal("token")}
    for number in range(SLICES):
        with db.begin() as connection:
            values = {"base_url": provider.base_url}
            row = connections.by_id(
                connection, connections.add(connection, f"{number}", "chatgpt", values, credentials)
            )
        request_run(db, row, trigger="manual")
    options = ("worker", "-Q", "control,collect", "-P", "threads", "-c", str(SLICES), "-l", "INFO")
    slow = {"PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": "200", "PDPP_HTTP_TIMEOUT_S": str(NEVER_SOON_S)}

    with celery(settings, tmp_path, *options, **slow) as member:
        until(lambda: one(db, "SELECT count(*) FROM runs WHERE spent_requests > 2") == SLICES, member)
        sent = provider.stats().requests
        provider.set_faults(FaultOptions(slow_share=1.0, slow_s=NEVER_SOON_S))
        until(lambda: provider.stats().requests >= sent + SLICES, member)
        member.process.terminate()
        status = member.process.wait(GRACE_S)

    assert status == 0
    assert one(db, "SELECT count(*) FROM leases WHERE expires_at > clock_timestamp()") == 0
    assert (
        one(db, "SELECT count(*) FROM runs WHERE died_slices = 0 AND ended_at IS NULL AND wait_reason IS NULL")
        == SLICES
    )
    assert one(db, "SELECT count(*) FROM gaps") == 0, "an answer that was not waited for is no miss"
    assert "Traceback" not in member.log
