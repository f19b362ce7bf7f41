"""Credentials of a tap stand in no file of the disk, so that they outlive no kill."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

from pdpp_worker.singer.tables import _discover
from pdpp_worker.singer.tap import Tap
from tests.singer.test_silence_and_change import SCRIPT, catalog, row

SECRET = "hush-hush-hush"

pytestmark = pytest.mark.process


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs put their temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_while_a_tap_runs_nothing_of_its_files_is_on_the_disk(disk: Path) -> None:
    script = disk.parent / "script.json"
    script.write_text(json.dumps([row("a", id=1), {"sleep": 60}]))
    files = {"config": {"script": str(script), "token": SECRET}, "catalog": catalog("a"), "state": {"b": 1}}

    with Tap([sys.executable, str(SCRIPT)], files, on_log=lambda: None) as tap:
        first = next(tap.lines())

        assert json.loads(first)["record"] == {"id": 1}
        assert list(disk.iterdir()) == []


def test_nor_while_it_is_asked_for_its_tables(disk: Path) -> None:
    script = disk.parent / "tables.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "config = json.loads(pathlib.Path(sys.argv[2]).read_text())\n"
        "left = [path.name for path in pathlib.Path(config['disk']).iterdir()]\n"
        "print(json.dumps({'streams': [{'tap_stream_id': str(left)}]}))\n"
    )

    assert _discover([sys.executable, str(script)], {"disk": str(disk), "token": SECRET}) == {"[]"}
