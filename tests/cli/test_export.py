"""Every record that went in comes out."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pdpp_worker.store import connections, run_slices, runs
from pdpp_worker.store.batch import Batch, Claim, RecordRow
from pdpp_worker.store.commit import commit_batch
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps.retry_policy import RetryPolicy
from pdpp_worker.store.values import encode
from tests.cli.conftest import Cli
from tests.support.scripted import NOW, Scenario, manifest, record

ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from('\x00\ud800\udfff\u2028\x85\r\n",;=\\')))
ANY_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | ANY_FLOAT | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
ANY_RECORDS = st.lists(st.dictionaries(ANY_TEXT, ANY_JSON, max_size=5), min_size=1, max_size=5)
POLICY = RetryPolicy(1.0, 2.0, 3)
FRESH = itertools.count()


@pytest.fixture
def claim(db: Database) -> Claim:
    """The right to write for the connection `mine`, of a connector that is not installed."""
    with db.begin() as connection:
        connection_id = connections.add(connection, "mine", "gone", {}, {})
        run_id, _ = runs.create(connection, connection_id, trigger="manual", streams=[], version="1.0.0")
        slice_ = run_slices.claim_slice(connection, run_id, "test", 600.0)
    assert slice_ is not None
    return slice_.claim


def _store(db: Database, claim: Claim, stream: str, held: dict[str, dict[str, Any]]) -> None:
    rows = []
    for key, data in held.items():
        text, raw, digest = encode(data)
        rows.append(RecordRow(key, text, raw, digest, None, NOW, deleted=False, partial=False))
    commit_batch(db, claim, Batch(records={stream: rows}), version="1.0.0", policy=POLICY)


@effort(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=ANY_RECORDS)
def test_json_lines_give_back_exactly_what_went_in(
    cli: Cli, db: Database, claim: Claim, records: list[dict[str, Any]]
) -> None:
    stream = f"stream_{next(FRESH)}"
    held = {f"r{number}": data for number, data in enumerate(records)}
    _store(db, claim, stream, held)

    lines = cli.ok("export", "mine", stream).splitlines()

    assert {row["key"]: row["data"] for row in map(json.loads, lines)} == held


@effort(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=ANY_RECORDS)
def test_csv_is_readable_and_loses_no_record(
    cli: Cli, db: Database, claim: Claim, records: list[dict[str, Any]]
) -> None:
    stream = f"stream_{next(FRESH)}"
    _store(db, claim, stream, {f"r{number}": data for number, data in enumerate(records)})

    written = cli("export", "mine", stream, "--format", "csv").stdout_bytes

    assert b"\x00" not in written
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    other = {row["key"]: json.loads(row["other_fields"] or "{}") for row in rows}
    assert other == {f"r{number}": data for number, data in enumerate(records)}


def test_csv_has_a_column_for_each_field_of_the_manifest(cli: Cli, scenario: Scenario) -> None:
    fields: dict[str, Any] = {"id": {}, "title": {}, "tags": {}, "done": {}, "deleted_at": {}}
    stream = {"name": "items", "schema": {"type": "object", "properties": fields}}
    awkward = 'a "quoted"\r\nline,\x00 and \ud800'
    one = record("r1", title=awkward, tags=["x", "y"], done=True, deleted_at="inner", extra={"deep": [1]})
    scenario.install(lambda _start, _context: iter([one, record("r2")]), manifest(stream))
    scenario.run()

    written = cli("export", "mine", "items", "--format", "csv").stdout_bytes

    first, second = csv.DictReader(io.StringIO(written.decode(), newline=""))
    assert first["title"] == awkward.replace("\x00", "\\u0000").replace("\ud800", "\\ud800")
    assert (first["key"], first["data.deleted_at"], first["done"]) == ("r1", "inner", "true")
    assert json.loads(first["tags"]) == ["x", "y"]
    assert json.loads(first["other_fields"]) == {"extra": {"deep": [1]}}
    assert (second["title"], second["done"], second["other_fields"]) == ("", "", "")


def test_deleted_records_come_only_when_asked_for(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a", title="kept"), record("b"))
    scenario.run()
    scenario.send(record("a").model_copy(update={"op": "delete"}))
    scenario.run()

    assert [row["key"] for row in _lines(cli.ok("export", "mine", "items"))] == ["b"]
    deleted, _ = _lines(cli.ok("export", "mine", "items", "--deleted"))
    assert deleted["deleted_at"] == NOW.isoformat()
    assert deleted["data"] == {"id": "a", "title": "kept"}


def test_a_file_appears_only_when_it_is_whole(cli: Cli, scenario: Scenario, tmp_path: Path) -> None:
    scenario.send(*(record(f"r{number:04}") for number in range(2500)))
    scenario.run()
    file = tmp_path / "items.jsonl"

    cli.ok("export", "mine", "items", "--output", str(file))

    assert [row["key"] for row in _lines(file.read_text())] == [f"r{number:04}" for number in range(2500)]
    assert list(tmp_path.iterdir()) == [file]
    assert "cannot be written" in cli.refusal("export", "mine", "items", "--output", str(tmp_path / "no" / "where"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+1 555", "'+1 555"),
        ("-2+cmd", "'-2+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" \t=1+1", "' \t=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-4.50", "-4.50"),
        (-4.5, "-4.5"),
        ("a=b", "a=b"),
    ],
)
def test_safe_csv_holds_no_formula(cli: Cli, scenario: Scenario, value: Any, cell: str) -> None:
    stream = {"name": "items", "schema": {"type": "object", "properties": {"id": {}, "title": {}}}}
    scenario.install(lambda _start, _context: iter([record("=key", title=value)]), manifest(stream))
    scenario.run()

    written = cli("export", "mine", "items", "--format", "csv", "--safe").stdout_bytes

    (row,) = csv.DictReader(io.StringIO(written.decode(), newline=""))
    assert (row["key"], row["title"]) == ("'=key", cell)


def test_safe_is_about_spreadsheets(cli: Cli) -> None:
    assert "--format csv" in cli.refusal("export", "mine", "items", "--safe")


def test_a_file_is_for_its_owner_alone(cli: Cli, scenario: Scenario, tmp_path: Path) -> None:
    scenario.send(record("a"))
    scenario.run()
    file = tmp_path / "items.jsonl"

    cli.ok("export", "mine", "items", "--output", str(file))

    assert file.stat().st_mode & 0o777 == 0o600


def test_readable_json_lines_hold_no_half_of_a_pair(cli: Cli, scenario: Scenario) -> None:
    awkward = {
        "half": "\ud83d x",
        "pair": "\U0001f600",
        "escaped": "\\ud83d",
        "both": "\\\udc00",
        "\udfffkey": "\x00\udc00\ud800",
    }
    scenario.send(record("a", **awkward))
    scenario.run()

    (row,) = _lines(cli.ok("export", "mine", "items", "--readable"))

    expected = json.loads(re.sub("[\ud800-\udfff]", "\ufffd", json.dumps({"id": "a", **awkward}, ensure_ascii=False)))
    assert row["data"] == expected


@pytest.fixture
def two(scenario: Scenario) -> Scenario:
    """A connection with two streams, a record in each."""
    fields = {"id": {"type": "string"}, "n": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
    streams = [{"name": name, "schema": {"type": "object", "properties": fields}} for name in ("items", "notes")]
    sent = [record("a", n=1, at="2026-01-02T03:04:05Z"), record("b", n=10**30), record("c", "notes", n=10**30)]
    scenario.install(lambda _start, _context: iter(sent), manifest(*streams))
    scenario.run()
    return scenario


@pytest.mark.parametrize("arguments", [("mine",), ()])
def test_a_whole_connection_goes_into_a_directory(
    cli: Cli, two: Scenario, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    cli.ok("export", *arguments, "--output", str(tmp_path / "out"))

    written = {path.name: [row["key"] for row in _lines(path.read_text())] for path in (tmp_path / "out").iterdir()}
    assert written == {"mine.items.jsonl": ["a", "b"], "mine.notes.jsonl": ["c"]}


def test_a_sqlite_file_has_the_tables_of_the_views(cli: Cli, two: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "all.sqlite"

    cli.ok("export", "--format", "sqlite", "--output", str(file))

    with closing(sqlite3.connect(file)) as db:
        items = db.execute("SELECT _connection, _key, id, n, at FROM scripted_items").fetchall()
        ((whole,),) = db.execute("SELECT _data FROM scripted_notes").fetchall()
    assert items == [("mine", "a", "a", 1, "2026-01-02T03:04:05+00:00"), ("mine", "b", "b", None, None)]
    assert json.loads(whole) == {"id": "c", "n": 10**30}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_parquet_file_has_typed_columns(cli: Cli, two: Scenario, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    cli.ok("export", "mine", "items", "--format", "parquet", "--output", str(tmp_path / "items.parquet"))

    first, second = pyarrow.parquet.read_table(tmp_path / "items.parquet").to_pylist()
    assert (first["n"], first["at"], second["n"]) == (1, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None)
    assert json.loads(second["_data"]) == {"id": "b", "n": 10**30}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("mine",), "--output DIRECTORY"),
        (("mine", "items", "--format", "parquet"), "goes to a file"),
        (("mine", "--format", "sqlite"), "--output DIRECTORY"),
        (("mine", "items", "--format", "csv", "--readable"), "JSON lines"),
    ],
)
def test_an_export_that_has_no_place_says_what_it_needs(
    cli: Cli, two: Scenario, arguments: tuple[str, ...], why: str
) -> None:
    assert why in cli.refusal("export", *arguments)


def test_a_stream_that_does_not_exist_is_named_with_those_that_do(cli: Cli, scenario: Scenario) -> None:
    scenario.send()

    assert "known: items" in cli.refusal("export", "mine", "itmes")


def test_a_stream_without_records_is_an_empty_file(cli: Cli, scenario: Scenario) -> None:
    scenario.send()

    assert cli.ok("export", "mine", "items") == ""


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
