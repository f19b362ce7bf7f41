"""`connection login`, the account that is collected with what the owner left there, and what is said otherwise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import text

from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.browser import launch
from pdpp_worker.browser.profile import profile_dir
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli, cli
from tests.support.browser import in_the_window, needs_browser, windowless_browser

pytestmark = pytest.mark.process  # starts processes itself

__all__ = ["cli"]


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    with ProviderProcess(ProviderOptions(conversations=6)) as running:
        yield running


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A display, as far as anybody can tell."""
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PDPP_BROWSER", str(windowless_browser(tmp_path)))
    get_settings.cache_clear()


def add(cli: Cli, provider: ProviderProcess) -> None:
    """The connection `me`, through the browser."""
    settings = ("--set", f"base_url={provider.base_url}", "--set", "reach=browser", "--min-interval-ms", "1")
    cli.ok("connection", "add", "me", "--connector", "chatgpt", *settings)


def collect(settings: Settings, db: Database, redis: Redis, cli: Cli) -> str:
    """One run of `me`; its status."""
    cli("run", "me", "--no-wait")
    with db.begin() as connection:
        run_id = int(connection.execute(text("SELECT max(id) FROM runs")).scalar_one())
    while (done := run_slice(settings, db, redis, run_id, stopping=lambda: False)) is None or done.status is None:
        assert done is not None
    return str(done.status)


@needs_browser
@pytest.mark.usefixtures("window")
def test_the_owner_signs_in_once_and_the_account_is_collected(
    cli: Cli, settings: Settings, db: Database, redis: Redis, provider: ProviderProcess
) -> None:
    add(cli, provider)
    assert collect(settings, db, redis, cli) == "failed"
    [gap] = cli.json_lines("gaps", "me", "--limit", "1")
    assert (gap["reason"], gap["who_acts"]) == ("credentials_expired", "you: sign in")
    assert "pdpp-worker connection login" in gap["last_error"]

    with db.begin() as connection:
        directory = profile_dir(settings, connections.get(connection, "me"))
    visited: list[str] = []
    owner = threading.Thread(target=in_the_window, args=(directory, visited.append))
    owner.start()
    said = cli.ok("connection", "login", "me")
    owner.join()

    assert visited == [f"{provider.url}/auth/login"]
    assert "due now" in said
    assert collect(settings, db, redis, cli) == "succeeded"
    assert [one["records"] for one in cli.json("status") if one["stream"] == "conversations"] == [6]
    assert list(cli.json_lines("gaps", "me")) == []
    assert provider.options.token not in cli.printed
    with db.begin() as connection:
        events = str(connection.execute(text("SELECT array_agg(data) FROM events")).scalar())
    assert provider.options.token not in events

    cli.ok("connection", "remove", "me", "--yes")
    assert not directory.exists()


@needs_browser
def test_a_bot_check_is_a_gap_that_tells_the_owner_what_to_do(
    cli: Cli, settings: Settings, db: Database, redis: Redis, provider: ProviderProcess
) -> None:
    provider.set_faults(FaultOptions(challenge_share=1.0))
    add(cli, provider)

    collect(settings, db, redis, cli)

    gaps = cli.json_lines("gaps", "me")
    assert {gap["reason"] for gap in gaps} == {"challenged"}
    assert all("connection login" in gap["last_error"] for gap in gaps)
    assert provider.stats().requests == 1


def test_without_a_display_it_says_so(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PDPP_BROWSER", str(program))
    get_settings.cache_clear()
    cli.ok("connection", "add", "me", "--connector", "chatgpt", "--no-check")

    assert "there is no display" in cli.refusal("connection", "login", "me")


def test_a_connector_without_a_browser_says_so(cli: Cli) -> None:
    cli.ok("connection", "add", "me", "--connector", "claude_code")

    assert "does not go through a browser" in cli.refusal("connection", "login", "me")


def test_a_road_that_there_is_not_is_refused_with_those_that_there_are(cli: Cli) -> None:
    said = cli.refusal("connection", "add", "me", "--connector", "chatgpt", "--set", "reach=pigeon")

    assert "it must be one of http, browser" in said


def test_an_archive_that_is_not_there_is_refused(cli: Cli, tmp_path: Path) -> None:
    said = cli.refusal("connection", "add", "me", "--connector", "chatgpt", "--set", f"archive={tmp_path}/export.zip")

    assert "a file or folder that is there" in said


def test_a_missing_browser_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="PDPP_BROWSER"):
        launch.executable(Settings(data_dir=tmp_path))
    with pytest.raises(ConfigurationError, match="no program"):
        launch.executable(Settings(data_dir=tmp_path, browser="nothing-like-it"))


def test_a_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launch, "find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"pdpp-worker\[browser\]"):
        launch.require(Settings(data_dir=tmp_path))


def test_a_browser_sees_no_secret_of_the_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHATGPT_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere")

    seen = Settings(data_dir=tmp_path).browser_environment()

    assert "secret" not in seen.values()
    assert not {name for name in seen if name.startswith("PDPP_") or "PROXY" in name.upper()}
