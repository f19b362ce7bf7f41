"""Reading an archive that lies on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.slack import archive
from pdpp_worker.connector import GapToClose, Reason, Record, ResourceScope
from pdpp_worker.protocol.messages import StartScope
from pdpp_worker.protocol.scope import StreamScope
from tests.connectors.slack.account import (
    OWNER,
    THREAD,
    ArchiveMaker,
    archived,
    channel,
    file,
    number,
    said,
    stamp,
    thread,
    user,
    whole_channel,
)
from tests.connectors.slack.conftest import ALL, Holder, emitted, gaps, recovered, skips
from tests.support.connectors import start

ONE, TWO, THREE = (stamp(second) for second in (1, 2, 3))


def reaction(*users: str) -> list[dict[str, object]]:
    """A reaction by these users."""
    return [{"name": "tada", "users": list(users), "count": len(users)}]


def test_every_stream_is_read(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE, reactions=reaction("U1"), attachments=[{"title": "A link"}])]})
    maker.members("C1", "U0OWNER")
    maker.files("C1", file("F1"), file("F2", mode="quip"))
    maker.channels(channel("C1", num_members=7), day="2026-01-03")

    on_disk.run()

    held = {stream: set(on_disk.held(stream)) for stream in ("workspace", "users", "channels", "files", "canvases")}
    assert held == {
        "workspace": {"T0WORKSPACE"},
        "users": {"U0OWNER", "U0OTHER"},
        "channels": {"C1"},
        "files": {"F1"},
        "canvases": {"F2"},
    }
    assert set(on_disk.held("channel_stats")) == {"C1:2026-01-03"}
    assert set(on_disk.held("channel_memberships")) == {"C1:U0OWNER"}
    assert set(on_disk.held("messages")) == {f"C1:{ONE}"}
    assert set(on_disk.held("reactions")) == {f"C1:{ONE}:tada:U1"}
    assert on_disk.held("message_attachments")[f"C1:{ONE}:att:0"]["title"] == "A link"


def test_a_second_run_reads_only_later_chunks(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE), said(TWO)]})
    on_disk.run()
    maker.begin("resume", "resume")
    maker.messages("C1", [said(THREE)])
    maker.finish()

    assert emitted(on_disk.run(), "messages") == [f"C1:{THREE}"]
    assert emitted(on_disk.run(), "messages") == []


def test_the_newest_version_of_a_message_is_the_one_that_counts(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE, "first")]})
    maker.messages("C1", [said(ONE, "second")])

    assert emitted(on_disk.run(), "messages") == [f"C1:{ONE}"]
    assert on_disk.held("messages")[f"C1:{ONE}"]["text"] == "second"


def test_edits_and_reactions_of_later_chunks_are_taken_over(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE, "first", reactions=reaction("U1", "U2"))]})
    on_disk.run()
    edited = said(ONE, "edited", edited={"ts": TWO, "user": "U0OWNER"}, reactions=reaction("U2", "U3"))
    maker.messages("C1", [edited])

    on_disk.run()

    held = on_disk.held("messages")[f"C1:{ONE}"]
    assert (held["text"], held["edited_ts"]) == ("edited", TWO)
    assert set(on_disk.held("reactions")) == {f"C1:{ONE}:tada:U2", f"C1:{ONE}:tada:U3"}


def test_two_channels_may_hold_messages_of_the_same_instant(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(ONE)], "C2": [said(ONE)]})

    on_disk.run()

    assert set(on_disk.held("messages")) == {f"C1:{ONE}", f"C2:{ONE}"}


def test_a_placeholder_for_a_thread_that_is_gone_replaces_nothing(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE, "real")]})
    maker.messages("C1", [{"channel": "C1", "ts": ONE, "thread_ts": ONE}], kind=THREAD)
    maker.messages("C1", [{"channel": "C1", "ts": TWO, "thread_ts": TWO}], kind=THREAD)

    on_disk.run()

    assert {key: row["text"] for key, row in on_disk.held("messages").items()} == {f"C1:{ONE}": "real"}


def test_of_a_file_that_is_gone_only_that_is_said(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": []})
    maker.files("C1", file("F1", title="Plan"))
    maker.files("C1", {"id": "F1", "mode": "tombstone"})

    on_disk.run()

    assert (on_disk.held("files")["F1"]["title"], on_disk.held("files")["F1"]["mode"]) == ("Plan", "tombstone")


def test_who_left_a_channel_is_in_it_no_longer(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": []}, finished=False)
    maker.members("C1", "U1", "U2")
    maker.finish()
    on_disk.run()
    maker.begin("resume", "resume")
    maker.members("C1", "U2")
    on_disk.run()
    assert set(on_disk.held("channel_memberships")) == {"C1:U1", "C1:U2"}, "the session may have died before U1's page"

    maker.members("C1", "U3")
    maker.finish()
    on_disk.run()

    assert set(on_disk.held("channel_memberships")) == {"C1:U2", "C1:U3"}


@pytest.mark.parametrize("cut", [1, 4, 9, 14, 23])
def test_a_walk_that_is_cut_anywhere_is_gone_on_with(directory: Path, on_disk: Holder, cut: int) -> None:
    archived(directory, {f"C{at}": [said(stamp(at * 10 + n)) for n in range(6)] for at in range(5)})

    on_disk.run(cut=cut)
    on_disk.run(same=True)

    assert len(on_disk.held("messages")) == 30


def test_another_archive_in_its_place_is_read_from_its_beginning(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(ONE), said(TWO)]}).close()
    on_disk.run()
    for path in directory.iterdir():
        path.unlink()
    other = ArchiveMaker(directory)
    other.execute("INSERT INTO SESSION (ID, CREATED_AT, MODE, FINISHED) VALUES (1, '2020-01-01', 'archive', TRUE)")
    other.session = 1
    whole_channel(other, "C1", [said(THREE)])

    assert emitted(on_disk.run(), "messages") == [f"C1:{THREE}"]


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


def test_an_archive_may_be_named_by_its_file_and_lie_where_nobody_may_write(tmp_path: Path, on_disk: Holder) -> None:
    maker = ArchiveMaker(tmp_path / "kept", wal=False)
    maker.begin()
    whole_channel(maker, "C1", [said(ONE)])
    maker.users(user("U1"))
    maker.finish()
    maker.close()
    (tmp_path / "kept").chmod(0o555)
    on_disk.context.settings["archive"] = str(maker.path)  # type: ignore[index]

    on_disk.run()
    (tmp_path / "kept").chmod(0o755)

    assert set(on_disk.held("messages")) == {f"C1:{ONE}"}


def test_a_channel_that_was_not_brought_to_its_end_is_one_gap(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]}, finished=False)
    maker.messages("C2", thread(TWO, THREE)[:1], final=False)

    told = gaps(on_disk.run())

    assert set(told) == {"C2"}
    assert told["C2"].reason == Reason.SOURCE_PARTITION_FAILED
    assert set(on_disk.held("messages")) == {f"C1:{ONE}", f"C2:{TWO}"}


def test_a_thread_whose_replies_were_not_read_is_a_gap_of_its_own(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": thread(ONE, TWO)})
    maker.messages("C2", [thread(ONE, TWO)[0], thread(THREE, stamp(4))[0]])
    maker.messages("C2", thread(THREE, stamp(4)), kind=THREAD)

    assert set(gaps(on_disk.run())) == {f"C2/{ONE}"}


def test_a_thread_of_which_an_unfinished_session_lacks_the_last_reply_is_a_gap(
    directory: Path, on_disk: Holder
) -> None:
    maker = archived(directory, {}, finished=False)
    maker.messages("C1", thread(ONE, TWO, THREE)[:1])
    maker.messages("C1", thread(ONE, TWO, THREE)[:2], kind=THREAD, final=False)

    assert set(gaps(on_disk.run())) == {f"C1/{ONE}"}


def test_a_thread_whose_replies_were_all_deleted_is_no_gap(directory: Path, on_disk: Holder) -> None:
    emptied = said(ONE, thread_ts=ONE, reply_count=0, latest_reply="0000000000.000000")
    archived(directory, {}).messages("C1", [emptied])

    assert gaps(on_disk.run()) == {}


def test_a_later_session_that_went_on_from_the_newest_message_does_not_heal_a_channel(
    directory: Path, on_disk: Holder
) -> None:
    maker = archived(directory, {}, finished=False)
    maker.messages("C1", [said(THREE)], final=False)
    maker.begin("resume", f"resume|-refresh|{directory}")
    maker.messages("C1", [said(stamp(9))])
    maker.finish()
    assert set(gaps(on_disk.run())) == {"C1"}

    maker.begin("resume", f"resume|-refresh|{directory}|C1")
    maker.messages("C1", [said(ONE), said(THREE)])
    maker.finish()

    assert gaps(on_disk.run()) == {}
    assert on_disk.state["messages"]["reported"] == {}


def test_a_listed_channel_that_was_never_come_to_is_a_gap(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]}, finished=False)
    maker.channels(channel("C2"), channel("C3", is_member=False), {"id": "D1", "is_im": True})

    assert set(gaps(on_disk.run())) == {"C2", "C3", "D1"}


def test_a_channel_that_one_is_no_member_of_may_be_left_out(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.channels(channel("C3", is_member=False))

    assert gaps(on_disk.run()) == {}


def test_what_is_reported_is_not_reported_again_of_the_same_session(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {}, finished=False)
    maker.messages("C1", [said(ONE)], final=False)
    on_disk.run()

    assert gaps(on_disk.run()) == {}


def test_a_session_that_did_not_end_and_points_at_nothing_puts_all_messages_in_doubt(
    directory: Path, on_disk: Holder
) -> None:
    maker = archived(directory, {"C1": [said(ONE)]}, finished=False)

    sent = on_disk.run()
    assert {"messages", "reactions", "message_attachments"} == set(skips(sent))
    assert set(on_disk.held("messages")) == {f"C1:{ONE}"}

    maker.finish()
    assert skips(on_disk.run()) == {}


def test_a_gap_closes_by_the_archive_once_it_holds_the_channel(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {}, finished=False)
    maker.messages("C1", [said(TWO)], final=False)
    known = gaps(on_disk.run())["C1"].known

    assert set(gaps(on_disk.run(gaps=[known], recovery_only=True))) == {"C1"}
    maker.begin("archive", "archive|-o|x|C1")
    maker.messages("C1", [said(ONE), said(TWO)])
    maker.finish()
    sent = on_disk.run(gaps=[known], recovery_only=True)

    assert recovered(sent) == ["7"]
    assert emitted(sent, "messages") == [f"C1:{ONE}", f"C1:{TWO}"]


def test_messages_are_keyed_by_their_exact_time() -> None:
    assert number(stamp(1, 1)) - number(stamp(1)) == 1


def test_the_newest_version_is_looked_up_by_the_message_and_not_through_its_channel(directory: Path) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})

    plan = [row[3] for row in maker.execute(f"EXPLAIN QUERY PLAN {archive.MESSAGES_AFTER}", 0, 0)]

    lookups = [step for step in plan if step.startswith(("SEARCH n", "SEARCH o"))]
    assert len(lookups) == 2
    assert all("(ID=? AND CHUNK_ID" in step for step in lookups)


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


def test_text_that_is_no_text_costs_nothing(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(stamp(0)), said(stamp(1))]})
    maker.execute("UPDATE MESSAGE SET TS = CAST(X'ff31' AS TEXT) WHERE ID = ?", number(stamp(0)))
    maker.execute("UPDATE WORKSPACE SET TEAM = CAST(X'ff31' AS TEXT)")
    maker.close()

    sent = on_disk.run()

    assert (gaps(sent), skips(sent)) == ({}, {})
    assert set(emitted(sent, "messages")) == {f"C1:{stamp(0)}", f"C1:{stamp(1)}"}


def test_a_person_is_named_by_the_row_where_the_json_does_not(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {})
    maker.execute("UPDATE S_USER SET DATA = ? WHERE ID = 'U0OTHER'", b'{"id": 5, "name": "other"}')
    maker.close()

    on_disk.run()

    assert on_disk.held("users")["U0OTHER"]["name"] == "other"


def test_a_file_that_only_a_message_tells_of_is_taken_from_it(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(stamp(0), files=[file("F1", title="a"), file("F2", title="b")])]})
    maker.files("C1", file("F1", title="listed"))
    maker.close()

    on_disk.run()

    assert {key: one["title"] for key, one in on_disk.held("files").items()} == {"F1": "listed", "F2": "b"}


def test_the_count_of_reactions_holds_those_that_are_not_listed(directory: Path, on_disk: Holder) -> None:
    reactions = [{"name": "tada", "count": 70, "users": ["U1", "U2"]}]
    archived(directory, {"C1": [said(stamp(0), reactions=reactions)]}).close()

    on_disk.run()

    assert on_disk.held("messages")[f"C1:{stamp(0)}"]["reaction_count"] == 70
    assert len(on_disk.held("reactions")) == 2


def test_an_archive_without_a_session_is_not_an_empty_workspace(directory: Path, on_disk: Holder) -> None:
    ArchiveMaker(directory).close()

    assert {"users", "channels", "messages"} <= set(skips(on_disk.run()))


def test_a_second_run_sends_nothing_that_did_not_change(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(stamp(0))]}).close()
    on_disk.run()

    sent = on_disk.run()

    assert [one for stream in ALL for one in emitted(sent, stream)] == []


def test_a_stream_that_is_asked_for_in_a_narrow_way_does_not_keep_its_parent_from_its_place(
    directory: Path, on_disk: Holder
) -> None:
    archived(directory, {"C1": [said(stamp(0))]}).close()
    request = start(["messages"])
    narrow = StreamScope(name="reactions", resources=["C1:1:x:U1"])
    scope = StartScope(streams=[*request.scope.streams, narrow])

    sent = on_disk.send(request.model_copy(update={"scope": scope}))

    assert skips(sent)["reactions"].reason == Reason.SCOPE_NOT_SUPPORTED
    assert "messages" in on_disk.state


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
        ("MESSAGE", "ID", b"\xff", "messages"),
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


def test_a_damaged_schema_is_told_in_a_sentence(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})
    maker.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    maker.close()
    damaged = maker.path.read_bytes().replace(b"CREATE TABLE SESSION (", b"CREATE TAB\xdd\xff SESSION (")
    maker.path.write_bytes(damaged)

    assert {name: one.reason for name, one in skips(on_disk.run()).items()} == dict.fromkeys(
        ALL, Reason.SOURCE_PARTITION_FAILED
    )
