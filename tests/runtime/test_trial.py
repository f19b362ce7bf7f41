"""A trial is paced like a run, heeds refusals, ends in time, keeps nothing and tells no secret."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pdpp_worker import registry
from pdpp_worker.command.connector_user import NoOtherUserError
from pdpp_worker.connector import Check, Context, Reached, Throttled
from pdpp_worker.errors import PdppError, UpstreamError
from pdpp_worker.owner import checking
from pdpp_worker.owner.checking import Finding
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.runtime import trial
from pdpp_worker.runtime.trial import Trial
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from tests.support.scripted import ScriptedConnector, manifest

MANIFEST = manifest(
    "items",
    credentials={"token": {"title": "Token"}},
    settings={"place": {"title": "Place", "default": "here"}},
    pacing={"min_interval_ms": 1},
)
TOKEN = "sk-never-to-be-seen"


@pytest.fixture
def row(settings: Settings) -> ConnectionRow:
    """A connection that is not stored."""
    sealed = Vault(settings).seal(TOKEN, Place("scripted", "new", "token"))
    return checking.draft("new", "scripted", {}, {"token": sealed})


@pytest.fixture
def made(settings: Settings, db: Database, redis: Redis, row: ConnectionRow) -> Trial:
    """A trial of it."""
    return Trial(settings, db, redis, row, MANIFEST)


def asking(context: Context) -> Reached:
    """One request."""
    with context.pace():
        return Reached(holds={"items": 3})


def refused(context: Context) -> Reached:
    """One request, which the provider refuses for the rate."""
    with context.pace():
        raise Throttled("items answered 429", retry_after=datetime.now(UTC) + timedelta(hours=1))


def test_the_check_gets_settings_secrets_and_a_place_for_files_that_is_gone_afterwards(made: Trial) -> None:
    met: list[Any] = []

    def look(context: Context) -> Reached:
        (context.files / "x").write_text("x")
        met.extend([context.settings["place"], context.secret("token").get_secret_value(), context.files])
        return Reached()

    made.run(look)

    assert met[:2] == ["here", TOKEN]
    assert not Path(met[2]).exists()


def test_a_refusal_holds_the_next_trial_without_a_request(made: Trial) -> None:
    with pytest.raises(Throttled):
        made.run(refused)

    with pytest.raises(UpstreamError, match="nothing is asked before"):
        made.run(asking)


def test_a_refusal_of_a_stored_connection_holds_its_workers(
    settings: Settings, db: Database, redis: Redis, row: ConnectionRow
) -> None:
    with db.begin() as connection:
        connections.add(connection, "new", "scripted", {}, row.credentials)
        stored = connections.get(connection, "new")

    with pytest.raises(Throttled):
        Trial(settings, db, redis, stored, MANIFEST).run(refused)

    assert Bucket(redis, stored.id).take(1, 1) > 3000


def test_a_trial_takes_its_turn_in_the_connections_bucket(
    settings: Settings, db: Database, redis: Redis, row: ConnectionRow
) -> None:
    with db.begin() as connection:
        connections.add(connection, "new", "scripted", {}, row.credentials)
        stored = connections.get(connection, "new")
    Bucket(redis, stored.id).hold(3600)

    with pytest.raises(UpstreamError, match="another worker was told to pause"):
        Trial(settings, db, redis, stored, MANIFEST).run(asking)


@pytest.fixture
def never() -> Iterator[Check]:
    """A source that does not answer until the test is over."""
    over = threading.Event()

    def wait(_: Context) -> Reached:
        over.wait()
        return Reached()

    yield wait
    over.set()
    for thread in threading.enumerate():
        if thread.name == "trial":
            thread.join()


def test_a_source_that_never_answers_is_given_up_and_its_thread_counted(
    settings: Settings, db: Database, redis: Redis, row: ConnectionRow, never: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_free", threading.BoundedSemaphore(1))
    made = Trial(settings, db, redis, row, MANIFEST, longest_s=0.05)

    with pytest.raises(UpstreamError, match="no answer within"):
        made.run(never)
    with pytest.raises(PdppError, match="other checks are under way"):
        made.run(asking)


@pytest.mark.parametrize("error", [UpstreamError(f"answered {TOKEN}"), RuntimeError(TOKEN)])
def test_no_outcome_shows_a_secret(
    settings: Settings, db: Database, row: ConnectionRow, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(context: Context) -> Reached:
        context.secret("token")
        raise error

    connector = ScriptedConnector(MANIFEST, "scripted", checks=fail)
    monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})

    found = checking.check(settings, db, row)

    assert found.finding is Finding.REFUSED
    assert TOKEN not in str(found)


def test_a_program_that_may_have_no_user_of_its_own_here_is_not_tried(
    settings: Settings, db: Database, row: ConnectionRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(context: Context) -> Reached:
        raise NoOtherUserError("PDPP_CONNECTOR_USER needs a fleet that may start programs as another user")

    connector = ScriptedConnector(MANIFEST, "scripted", checks=fail)
    monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})

    assert checking.check(settings, db, row).finding is Finding.UNTRIED
