"""A manifest that is broken in any way stops no command, and is refused under the name of its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdpp_worker import registry
from pdpp_worker.added import added_connectors
from pdpp_worker.added.added_program import find_program
from pdpp_worker.settings import get_settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli
from tests.protocol.test_vectors import MANIFESTS
from tests.support.mutations import mutated

ROOT = Path(__file__).parents[2]
IS_LONG = settings().max_examples > 100
BROKEN = {
    "deep": b"[" * 100_000,
    "digits": b'{"name": ' + b"9" * 5_000 + b"}",
    "text": b"\xff\xfe{}",
    "half": b'{"name": "\\ud800", "connector_id": "\\ud800"}',
    "bare": b"null",
    "empty": b"",
    "infinite": b'{"name": "infinite", "version": "1", "title": "x", "streams": Infinity}',
}


def valid() -> list[dict[str, Any]]:
    """Manifests in our form, each with a command, and in the profile's form."""
    own = [*ROOT.glob("connectors/*/manifest.json"), *ROOT.glob("tests/subprocess/*/manifest.json")]
    found = [{"command": ["python3", "x.py"], **json.loads(path.read_bytes())} for path in sorted(own)]
    return [*found, *(json.loads(path.read_bytes()) for path in sorted(MANIFESTS.glob("*.json")))]


VALID = valid()


def laid(folder: Path, content: bytes) -> Path:
    """A folder of the owner's own connectors with this manifest, and its program where it is in the profile's form."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.json"
    path.write_bytes(content)
    if added_connectors.is_added(path):
        find_program(path, ["python3", "x.py"], []).write(folder)
    return path


def changed(seed: int) -> bytes:
    """A valid manifest with one to three places changed."""
    rng = Random(seed)
    broken = mutated(rng, rng.choice(VALID), rng.choice((1, 1, 2, 3)))
    return json.dumps(broken).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3_000 if IS_LONG else 120)
@given(st.integers(0, 2**32))
def test_a_changed_manifest_is_taken_or_refused_in_a_sentence(tmp_path: Path, seed: int) -> None:
    path = laid(tmp_path / "one", changed(seed))

    found = registry._own_connector(path, seed)

    if isinstance(found, registry._Refused):
        assert found.name == "one"
        assert str(path) in found.why


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, db: Database) -> Iterator[Path]:
    """Folders with broken manifests, changed ones, and one that is right; each with a connection of its name."""
    own = tmp_path / "own"
    for name, content in BROKEN.items():
        laid(own / name, content)
    for number in range(30):
        laid(own / f"changed-{number}", changed(number))
    (own / "folder" / "manifest.json").mkdir(parents=True)
    (own / "link").mkdir()
    (own / "link" / "manifest.json").symlink_to(own / "nowhere")
    right = {"name": "right", "version": "1.0", "title": "Right", "command": ["python3", "x.py"]}
    laid(own / "right", json.dumps({**right, "streams": [{"name": "items"}]}).encode())
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(own))
    get_settings.cache_clear()
    with db.begin() as connection:
        for name in (*registry.all_connectors(), *BROKEN):
            connections.add(connection, f"of-{name}"[:60], name, {}, {})
    yield own
    get_settings.cache_clear()


def test_every_command_goes_on_and_names_what_is_refused(cli: Cli, many: Path) -> None:
    listed = cli("connectors")
    refused = registry.refused_connectors()

    assert listed.exit_code == 0
    assert {*BROKEN, "folder"} <= refused.keys()
    assert "right" in registry.all_connectors()
    for command in ("status", "doctor"):
        cli(command)
