"""A tap that is silent, slow, repeats itself or changes: nothing is taken for granted, lost or doubled."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pdpp_worker.singer.describe import describe
from tests.singer.conftest import Taps
from tests.support.waiting import PATIENCE_S, until

SCRIPT = Path(__file__).parent / "tap_script.py"
Step = dict[str, Any]


def catalog(*names: str, key: str | None = None) -> dict[str, Any]:
    """Streams with an id of any type."""
    properties = {
        "id": {"type": ["integer", "string", "null"]},
        "updated_at": {"type": "string", "format": "date-time"},
    }
    own = {"selected": True, **({"replication-key": key} if key else {})}
    return {
        "streams": [
            {
                "stream": name,
                "tap_stream_id": name,
                "key_properties": ["id"],
                "schema": {"type": "object", "properties": properties},
                "metadata": [{"breadcrumb": [], "metadata": own}],
            }
            for name in names
        ]
    }


def schema(stream: str, *keys: str) -> Step:
    return {"type": "SCHEMA", "stream": stream, "schema": {}, "key_properties": list(keys)}


def row(stream: str, *, at: str | None = None, **fields: Any) -> Step:
    when = {} if at is None else {"time_extracted": at}
    return {"type": "RECORD", "stream": stream, "record": fields, **when}


def state(**bookmarks: Any) -> Step:
    return {"type": "STATE", "value": {"bookmarks": bookmarks}}


@dataclass
class Player:
    """One connection of the tap, and the states that it was handed."""

    taps: Taps
    script: Path

    def play(self, *steps: Step, of: dict[str, Any], streams: list[str] | None = None, **settings: str) -> str:
        """Run the tap; returns how the run ended."""
        self.script.write_text(json.dumps(steps))
        names = streams or [one["tap_stream_id"] for one in of["streams"]]
        self.taps.connect([sys.executable, str(SCRIPT)], {"script": str(self.script), **settings}, of, names)
        with capture_logs() as logs:
            run = self.taps.run()
        self.handed = next(json.loads(one["line"])["handed"] for one in logs if '{"handed"' in str(one.get("line")))
        return str(run["status"])

    def missing(self) -> set[str]:
        """The streams with an open gap."""
        return {gap["stream"] for gap in self.taps.gaps() if gap["status"] == "open"}

    def live(self) -> dict[str, Any]:
        """The rows of the stream `a` that are not deleted."""
        rows = self.taps.rows("SELECT key, data FROM records WHERE stream = 'a' AND deleted_at IS NULL")
        return {one["key"]: one["data"] for one in rows}


@pytest.fixture
def tap(taps: Taps, tmp_path: Path) -> Player:
    return Player(taps, tmp_path / "script.json")


BOTH = catalog("a", "b")
ONE = catalog("a")
FIRST = [schema("a", "id"), row("a", id=1), schema("b", "id"), row("b", id=1), state(a=1, b=1)]


@pytest.mark.parametrize(
    ("second", "missing"),
    [
        pytest.param([], {"a", "b"}, id="writes nothing"),
        pytest.param([{"echo": 1}], {"a", "b"}, id="repeats what it was handed"),
        pytest.param([schema("a", "id"), row("a", id=2), state(a=2, b=1)], {"b"}, id="walks one of two"),
        pytest.param([schema("a", "id"), schema("b", "id"), {"echo": 1}], set(), id="says that nothing is new"),
        pytest.param([state(a=2, b=2)], set(), id="moves its bookmarks"),
    ],
)
def test_a_stream_is_walked_when_the_tap_says_more_than_it_was_handed(
    tap: Player, second: list[Step], missing: set[str]
) -> None:
    tap.play(*FIRST, of=BOTH)

    status = tap.play(*second, of=BOTH)

    assert tap.missing() == missing
    assert (status == "succeeded") is not bool(missing)


def test_a_row_whose_times_go_back_is_the_newer_one_all_the_same(tap: Player) -> None:
    dated = catalog("a", key="updated_at")
    days = ["2026-05-02T00:00:00Z", "2026-05-01T00:00:00Z"]
    for day, title in zip(days, ("old", "new"), strict=True):
        tap.play(schema("a", "id"), row("a", at=day, id=1, updated_at=day, title=title), state(a=1), of=dated)

    assert tap.live()["1"]["title"] == "new"


def test_other_settings_begin_anew_and_other_credentials_go_on(tap: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = (schema("a", "id"), row("a", id=1), state(a=5))
    tap.play(*walk, of=ONE, user="ann")
    tap.play(*walk, of=ONE, user="ann")
    same = tap.handed
    tap.play(*walk, of=ONE, user="bob")

    assert (same, tap.handed) == ({"bookmarks": {"a": 5}}, None)


def test_an_empty_mark_of_deletion_deletes_nothing(tap: Player) -> None:
    rows = [row("a", id=number, _sdc_deleted_at=mark) for number, mark in enumerate(["", " ", False, None])]
    tap.play(schema("a", "id"), *rows, state(a=1), of=ONE)

    assert set(tap.live()) == {"0", "1", "2", "3"}


def test_a_number_and_a_text_are_two_keys_where_both_may_stand(tap: Player) -> None:
    rows = [row("a", id=value) for value in (1, "1", "", '""', "one")]
    tap.play(schema("a", "id"), *rows, state(a=1), of=ONE)

    assert len(tap.live()) == 5


def test_rows_move_to_their_new_keys_when_the_key_properties_change(tap: Player) -> None:
    rows = [row("a", id=1, region="eu"), row("a", id=2, region="us")]
    tap.play(schema("a", "id"), *rows, state(a=1), of=ONE)
    tap.play(schema("a", "id", "region"), rows[1], state(a=2), of=ONE)
    tap.play(schema("a", "id", "region"), *rows, state(a=2), of=ONE)
    handed_again = tap.handed
    tap.play(schema("a", "id", "region"), state(a=2), of=ONE)

    assert handed_again is None
    assert tap.handed == {"bookmarks": {"a": 2}}
    assert sorted(one["id"] for one in tap.live().values()) == [1, 2]


def test_equal_rows_of_a_table_without_a_key_are_counted_and_one_that_is_gone_goes(tap: Player) -> None:
    twice = [row("a", t="x"), row("a", t="x")]
    tap.play(schema("a"), *twice, row("a", t="y"), state(a=1), of=ONE)
    tap.play(schema("a"), *twice, state(a=2), of=ONE)
    assert len(tap.live()) == 3

    tap.play(schema("a"), row("a", t="y", _sdc_deleted_at="2026-01-01T00:00:00Z"), state(a=3), of=ONE)

    assert [one["t"] for one in tap.live().values()] == ["x", "x"]


def test_what_a_tap_says_of_its_own_run_changes_no_row(tap: Player) -> None:
    for day in ("2026-01-01", "2026-01-02"):
        tap.play(
            schema("a"),
            row("a", t="x", _sdc_table_version=day, _sdc_extracted_at=day, _sdc_repository="mine"),
            state(a=day),
            of=ONE,
        )

    assert list(tap.live().values()) == [{"t": "x", "_sdc_repository": "mine"}]


def test_a_name_does_not_depend_on_what_else_is_collected() -> None:
    both = catalog("a-b", "a.b")
    alone = describe("tap", {}, both, name="tap", version="1", streams=["a.b"]).definition.streams
    kept = describe("tap", {}, both, name="tap", version="1", streams=["a.b"], named={"a_b": "a.b"})

    assert alone == {"a_b_2": "a.b"}
    assert kept.definition.streams == {"a_b": "a.b"}


def test_a_row_of_a_slow_tap_is_here_before_its_next_one(tap: Player) -> None:
    tap.taps.settings = tap.taps.settings.model_copy(update={"batch_records": 1})

    def tell_the_tap() -> None:
        until(lambda: "0" in tap.live())
        tap.script.write_text("")

    with ThreadPoolExecutor() as pool:
        telling = pool.submit(tell_the_tap)
        steps = (row("a", id=0), {"while_not_empty": str(tap.script)}, row("a", id=1))
        status = tap.play(schema("a", "id"), *steps, state(a=1), of=ONE)
        telling.result(PATIENCE_S)

    assert status == "succeeded"
    assert set(tap.live()) == {"0", "1"}


def test_a_helper_that_holds_the_taps_pipes_does_not_hold_the_run(tap: Player) -> None:
    tap.taps.settings = tap.taps.settings.model_copy(update={"silence_s": 8.0})

    assert tap.play(schema("a", "id"), row("a", id=1), {"helper": 30}, state(a=1), of=ONE) == "succeeded"
    assert set(tap.live()) == {"1"}


def test_a_row_that_is_nested_too_deeply_costs_itself(tap: Player) -> None:
    deep = '{"type": "RECORD", "stream": "a", "record": {"id": 2, "x": ' + "[" * 3000 + "]" * 3000 + "}}"
    walk = (schema("a", "id"), row("a", id=1), {"raw": deep}, row("a", id=3), *FIRST[2:])

    assert tap.play(*walk, of=BOTH) == "partially_completed"
    assert set(tap.live()) == {"1", "3"}
    assert [gap["reason"] for gap in tap.taps.gaps()] == ["parse_failed"]


def test_a_number_of_thousands_of_digits_costs_its_own_row(tap: Player) -> None:
    vast = '{"type": "RECORD", "stream": "a", "record": {"id": 2, "x": ' + "9" * 5000 + "}}"
    walk = (schema("a", "id"), row("a", id=1), {"raw": vast}, row("a", id=3), *FIRST[2:])

    assert tap.play(*walk, of=BOTH) == "partially_completed"
    assert set(tap.live()) == {"1", "3"}
    assert [(gap["reason"], gap["scope"]) for gap in tap.taps.gaps()] == [("record_rejected", {"resource_id": "2"})]


def test_what_the_owner_changed_is_kept_beside_what_is_made_anew(tmp_path: Path) -> None:
    made = describe("tap", {}, ONE, name="tap", version="1")
    made.write(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    made.write(tmp_path)

    (tmp_path / "manifest.json").write_text("[]")
    made.write(tmp_path)

    assert (tmp_path / "manifest.json.before").read_text() == "{}"
    assert (tmp_path / "manifest.json.before-2").read_text() == "[]"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("singer", "."))) == ["singer.json"]
