"""Reading an archive that lies on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.slack import archive
from pdpp_worker.connector import Reason
from pdpp_worker.protocol.messages import StartScope
from pdpp_worker.protocol.scope import StreamScope
from tests.connectors.slack.account import (
    THREAD,
    ArchiveMaker,
    archived,
    channel,
    file,
    number,
    said,
    stamp,
    user,
    whole_channel,
)
from tests.connectors.slack.conftest import ALL, Holder, emitted, skips
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


def test_the_earlier_texts_of_an_edited_message_are_kept(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": [said(ONE, "first")]})
    maker.messages("C1", [said(ONE, "second", edited={"ts": TWO, "user": "U0OWNER"})])
    maker.messages("C1", [said(ONE, "third", edited={"ts": THREE, "user": "U0OWNER"})])

    on_disk.run()

    held = on_disk.held("messages")[f"C1:{ONE}"]
    assert held["text"] == "third"
    assert held["earlier_texts"] == [{"text": "second", "edited_ts": TWO}, {"text": "first", "edited_ts": None}]


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


def test_messages_are_keyed_by_their_exact_time() -> None:
    assert number(stamp(1, 1)) - number(stamp(1)) == 1


def test_the_newest_version_is_looked_up_by_the_message_and_not_through_its_channel(directory: Path) -> None:
    maker = archived(directory, {"C1": [said(ONE)]})

    plan = [row[3] for row in maker.execute(f"EXPLAIN QUERY PLAN {archive.MESSAGES_AFTER}", 0, 0)]

    lookups = [step for step in plan if step.startswith(("SEARCH n", "SEARCH o"))]
    assert len(lookups) == 2
    assert all("(ID=? AND CHUNK_ID" in step for step in lookups)


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


def test_records_of_an_earlier_version_are_read_once_more(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(stamp(0))]}).close()
    on_disk.run()
    for cursor in on_disk.state.values():
        del cursor["form"]

    again, third = on_disk.run(), on_disk.run()

    assert [len(emitted(sent, "messages")) for sent in (again, third)] == [1, 0]
    assert [len(emitted(sent, "users")) for sent in (again, third)] == [2, 0]
