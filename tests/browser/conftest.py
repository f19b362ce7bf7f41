"""A browser on a profile of the test's own, and a site for it to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pdpp_worker.browser.browser import Browser
from pdpp_worker.browser.browser_transport import BrowserTransport
from pdpp_worker.settings import Settings
from tests.browser.site import Site
from tests.support.browser import row
from tests.support.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data directory; no servers."""
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def browser(own_settings: Settings) -> Iterator[Browser]:
    running = Browser(own_settings, row())
    yield running
    running.close()


@pytest.fixture
def client(browser: Browser, site: Site) -> Iterator[httpx.Client]:
    with through(browser, site.url) as made:
        yield made


def through(browser: Browser, url: str, timeout_s: float = PATIENCE_S) -> httpx.Client:
    """A client whose requests go through the browser."""
    return httpx.Client(transport=BrowserTransport(browser), base_url=url, timeout=timeout_s)


def profile_of(settings: Settings) -> Path:
    return settings.data_dir / "browser" / "1-me"
