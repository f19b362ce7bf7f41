"""The rate of a fleet, proved from the provider's side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.dispatch import request_run
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from tests.support.fleet import beat, worker
from tests.support.waiting import until

CEILING_MS = 150
RESOLUTION_S = 0.08
"""How late a busy machine may write an arrival down. Two workers at once, or a lost ceiling, come far closer."""
RATE = {"PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": str(CEILING_MS), "PDPP_PACING_COLD_START_MS": str(CEILING_MS)}


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    """An account of ninety conversations."""
    with ProviderProcess(ProviderOptions(conversations=90, token="token")) as process:
        yield process


@pytest.fixture
def account(settings: Settings, db: Database, provider: ProviderProcess) -> ConnectionRow:
    """A connection to it."""
    credentials = {"access_token": Vault(settings).seal("token")}
    with db.begin() as connection:
        connection_id = connections.add(connection, "me", "chatgpt", {"base_url": provider.base_url}, credentials)
        return connections.by_id(connection, connection_id)


def one(db: Database, query: str) -> Any:
    with db.begin() as connection:
        return connection.execute(text(query)).scalar()


def ended(db: Database) -> bool:
    return one(db, "SELECT ended_at IS NOT NULL FROM runs ORDER BY id DESC LIMIT 1") is True


def test_the_ceiling_holds_through_killed_workers_and_an_emptied_redis(
    settings: Settings, db: Database, redis: Redis, provider: ProviderProcess, account: ConnectionRow, tmp_path: Path
) -> None:
    request_run(db, account, trigger="manual")

    with beat(settings, tmp_path) as clock:
        members = [worker(settings, tmp_path, f"collect,control,n{number}", **RATE) for number in range(4)]
        running = [member.__enter__() for member in members]
        try:
            for victim in running[:3]:
                sent = provider.stats().requests
                until(partial(has_sent, provider, sent + 10, db), clock)
                redis.flushall()
                holder = next((each for each in running if is_at_it(db, each.process.pid)), victim)
                holder.kill()
            until(lambda: ended(db), clock, *(each for each in running if each.poll() is None))
        finally:
            for member in members:
                member.__exit__(None, None, None)

    gap = provider.stats().smallest_gap_s
    assert gap is not None
    assert gap >= CEILING_MS / 1000 - RESOLUTION_S
    assert one(db, "SELECT status FROM runs") == "succeeded"
    assert one(db, "SELECT count(*) FROM records WHERE stream = 'conversations'") == 90


def has_sent(provider: ProviderProcess, requests: int, db: Database) -> bool:
    """Whether so many requests went out, or the run is over."""
    return provider.stats().requests >= requests or ended(db)


def is_at_it(db: Database, pid: int) -> bool:
    """Whether a process holds the lease."""
    holder: str | None = one(db, "SELECT max(holder) FROM leases WHERE expires_at > now()")
    return holder is not None and holder.endswith(f":{pid}")


def test_a_refusal_is_remembered_at_once(
    settings: Settings, db: Database, provider: ProviderProcess, account: ConnectionRow, tmp_path: Path
) -> None:
    provider.set_quota(QuotaOptions(model="bucket", rate_per_s=2, burst=3))
    request_run(db, account, trigger="manual")

    with worker(settings, tmp_path, "collect,control", **RATE) as member, beat(settings, tmp_path) as clock:
        until(lambda: one(db, "SELECT state -> 'back_off' ->> 'why' FROM rate_states") == "rate_limited", member, clock)
        member.kill()

    learned = one(db, "SELECT state FROM rate_states")
    assert learned["law"]["shared"]["refused_ago"]
    assert datetime.fromisoformat(learned["back_off"]["at"]) < datetime.now(UTC)
    assert provider.stats().most_refusals_in_60_s <= 2
