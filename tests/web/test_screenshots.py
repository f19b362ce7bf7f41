"""The pictures of the console in the documentation, taken of a practice account: `make shots` writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker import registry
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, edits, runs
from pdpp_worker.store.engine import Database
from tests.support.indexing import index_at_once
from tests.support.screenshots import FOLDER, MOST_BYTES, SHOTS, SIZE, shoot
from tests.web.conftest import Running
from tests.web.test_browser import chromium, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["chromium"]
ROOT = FOLDER.parents[1]
TOKEN = "practice"
ACCOUNTS = {"work": 40, "family": 12}
"""Name to how many conversations it has."""
MISSING = 5


@pytest.fixture
def collected(settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Practice accounts that were collected; some conversations of the first fail."""
    monkeypatch.setenv("PRACTICE_TOKEN", TOKEN)
    patient = settings.model_copy(update={"gap_backoff_s": 600.0})
    for seed, (name, conversations) in enumerate(ACCOUNTS.items(), start=7):
        with ProviderProcess(ProviderOptions(seed=seed, conversations=conversations, token=TOKEN)) as provider:
            failing = sorted(one.id for one in provider.account())[:: conversations // MISSING][:MISSING]
            if name == "work":
                provider.set_faults(FaultOptions(status_by_id=dict.fromkeys(failing, 503)))
            collect(patient, db, redis, name, provider)
    index_at_once(db)


def collect(settings: Settings, db: Database, redis: Redis, name: str, provider: ProviderProcess) -> None:
    """Collect an account as a worker does, slice by slice."""
    manifest = registry.get("chatgpt").manifest
    given = {"base_url": provider.base_url}
    streams = [{"name": one.name} for one in manifest.supplied_to(given)]
    with db.begin() as connection:
        id_ = connections.add(connection, name, "chatgpt", given, {"access_token": "env:PRACTICE_TOKEN"})
        edits.set_min_interval(connection, id_, 1.0)
        run_id, _ = runs.create(connection, id_, trigger="manual", streams=streams, version=manifest.version)
    while (done := run_slice(settings, db, redis, run_id, stopping=lambda: False)) is not None and done.status is None:
        pass


@pytest.mark.process
@pytest.mark.skipif("PDPP_SHOTS" not in os.environ, reason="writes into the documentation; `make shots` does it")
def test_the_pictures_are_taken(chromium: Browser, collected: None, running: Running) -> None:
    page = opened(chromium, running, viewport=SIZE, color_scheme="light")

    FOLDER.mkdir(exist_ok=True)
    for name in SHOTS:
        taken = shoot(page, name, "winter")
        assert len(taken) <= MOST_BYTES
        (FOLDER / f"{name}.webp").write_bytes(taken)


def test_the_documentation_shows_the_pictures_that_there_are_and_they_are_small() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    shown = {Path(one).name for page in pages for one in re.findall(r"\]\((\S*screens/\S+)\)", page.read_text())}

    assert shown == {path.name for path in FOLDER.iterdir()} == {f"{name}.webp" for name in SHOTS}
    assert {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.stat().st_size > MOST_BYTES} == {}
