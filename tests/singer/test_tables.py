"""Tables of the source, chosen, left out and new, are all named; and so is what changed in the settings."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.singer import tables
from pdpp_worker.singer.bookmarks import Bookmarks
from pdpp_worker.singer.definition import ConfigValue, Definition, settings_mark
from pdpp_worker.singer.tables import NewTables, inventory, look_for_new
from tests.singer.conftest import Taps
from tests.singer.test_silence_and_change import Player, catalog, row, schema, state

TODAY = date(2026, 5, 1)
WALK = (schema("a", "id"), row("a", id=1), state(a=1))


def definition(*chosen: str) -> Definition:
    """A tap of which some streams were chosen."""
    config = {"user": ConfigValue(env="TAP_USER")}
    return Definition(tap=["tap"], config=config, streams={one: one for one in chosen}, catalog=catalog("a", "b"))


@pytest.fixture
def tap(taps: Taps, tmp_path: Path) -> Player:
    return Player(taps, tmp_path / "script.json")


def test_a_table_is_collected_not_chosen_or_new() -> None:
    named = inventory(definition("a"), NewTables("2026-05-01", ("c",)))

    assert {one.name: one.disposition for one in named.members} == {"a": "collected", "b": "declared", "c": "declared"}
    assert all(one.reason and "--replace" in one.reason for one in named.members if one.disposition == "declared")


def test_a_tap_is_asked_for_its_tables_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def discover(*_: Any) -> set[str]:
        asked.append(1)
        return {"a", "b", "c"}

    monkeypatch.setattr(tables, "_discover", discover)
    first = look_for_new(definition("a"), {}, {}, TODAY)
    assert first is not None
    again = look_for_new(definition("a"), {}, {"a": {"tables": first.dump()}}, TODAY)
    later = look_for_new(definition("a"), {}, {"a": {"tables": first.dump()}}, date(2026, 5, 2))

    assert (first.names, again, len(asked)) == (("c",), first, 2)
    assert later == NewTables("2026-05-02", ("c",))


def test_a_tap_that_lists_nothing_leaves_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_discover", lambda *_: None)
    held = NewTables("2026-04-01", ("c",))

    assert look_for_new(definition("a"), {}, {"a": {"tables": held.dump()}}, TODAY) == held
    assert look_for_new(definition("a"), {}, {}, TODAY) is None


def test_a_table_that_the_source_has_got_since_is_named_in_the_next_run(tap: Player, tmp_path: Path) -> None:
    listed = tmp_path / "tables.json"
    listed.write_text(json.dumps(catalog("a", "added")))

    status = tap.play(*WALK, of=catalog("a"), tables=str(listed))

    assert status == "succeeded"
    cursor = json.loads(tap.taps.cursors()["a"])
    assert cursor["tables"]["names"] == ["added"]


def test_the_settings_that_changed_are_named_and_no_value_is_shown() -> None:
    before, after = (settings_mark({"user": user, "region": "eu", "token": "s"}, {"token"}) for user in ("ann", "bob"))
    cursor = Bookmarks({"a": "a"}, {}, before).cursor("a", ["id"], whole_walk=True)

    changed = Bookmarks({"a": "a"}, {"a": cursor}, after).changed_settings()

    assert changed == "other settings of the tap than before: user; it walks from its start"
    assert Bookmarks({"a": "a"}, {"a": cursor}, before).changed_settings() is None
    assert "ann" not in json.dumps(cursor)
