"""A browser profile, and an owner who signs in with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from pdpp_worker.browser import launch
from pdpp_worker.browser.profile import end_orphans
from pdpp_worker.store.connections import ConnectionRow
from tests.support.waiting import until

needs_browser = pytest.mark.skipif(
    not any(map(shutil.which, launch.PROGRAMS)), reason="no Chromium or Chrome is installed"
)


def row(name: str = "me", connection_id: int = 1) -> ConnectionRow:
    """A connection as far as its browser profile is concerned."""
    return ConnectionRow(connection_id, name, "chatgpt", {}, {}, None, datetime.now(UTC))


def windowless_browser(directory: Path) -> Path:
    """A browser that needs no display, and lets the test act as the person in front of it."""
    real = next(filter(None, map(shutil.which, launch.PROGRAMS)))
    script = directory / "browser.sh"
    script.write_text(f'#!/bin/sh\nexec "{real}" --headless --remote-debugging-port=0 "$@"\n')
    script.chmod(0o755)
    return script


def in_the_window(profile: Path, act: Callable[[str], None]) -> None:
    """Press the page's button in the window that has the profile open, then close the window."""
    port = profile / "DevToolsActivePort"
    try:
        until(lambda: port.exists() and port.read_text().strip())
        with sync_playwright() as driver:
            browser = driver.chromium.connect_over_cdp(f"http://127.0.0.1:{port.read_text().split()[0]}")
            [page] = browser.contexts[0].pages
            page.wait_for_selector("button")
            act(page.url)
            with page.expect_navigation():
                page.click("button")
            browser.new_browser_cdp_session().send("Browser.close")
    except BaseException:
        end_orphans(profile)
        raise
