"""The owner's own connectors are folders with a manifest; one that is wrong is named and stops no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import get_settings
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of the owner's own connectors."""
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def write(directory: Path, folder: str, **fields: Any) -> None:
    """Write the manifest of a connector."""
    (directory / folder).mkdir(exist_ok=True)
    base = {"name": folder, "version": "1.0", "title": "Mine", "command": ["./mine"], "streams": [{"name": "items"}]}
    (directory / folder / "manifest.json").write_text(json.dumps({**base, **fields}))


def test_a_new_one_is_found_without_a_restart(directory: Path) -> None:
    assert "mine" not in registry.all_connectors()

    write(directory, "mine")

    assert callable(registry.get("mine").load())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"version": "newest"}, "is not a PEP 440 version"),
        ({"command": None}, "names no command"),
        ({"command": []}, "command: List should have at least 1 item"),
        ({"name": "chatgpt"}, "Two connectors are named chatgpt: connectors.chatgpt and "),
        ({"name": "other"}, "Two connectors are named other: "),
        ({"credentials": {"token": {"title": "Token"}}}, "token needs env, the variable in which the command finds it"),
    ],
)
def test_one_that_is_refused_says_why_and_stops_no_other(directory: Path, fields: dict[str, Any], why: str) -> None:
    write(directory, "another", name="other")
    write(directory, "mine", **fields)

    assert "other" in registry.all_connectors()
    with pytest.raises(ConfigurationError) as caught:
        registry.get("mine")
    assert why in str(caught.value)


def test_the_list_of_connectors_names_those_that_are_refused(
    cli: Cli, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(directory, "good")
    write(directory, "mine", version="newest")

    result = cli("connectors")

    assert "good" in result.stdout
    assert "is not a PEP 440 version" in result.stderr


def test_two_secrets_do_not_share_a_variable() -> None:
    shared = {"title": "One", "env": "ONE"}
    fields = {"name": "mine", "version": "1.0", "title": "Mine", "command": ["x"], "streams": [{"name": "items"}]}

    with pytest.raises(ValueError, match="share an env"):
        Manifest.model_validate({**fields, "credentials": {"a": shared}, "settings": {"b": shared}})
