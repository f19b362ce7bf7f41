"""A connector of the profile is added, updated and removed from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdpp_worker.settings import get_settings
from tests.cli.conftest import Cli
from tests.protocol.test_vectors import MANIFESTS


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of the owner's own connectors."""
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path / "own"))
    get_settings.cache_clear()
    yield tmp_path / "own"
    get_settings.cache_clear()


def test_adding_says_what_is_asked_for_where_it_runs_and_what_is_left_out(cli: Cli) -> None:
    result = cli("connector", "add", str(MANIFESTS / "garmin-connect.json"), "--command", "python3 garmin.py")

    for text in (
        "garmin_connect 0.3.0-beta.2",
        "username (secret, optional)",
        "python3 garmin.py",
        "by hand",
        "sleep:",
    ):
        assert text in result.stdout
    assert "a browser of its own" in result.stderr


def test_a_connection_that_may_ask_for_its_owner_is_paused(cli: Cli) -> None:
    cli("connector", "add", str(MANIFESTS / "garmin-connect.json"), "--command", "python3 garmin.py")

    result = cli("connection", "add", "watch", "--connector", "garmin_connect")

    assert "--interactive" in result.stdout
    assert cli.json("connection", "show", "watch")["paused"] is True


def test_a_connector_that_asks_for_nobody_is_not_said_to(cli: Cli, tmp_path: Path) -> None:
    manifest = tmp_path / "pinboard.json"
    given = json.loads((MANIFESTS / "pinboard.json").read_text())
    given["capabilities"]["refresh_policy"] = {"recommended_mode": "manual", "background_safe": True}
    manifest.write_text(json.dumps(given))

    added = cli("connector", "add", str(manifest), "--command", "python3 pinboard.py")
    connected = cli(
        "connection", "add", "marks", "--connector", "pinboard", "--secret", "secret=env:TOKEN", "--as-fleet-user"
    )

    assert "by hand: its manifest asks for that" in added.stdout
    assert "is to be started by hand" in connected.stdout
    assert "--interactive" not in connected.stdout


def test_a_connector_whose_name_is_taken_is_added_under_another(cli: Cli, tmp_path: Path, own: Path) -> None:
    manifest = tmp_path / "slack.json"
    given = json.loads((MANIFESTS / "pinboard.json").read_text())
    manifest.write_text(json.dumps({**given, "connector_key": "slack"}))
    command = ("connector", "add", str(manifest), "--command", "python3 collect.py")

    refused = cli.refusal(*command)
    cli(*command, "--name", "other_slack")
    manifest.write_text(json.dumps({**given, "connector_key": "slack", "version": "0.3.0"}))
    updated = cli("connector", "update", "other_slack")

    assert "--name" in refused
    assert "from 0.2.0 to 0.3.0" in updated.stdout
    assert (own / "other_slack").is_dir()


def test_a_connector_in_use_is_not_removed(cli: Cli, own: Path) -> None:
    cli("connector", "add", str(MANIFESTS / "zotero-local.json"), "--command", "python3 zotero.py")
    cli("connection", "add", "library", "--connector", "zotero_local", "--as-fleet-user")

    refused = cli.refusal("connector", "remove", "zotero_local")
    cli("connection", "remove", "library", "--yes")
    cli("connector", "remove", "zotero_local")

    assert "is used by library" in refused
    assert not (own / "zotero_local").exists()


def test_an_update_tells_from_which_version_to_which(cli: Cli, tmp_path: Path) -> None:
    manifest = tmp_path / "pinboard.json"
    given = json.loads((MANIFESTS / "pinboard.json").read_text())
    manifest.write_text(json.dumps(given))
    cli("connector", "add", str(manifest), "--command", "python3 pinboard.py")
    manifest.write_text(json.dumps({**given, "version": "0.3.0"}))

    assert "from 0.2.0 to 0.3.0" in cli("connector", "update", "pinboard").stdout


def test_an_optional_stream_is_called_so_wherever_its_state_is_told(cli: Cli, tmp_path: Path) -> None:
    given = json.loads((MANIFESTS / "pinboard.json").read_text())
    (tmp_path / "pinboard.json").write_text(json.dumps(given))
    cli("connector", "add", str(tmp_path / "pinboard.json"), "--command", "python3 pinboard.py")
    cli("connection", "add", "marks", "--connector", "pinboard", "--secret", "secret=env:TOKEN", "--as-fleet-user")

    told = {one["stream"]: one["optional"] for one in cli.json("coverage", "marks")}

    assert told == {"bookmarks": False, "tags": True}
    assert all("tags (optional)" in cli(command).stdout for command in ("coverage", "status", "report"))
