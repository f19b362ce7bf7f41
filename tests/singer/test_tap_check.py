"""A tap is asked for its tables before its first run, with the connection's settings and credentials."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pdpp_worker.owner import checking
from pdpp_worker.owner.checking import Checked, Finding
from pdpp_worker.store import connections
from tests.singer.conftest import Taps
from tests.singer.test_silence_and_change import catalog

SECRET = "a-secret-of-the-tap"
TAP = [sys.executable, str(Path(__file__).parent / "tap_script.py")]


def checked(taps: Taps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str) -> Checked:
    """The outcome for a tap that prints this when it is asked for its tables."""
    tables = tmp_path / "tables"
    tables.write_text(printed)
    taps.connect(TAP, {"tables": str(tables), "api_key": SECRET}, catalog("a"), ["a"])
    monkeypatch.setenv("TAP_KEY", SECRET)
    taps.configure(credentials=json.dumps({"api_key": "env:TAP_KEY"}))
    with taps.db.begin() as connection:
        row = connections.get(connection, "mine")
    return checking.check(taps.settings, taps.db, row)


def test_a_tap_that_lists_its_tables_is_reached(taps: Taps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(taps, tmp_path, monkeypatch, json.dumps(catalog("a", "b")))

    assert found.said.startswith("It reaches 2 tables. Not every tap signs in for that")


@pytest.mark.parametrize("printed", ["no catalog", '{"streams": []}'])
def test_a_tap_that_lists_nothing_is_refused_with_its_words(
    taps: Taps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    found = checked(taps, tmp_path, monkeypatch, printed)

    assert found.finding is Finding.REFUSED
    assert found.said.startswith("The tap's --discover")
    assert SECRET not in str(found)
