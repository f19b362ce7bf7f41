"""A newcomer adds an account, mends its token, watches, finds a message, and gets what was missing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from sqlalchemy import text

from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.web.web_server import running_link
from tests.cli.test_processes import PROGRAM
from tests.support.fleet import ROOT, environment
from tests.support.waiting import PATIENCE_S, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if TYPE_CHECKING:
    from playwright.sync_api import Page

TOKEN = "the-right-one"
PATIENCE_MS = 1000 * PATIENCE_S
ENDED_AND_INDEXED = """
    SELECT (NOT EXISTS (SELECT FROM runs WHERE ended_at IS NULL) AND NOT EXISTS (SELECT FROM index_queue)
        AND EXISTS (SELECT FROM record_index))::int
"""
FLEET = {
    "PDPP_WEB_PORT": "0",
    "PDPP_INDEX_EVERY_S": "1",
    "PDPP_CHATGPT_PACING_MIN_INTERVAL_MS": "1",
    # What is missing waits for the owner's word in this test.
    "PDPP_GAP_BACKOFF_S": "3600",
}


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    """A platform with a few conversations, which lets one token in and fails to open one of them."""
    with ProviderProcess(ProviderOptions(seed=7, conversations=6, token=TOKEN)) as running:
        missing = sorted(one.id for one in running.account())[2]
        running.set_faults(FaultOptions(status_by_id={missing: 503}))
        yield running


@pytest.fixture
def page(settings: Settings, redis: Redis, tmp_path: Path) -> Iterator[Page]:
    """A browser at the link that `up` prints, while the fleet runs."""
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        fleet = subprocess.Popen(
            [*PROGRAM, "up"], env=environment(settings, **FLEET), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: "Ctrl-C" in log.read_text(), fleet)
        [link] = re.findall(r"http://127\S+/enter\S+", log.read_text())
        # `web --link` knows the console before anybody came to it and started it.
        assert running_link(settings).startswith(link.partition("?")[0])
        with playwright.sync_playwright() as started:
            # As root, Chromium has no sandbox.
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            with closing(started.chromium.launch(executable_path=CHROMIUM, args=arguments)) as browser:
                opened = browser.new_page()
                opened.set_default_timeout(PATIENCE_MS)
                opened.goto(link)
                yield opened
    finally:
        fleet.send_signal(signal.SIGTERM)
        fleet.wait(PATIENCE_S)


def number(db: Database, query: str) -> int:
    """The number that answers a query."""
    with db.begin() as connection:
        return int(connection.execute(text(query)).scalar_one())


def a_word(db: Database, conversation: str) -> str:
    """A long word of a message of a conversation."""
    query = "SELECT data ->> 'content' FROM records WHERE stream = 'messages' AND data ->> 'conversation_id' = :id"
    with db.begin() as connection:
        texts = [one or "" for one in connection.execute(text(query), {"id": conversation}).scalars()]
    words: list[str] = re.findall(r"[a-z]+", " ".join(texts))
    return max(words, key=len)


def search(page: Page, word: str) -> None:
    """Look for a word in everything."""
    page.get_by_role("link", name="Records").first.click()
    page.get_by_label("words").fill(word)
    page.get_by_role("button", name="Search").click()


def test_an_account_is_added_mended_watched_searched_and_made_whole(
    page: Page, provider: ProviderProcess, db: Database
) -> None:
    expect = playwright.expect
    expect.set_options(timeout=PATIENCE_MS)
    missing = sorted(one.id for one in provider.account())[2]

    # Adds an account, and sees it fail for a wrong token before anything is saved.
    page.get_by_role("link", name="Add a connection").click()
    page.get_by_role("link", name="ChatGPT").click()
    page.get_by_label("A name of your choice").fill("mine")
    page.get_by_label("Address of the API").fill(provider.base_url)
    page.get_by_label("Access token of the web session").fill("a-wrong-one")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="It does not work")).to_be_visible()
    assert number(db, "SELECT count(*) FROM connections") == 0

    # Mends it.
    page.get_by_label("Access token of the web session").fill(TOKEN)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", name="It works")).to_be_visible()
    assert number(db, "SELECT count(*) FROM connections") == 0
    page.get_by_role("button", name="Add", exact=True).click()

    # Watches the first run: the page changes by itself.
    page.get_by_role("link", name="Home").first.click()
    expect(page.get_by_role("article")).to_contain_text("mine")
    expect(page.get_by_role("article")).to_contain_text("partially completed")

    # Finds one message by a word in it.
    until(lambda: number(db, ENDED_AND_INDEXED))
    read = next(one.id for one in provider.account() if one.id != missing)
    word = a_word(db, read)
    search(page, word)
    page.locator(".hits a").first.click()
    expect(page.locator("main")).to_contain_text(word)

    # Sees why another is missing, and recovers it.
    page.get_by_role("link", name="Gaps").first.click()
    gap_id = number(db, "SELECT id FROM gaps WHERE stream = 'messages' AND closed_at IS NULL")
    page.get_by_role("link", name=str(gap_id), exact=True).click()
    expect(page.locator("main")).to_contain_text("503")
    provider.set_faults(FaultOptions())
    page.get_by_role("button", name="Fetch it now").click()
    until(lambda: number(db, f"SELECT count(*) FROM gaps WHERE id = {gap_id} AND status = 'recovered'"))  # noqa: S608
    until(lambda: number(db, ENDED_AND_INDEXED))
    search(page, a_word(db, missing))
    expect(page.locator(".hits a").first).to_be_visible()
