"""Connectors in the profile's form are taken as they are, updated and removed; what cannot be mapped is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker import registry
from pdpp_worker.added import added_connectors as connectors
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.settings import get_settings
from tests.protocol.test_vectors import MANIFESTS

PINBOARD = MANIFESTS / "pinboard.json"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of the owner's own connectors."""
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path / "own"))
    get_settings.cache_clear()
    yield tmp_path / "own"
    get_settings.cache_clear()


def add(own: Path, path: Path = PINBOARD, *command: str, taken: tuple[str, ...] = ()) -> connectors.Added:
    """Add a connector, with a program that is on every machine."""
    return connectors.add(path, connectors.Asked(command or ["python3", "pinboard.py"]), own, taken)


def changed(folder: Path, **fields: Any) -> Path:
    """A copy of a manifest with other members."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pinboard.json"
    path.write_text(json.dumps({**json.loads(PINBOARD.read_text()), **fields}))
    return path


def test_an_added_connector_is_there_at_once_and_its_manifest_as_it_came(own: Path) -> None:
    added = add(own)

    found = registry.get("pinboard")
    assert found.manifest == added.manifest
    assert (own / "pinboard" / "manifest.json").read_bytes() == PINBOARD.read_bytes()


def test_the_program_of_a_reference_connector_is_found_beside_its_manifest(own: Path, tmp_path: Path) -> None:
    manifest = changed(tmp_path / "reference" / "manifests")
    entry = tmp_path / "reference" / "connectors" / "pinboard" / "index.ts"
    entry.parent.mkdir(parents=True)
    entry.touch()

    added = connectors.add(manifest, connectors.Asked(), own, [])

    assert added.program.command == ["node", "--import", "tsx", str(entry)]
    assert added.program.folder == str(tmp_path / "reference")


def test_without_a_program_it_is_not_taken(own: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name it with --command"):
        connectors.add(changed(tmp_path / "alone"), connectors.Asked(), own, [])

    assert not own.exists()


@pytest.mark.parametrize("taken", [(), ("pinboard",)])
def test_a_name_is_given_once(own: Path, taken: tuple[str, ...]) -> None:
    if not taken:
        add(own)

    with pytest.raises(ConfigurationError, match=r"There is a(nother)? connector pinboard"):
        add(own, taken=taken)


def test_an_update_takes_what_changed_and_keeps_the_program(own: Path, tmp_path: Path) -> None:
    manifest = changed(tmp_path / "source")
    add(own, manifest)
    changed(tmp_path / "source", version="0.3.0")

    updated = connectors.update("pinboard", None, [], [], own)

    assert updated.before is not None
    assert (updated.before.version, updated.manifest.version) == ("0.2.0", "0.3.0")
    assert registry.get("pinboard").manifest.command == ["python3", "pinboard.py"]


def test_an_update_of_another_connector_is_refused(own: Path, tmp_path: Path) -> None:
    add(own)

    with pytest.raises(ConfigurationError, match="is the manifest of other, not of pinboard"):
        connectors.update("pinboard", changed(tmp_path / "other", connector_key="other"), ["x"], [], own)


def test_what_was_not_added_is_not_removed(own: Path) -> None:
    own.mkdir()
    (own / "mine").mkdir()

    with pytest.raises(NotFoundError):
        connectors.remove("mine", own)

    add(own)
    connectors.remove("pinboard", own)
    assert not (own / "pinboard").exists()


def test_one_that_lies_there_without_having_been_added_says_what_to_do(own: Path) -> None:
    (own / "pinboard").mkdir(parents=True)
    (own / "pinboard" / "manifest.json").write_bytes(PINBOARD.read_bytes())

    assert "connector add" in registry.refused_connectors()["pinboard"]
