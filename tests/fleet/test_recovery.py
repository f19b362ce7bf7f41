"""Recovery by real workers: nothing is fetched twice, and a kill leaves every gap closed with its record, or open."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.protocol.scope import ResourceScope, scope_hash
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.fleet.test_fleet import call, ended, one
from tests.support.fleet import beat, worker
from tests.support.waiting import until

OPTIONS = ProviderOptions(conversations=60, token="token")
PACE = {"PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": "30", "PDPP_PACING_COLD_START_MS": "30", "PDPP_BATCH_S": "0.1"}
_MISSING = text("""
    INSERT INTO gaps (connection_id, stream, parent_stream, scope, scope_hash, reason, recovery_kind, first_run_id,
        last_run_id, next_attempt_at, connector_version_seen)
    VALUES (:connection_id, 'messages', 'conversations', CAST(:scope AS jsonb), :hash, 'timed_out', 'retry_by_runtime',
        0, 0, now(), '1.0.0')
""")


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    """An account of sixty conversations."""
    with ProviderProcess(OPTIONS) as process:
        yield process


@pytest.fixture
def missing(settings: Settings, db: Database, provider: ProviderProcess) -> list[str]:
    """All of them are missing and due."""
    account = Account(OPTIONS.seed, OPTIONS.conversations)
    ids = [conversation.id for conversation in account if not conversation.is_of_team]
    credentials = {"access_token": Vault(settings).seal("token")}
    with db.begin() as connection:
        mine = connections.add(connection, "me", "chatgpt", {"base_url": provider.base_url}, credentials)
        for name in ids:
            scope = ResourceScope(resource_id=name)
            connection.execute(
                _MISSING, {"connection_id": mine, "scope": scope.model_dump_json(), "hash": scope_hash(scope)}
            )
    return ids


def asked(provider: ProviderProcess) -> Counter[str]:
    """How often each conversation was asked for."""
    return Counter(entry.conversation_id for entry in provider.log() if entry.conversation_id is not None)


def has_asked_for(provider: ProviderProcess, conversations: int) -> bool:
    """Whether so many conversations were asked for."""
    return len(asked(provider)) >= conversations


def is_mended(db: Database) -> bool:
    """Whether nothing is missing any more, and the run that saw to it is over."""
    return one(db, "SELECT count(*) FROM gaps WHERE closed_at IS NULL") == 0 and ended(db)


def open_without_record(db: Database) -> int:
    """Closed gaps whose conversation is not held; one without messages has none to recover."""
    query = """
        SELECT count(*) FROM gaps WHERE status NOT IN ('open', 'recovered', 'absent_upstream') OR (
            status <> 'open' AND NOT EXISTS (
                SELECT 1 FROM records WHERE stream = 'conversations' AND key = gaps.scope ->> 'resource_id'))
    """
    return int(one(db, query))


def test_two_sweeps_and_an_owner_at_once_fetch_nothing_twice(
    settings: Settings, db: Database, provider: ProviderProcess, missing: list[str], tmp_path: Path
) -> None:
    with (
        worker(settings, tmp_path, "collect,control,a", **PACE) as first,
        worker(settings, tmp_path, "collect,control,b", **PACE) as second,
    ):
        calls = [
            ("pdpp.sweep.transient", "{}"),
            ("pdpp.sweep.transient", "{}"),
            ("pdpp.recover", '{"connection": "me"}'),
        ]
        together = [threading.Thread(target=call, args=(settings, *each)) for each in calls]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
        until(lambda: is_mended(db), first, second)

    assert asked(provider) == dict.fromkeys(missing, 1)


def test_a_kill_half_way_leaves_every_gap_closed_with_its_record_or_open(
    settings: Settings, db: Database, provider: ProviderProcess, missing: list[str], tmp_path: Path
) -> None:
    with beat(settings, tmp_path) as clock:
        for enough in (10, 30):
            with worker(settings, tmp_path, "collect,control", **PACE) as member:
                until(partial(has_asked_for, provider, enough), member, clock)
                member.kill()
            assert open_without_record(db) == 0
        with worker(settings, tmp_path, "collect,control", **PACE) as member:
            until(lambda: is_mended(db), member, clock)

    assert open_without_record(db) == 0
    assert asked(provider).keys() == set(missing)
    assert one(db, "SELECT count(*) FROM records WHERE stream = 'conversations'") == len(missing)
