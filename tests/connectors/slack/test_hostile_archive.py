"""An archive that somebody made to take memory or time without end costs the streams of that table, and no more."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from connectors.slack.archive import database_of, open_archive
from connectors.slack.errors import ArchiveError
from connectors.slack.fields import decoded
from pdpp_worker.confined import databases
from pdpp_worker.confined.child_pool import ChildPool
from pdpp_worker.confined.table_reader import CACHE_KIB
from tests.connectors.slack.account import ArchiveMaker, archived, file, said, stamp
from tests.connectors.slack.conftest import Holder, gaps, skips

ONE = stamp(1)
_MADE = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 1000)"


def replaced(directory: Path, table: str, *statements: str) -> ArchiveMaker:
    """An archive in which a table is something else."""
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.files("C1", file("F1"))
    maker.execute(f"DROP TABLE {table}")
    for statement in statements:
        maker.execute(statement)
    maker.close()
    return maker


@pytest.mark.parametrize("size", [900_000_000, 5_000_000])
def test_a_generated_column_is_not_evaluated(directory: Path, on_disk: Holder, size: int) -> None:
    columns = "ID INT, CHUNK_ID INT, CHANNEL_ID TEXT, TS TEXT, PARENT_ID INT"
    made = f"CREATE TABLE MESSAGE({columns}, DATA AS (zeroblob({size})))"
    row = "INSERT INTO MESSAGE(ID, CHUNK_ID, CHANNEL_ID, TS) VALUES (1, 1, 'C1', '1.0')"
    replaced(directory, "MESSAGE", made, row)
    tracemalloc.start()

    sent = on_disk.run()

    assert set(skips(sent)) == {"messages", "message_attachments", "reactions"}
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "made",
    [
        f"CREATE VIEW FILE AS {_MADE} SELECT n AS ID, 1 AS CHUNK_ID, '{{}}' AS DATA, '' AS MODE FROM r",  # noqa: S608 - a table of the test
        "CREATE VIRTUAL TABLE FILE USING fts5(ID, CHUNK_ID, DATA, MODE)",
    ],
    ids=["view", "virtual"],
)
def test_a_table_that_is_made_as_it_is_read_is_not_read(directory: Path, on_disk: Holder, made: str) -> None:
    replaced(directory, "FILE", made)

    sent = on_disk.run()

    assert set(skips(sent)) == {"files", "canvases"}
    assert set(on_disk.held("messages")) == {f"C1:{ONE}"}


def test_an_object_that_is_too_large_costs_its_own_row(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE), said(stamp(2))]})
    maker.execute("UPDATE MESSAGE SET DATA = zeroblob(60000000) WHERE TS = ?", ONE)
    maker.close()

    sent = on_disk.run()

    assert skips(sent) == {}
    assert set(gaps(sent)) == {f"C1:{ONE}"}
    assert set(on_disk.held("messages")) == {f"C1:{stamp(2)}"}


def test_a_search_without_end_is_given_up(directory: Path, on_disk: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "LONGEST_SEARCH_S", 0.2)
    rows = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 6000)"
    replaced(
        directory,
        "FILE",
        "CREATE TABLE FILE(ID TEXT, CHUNK_ID INT, CHANNEL_ID TEXT, MESSAGE_ID INT, DATA BLOB, MODE TEXT)",
        f"INSERT INTO FILE(ID, CHUNK_ID, DATA) {rows} SELECT 'F', n % 2, '{{}}' FROM r",  # noqa: S608 - a table of the test
    )

    sent = on_disk.run()

    assert set(skips(sent)) == {"files", "canvases"}
    assert "found no further row" in skips(sent)["files"].message
    assert set(on_disk.held("messages")) == {f"C1:{ONE}"}


@pytest.mark.process
def test_a_schema_that_takes_memory_without_end_is_given_up(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = ChildPool(databases.READER, memory_bytes=100_000_000, cpu_s=30, wall_s=60, most=1)
    monkeypatch.setattr(databases, "_CHILDREN", children)
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("PRAGMA writable_schema = ON")
    columns = ", ".join(f"c{n}" for n in range(1_000))
    rows = "WITH RECURSIVE r(n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM r LIMIT 3000)"
    made = f"SELECT 'table', 't' || n, 't' || n, 2, 'CREATE TABLE t' || n || '({columns})' FROM r"  # noqa: S608 - a table of the test
    maker.execute(f"INSERT INTO sqlite_master(type, name, tbl_name, rootpage, sql) {rows} {made}")
    maker.close()

    with pytest.raises(ArchiveError, match="too much memory"), open_archive(database_of(str(directory))):
        pass


def test_an_archive_does_not_say_how_much_of_it_is_held_in_memory(directory: Path) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("PRAGMA default_cache_size = 100000000")
    maker.close()

    with open_archive(database_of(str(directory))) as archive:
        assert archive.database.execute("PRAGMA cache_size").fetchone() == (-CACHE_KIB,)


@pytest.mark.parametrize("value", [b"{}", b"[]", b"0"])
def test_a_value_of_more_parts_than_memory_can_hold_is_none(value: bytes) -> None:
    assert decoded(b"[" + (value + b",") * 2_500_000 + b"0]") is None
