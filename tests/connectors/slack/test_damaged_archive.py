"""The unreadable parts of an archive are named, and cost nothing but themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pdpp_worker.confined import databases
from pdpp_worker.connector import BatchScope, GapToClose, Reason, Record, ResourceScope
from tests.connectors.slack.account import (
    OWNER,
    ArchiveMaker,
    archived,
    file,
    number,
    said,
    stamp,
)
from tests.connectors.slack.conftest import ALL, Holder, emitted, gaps, recovered, skips

ONE, TWO = stamp(1), stamp(2)

_DYING = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 2")
database.execute("BEGIN")
database.execute("DELETE FROM S_USER")
for _ in range(500):
    database.execute("INSERT INTO WORKSPACE (CHUNK_ID, TEAM, TEAM_ID, USER_ID, URL, DATA) "
        "VALUES (9, '', '', '', '', ?)", ("x" * 1_000,))
os.kill(os.getpid(), 9)
"""
"""A writer without a log that dies in the midst of a transaction."""


@pytest.mark.parametrize("part", ["CHUNK", "MESSAGE_I1", "CHANNEL"])
def test_a_damaged_archive_waits_for_no_newer_version(directory: Path, on_disk: Holder, part: str) -> None:
    maker = archived(directory, {"C1": [said(ONE), said(TWO)]})
    (page,) = maker.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", part).fetchone()
    (size,) = maker.execute("PRAGMA page_size").fetchone()
    maker.close()
    with (directory / "slackdump.sqlite").open("r+b") as archive:
        archive.seek((page - 1) * size)
        archive.write(b"\xff" * size)

    sent = on_disk.run()

    assert {one.reason for one in skips(sent).values()} == {Reason.SOURCE_PARTITION_FAILED}


def test_a_row_that_is_no_json_is_a_gap_until_it_can_be_read(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE), said(TWO)]})
    maker.execute("UPDATE MESSAGE SET DATA = X'7B22FF' WHERE TS = ?", ONE)

    key = f"C1:{ONE}"
    told = gaps(on_disk.run())[key]
    assert told.reason == Reason.PARSE_FAILED
    assert set(on_disk.held("messages")) == {f"C1:{TWO}"}

    known = gap(key, told.reason, told.locator)
    assert [one.reason for one in gaps(on_disk.run(gaps=[known], recovery_only=True)).values()] == [Reason.PARSE_FAILED]
    maker.execute("UPDATE MESSAGE SET DATA = ? WHERE TS = ?", json.dumps(said(ONE)), ONE)
    assert recovered(on_disk.run(gaps=[known], recovery_only=True)) == ["7"]
    assert set(on_disk.held("messages")) == {f"C1:{ONE}", f"C1:{TWO}"}


def gap(key: str, reason: str, locator: dict[str, object] | None, stream: str = "messages") -> GapToClose:
    """A known gap, numbered 7."""
    return GapToClose(
        gap_id="7", stream=stream, scope=ResourceScope(resource_id=key), reason=reason, detail_locator=locator
    )


def test_a_record_that_was_refused_for_its_shape_is_read_again(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(ONE)]})
    on_disk.run()

    sent = on_disk.run(gaps=[gap("U0OWNER", "record_rejected", None, "users")], recovery_only=True)

    assert [one.key for one in sent if isinstance(one, Record)] == ["U0OWNER"]


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, None])
def test_what_is_no_archive_is_a_failed_stream_and_never_an_empty_one(
    directory: Path, on_disk: Holder, content: bytes | None
) -> None:
    directory.mkdir()
    if content is not None:
        (directory / "slackdump.sqlite").write_bytes(content)

    sent = on_disk.run()

    assert set(skips(sent)) >= {"messages", "users", "channels", "files", "workspace"}
    assert emitted(sent, "messages") == []


def test_an_archive_without_one_of_its_tables_is_of_an_unknown_shape(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(ONE)]}).execute("DROP TABLE FILE")

    said_of = skips(on_disk.run())["files"]

    assert (said_of.reason, "FILE" in said_of.message) == (Reason.SHAPE_CHANGED, True)


def test_an_archive_that_ended_before_people_were_read_does_not_count_as_one_without_people(
    directory: Path, on_disk: Holder
) -> None:
    archived(directory, {"C1": [said(ONE)]}, finished=False).execute("DELETE FROM S_USER")

    assert skips(on_disk.run())["users"].reason == Reason.SOURCE_PARTITION_FAILED


@pytest.mark.parametrize(
    ("table", "stream"),
    [("FILE", "files"), ("CHANNEL_USER", "channel_memberships"), ("WORKSPACE", "workspace"), ("S_USER", "users")],
)
def test_a_table_that_is_not_there_costs_its_own_stream(
    directory: Path, on_disk: Holder, table: str, stream: str
) -> None:
    maker = archived(directory, {"C1": [said(stamp(0))]})
    maker.execute(f"DROP TABLE {table}")
    maker.close()

    sent = on_disk.run()

    assert set(skips(sent)) - {"canvases"} == {stream}
    assert skips(sent)[stream].reason == Reason.SHAPE_CHANGED
    assert emitted(sent, "messages") == [f"C1:{stamp(0)}"]


@pytest.mark.parametrize("column", ["CREATED_AT", "MODE", "ARGS", "PAR_SESSION_ID"])
def test_a_column_of_sessions_that_is_not_there_costs_nothing_else(
    directory: Path, on_disk: Holder, column: str
) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute(f"ALTER TABLE SESSION DROP COLUMN {column}")
    maker.close()

    sent = on_disk.run()

    assert (gaps(sent), skips(sent)) == ({}, {})
    assert emitted(sent, "messages") == [f"C1:{ONE}"]
    assert emitted(on_disk.run(), "messages") == []


def test_an_archive_that_does_not_say_whether_it_ended_is_read_and_not_called_whole(
    directory: Path, on_disk: Holder
) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("ALTER TABLE SESSION DROP COLUMN FINISHED")
    maker.close()

    sent = on_disk.run()

    assert set(skips(sent)) == {"messages", "message_attachments", "reactions"}
    assert emitted(sent, "messages") == [f"C1:{ONE}"]
    assert set(on_disk.held("users")) == {OWNER, "U0OTHER"}


@pytest.mark.parametrize(
    ("table", "column"), [("CHUNK", "FINAL"), ("CHUNK", "TYPE_ID"), ("MESSAGE", "LATEST_REPLY"), ("SESSION", None)]
)
def test_an_archive_that_does_not_say_what_it_lacks_is_read_and_not_called_whole(
    directory: Path, on_disk: Holder, table: str, column: str | None
) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("DROP TABLE SESSION" if column is None else f"ALTER TABLE {table} DROP COLUMN {column}")
    maker.close()

    sent = on_disk.run()

    assert set(skips(sent)) - {"channel_memberships"} == {"messages", "message_attachments", "reactions"}
    assert skips(sent)["messages"].reason == Reason.SHAPE_CHANGED
    assert emitted(sent, "messages") == [f"C1:{ONE}"]
    channel = GapToClose(
        gap_id="7", stream="messages", scope=BatchScope(partition={"channel_id": "C1"}), reason="upstream_error"
    )
    assert recovered(on_disk.run(gaps=[channel], recovery_only=True)) == [], "nothing says that it is whole"


@pytest.mark.parametrize(
    ("table", "column"),
    [("CHANNEL", "LOAD_DTTM"), ("WORKSPACE", "ENTERPRISE_ID"), ("FILE", "MODE"), ("MESSAGE", "TXT")],
)
def test_a_column_that_is_not_there_costs_only_what_it_would_say(
    directory: Path, on_disk: Holder, table: str, column: str
) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.files("C1", file("F1"))
    maker.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    maker.close()

    sent = on_disk.run()

    assert skips(sent) == {}
    assert set(on_disk.held("files")) == {"F1"}
    assert set(on_disk.held("channels")) == {"C1"}


def test_text_that_is_no_text_costs_nothing(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(stamp(0)), said(stamp(1))]})
    maker.execute("UPDATE MESSAGE SET TS = CAST(X'ff31' AS TEXT) WHERE ID = ?", number(stamp(0)))
    maker.execute("UPDATE WORKSPACE SET TEAM = CAST(X'ff31' AS TEXT)")
    maker.close()

    sent = on_disk.run()

    assert (gaps(sent), skips(sent)) == ({}, {})
    assert set(emitted(sent, "messages")) == {f"C1:{stamp(0)}", f"C1:{stamp(1)}"}


def test_an_archive_without_a_session_is_not_an_empty_workspace(directory: Path, on_disk: Holder) -> None:
    ArchiveMaker(directory).close()

    assert {"users", "channels", "messages"} <= set(skips(on_disk.run()))


@pytest.mark.process
def test_a_transaction_that_a_dying_writer_left_open_is_taken_back(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("PRAGMA journal_mode = DELETE")
    maker.close()
    subprocess.run([sys.executable, "-c", _DYING, str(maker.path)], check=False)
    assert Path(f"{maker.path}-journal").stat().st_size

    sent = on_disk.run()

    assert skips(sent) == {}
    assert set(on_disk.held("users")) == {OWNER, "U0OTHER"}
    assert set(on_disk.held("messages")) == {f"C1:{ONE}"}


@pytest.mark.parametrize(
    ("table", "column", "value", "stream"),
    [
        ("MESSAGE", "CHUNK_ID", "abc", "messages"),
        ("S_USER", "ID", b"\xff", "users"),
        ("CHANNEL", "CHUNK_ID", "abc", "channels"),
        ("FILE", "ID", b"\xff", "files"),
    ],
)
def test_a_row_whose_id_is_of_another_type_fails_its_stream(
    directory: Path, on_disk: Holder, table: str, column: str, value: bytes | str, stream: str
) -> None:
    maker = archived(directory, {"C1": [said(ONE), said(TWO)]})
    maker.files("C1", file("F1"))
    maker.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})", value)  # noqa: S608
    maker.close()

    assert skips(on_disk.run())[stream].reason == Reason.SOURCE_PARTITION_FAILED


def test_a_message_whose_id_is_no_number_costs_no_other(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE), said(TWO)]})
    maker.execute("UPDATE MESSAGE SET ID = ? WHERE TS = ?", b"\xff", TWO)
    maker.close()

    assert skips(on_disk.run()) == {}
    assert set(on_disk.held("messages")) == {f"C1:{ONE}", f"C1:{TWO}"}


def test_a_table_that_is_not_there_costs_no_gap_but_its_own(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("DROP TABLE FILE")
    maker.close()
    known = [
        GapToClose(gap_id="7", stream="files", scope=ResourceScope(resource_id="F1"), reason="parse_failed"),
        GapToClose(gap_id="8", stream="messages", scope=ResourceScope(resource_id=f"C1:{ONE}"), reason="parse_failed"),
    ]

    sent = on_disk.run(gaps=known)

    assert recovered(sent) == ["8"]
    assert set(skips(sent)) == {"files", "canvases"}


def test_a_damaged_schema_is_told_in_a_sentence(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    maker.close()
    damaged = maker.path.read_bytes().replace(b"CREATE TABLE SESSION (", b"CREATE TAB\xdd\xff SESSION (")
    maker.path.write_bytes(damaged)

    assert {name: one.reason for name, one in skips(on_disk.run()).items()} == dict.fromkeys(
        ALL, Reason.SOURCE_PARTITION_FAILED
    )


def test_a_value_of_absurd_length_is_not_made_in_memory(
    directory: Path, on_disk: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LONGEST_VALUE", 10_000)
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("UPDATE MESSAGE SET DATA = zeroblob(20000)")
    maker.close()

    assert set(skips(on_disk.run())) == {"messages", "message_attachments", "reactions"}
