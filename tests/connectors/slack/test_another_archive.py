"""An archive that is another one than was read before, or that contradicts itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.slack import ingest
from pdpp_worker.connector import BatchScope, GapToClose, Record, ResourceScope, SourceAccount
from tests.connectors.slack.account import (
    TEAM,
    THREAD,
    ArchiveMaker,
    archived,
    channel,
    file,
    said,
    stamp,
    thread,
    user,
)
from tests.connectors.slack.conftest import Holder, connection, deleted, emitted, gaps, recovered, settings, skips
from tests.connectors.slack.provider import Slack
from tests.support.connectors import context

ANOTHER_TIME = "UPDATE SESSION SET CREATED_AT = '2027-01-01 00:00:00'"


def made_anew(directory: Path, messages: list[str], *, team: str = TEAM, final: bool = True) -> None:
    """Another archive of the channel in the same place; a walk that is not final died in it."""
    shutil.rmtree(directory, ignore_errors=True)
    maker = ArchiveMaker(directory)
    maker.begin()
    maker.execute(ANOTHER_TIME)
    maker.workspace(team)
    maker.users(user("U1"))
    maker.channels(channel("C1"))
    maker.messages("C1", [said(ts) for ts in messages], final=final)
    if final:
        maker.finish()
    maker.close()


def channel_gap(key: str = "C1") -> GapToClose:
    """A gap of a channel, numbered 7."""
    scope = BatchScope(partition={"channel_id": key})
    return GapToClose(gap_id="7", stream="messages", scope=scope, reason="network_error")


def test_an_archive_that_was_restored_and_has_grown_is_read_again(
    directory: Path, on_disk: Holder, tmp_path: Path
) -> None:
    archived(directory, {"C1": [said(stamp(1))]}).close()
    shutil.copytree(directory, tmp_path / "backup")
    grown = ArchiveMaker(directory)
    grown.begin("resume")
    for second in range(5):
        grown.messages("C1", [said(stamp(100 + second))])
    grown.close()
    on_disk.run()

    shutil.rmtree(directory)
    shutil.copytree(tmp_path / "backup", directory)
    restored = ArchiveMaker(directory)
    restored.begin("resume")
    for second in range(6):
        restored.messages("C1", [said(stamp(200 + second))])
    restored.close()
    on_disk.run()

    assert {f"C1:{stamp(200 + second)}" for second in range(6)} <= on_disk.held("messages").keys()


def test_an_archive_made_in_the_same_second_is_another_one(directory: Path, on_disk: Holder) -> None:
    made_anew(directory, [stamp(1), stamp(2)])
    on_disk.run()
    made_anew(directory, [stamp(3)])

    on_disk.run()

    assert f"C1:{stamp(3)}" in on_disk.held("messages")


def test_a_cursor_of_the_version_before_is_read_from_the_beginning_once(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": [said(stamp(1))]}).close()
    on_disk.run()
    del on_disk.state["messages"]["mark"], on_disk.state["messages"]["with"]

    assert emitted(on_disk.run(), "messages") == [f"C1:{stamp(1)}"]
    assert emitted(on_disk.run(), "messages") == []


@pytest.mark.parametrize("is_recovered", [True, False])
def test_what_another_archive_lacks_is_a_gap_though_it_was_one_before(
    directory: Path, on_disk: Holder, is_recovered: bool
) -> None:
    maker = archived(directory, {}, finished=False)
    maker.channels(channel("C1"))
    maker.messages("C1", [said(stamp(9))], final=False)
    known = gaps(on_disk.run())["C1"].known
    if is_recovered:
        maker.begin("archive", "archive|C1")
        maker.messages("C1", [said(stamp(9)), said(stamp(1))])
        maker.finish()
        assert recovered(on_disk.run(gaps=[known], recovery_only=True)) == ["7"]
    maker.close()
    made_anew(directory, [stamp(900)], final=False)

    assert gaps(on_disk.run()).keys() == {"C1"}


@pytest.mark.parametrize(
    "known",
    [
        channel_gap("C2"),
        GapToClose(
            gap_id="7", stream="messages", scope=ResourceScope(resource_id=f"C2:{stamp(5)}"), reason="parse_failed"
        ),
        GapToClose(gap_id="7", stream="users", scope=ResourceScope(resource_id="U404"), reason="parse_failed"),
    ],
)
def test_what_an_archive_does_not_hold_is_not_absent(directory: Path, on_disk: Holder, known: GapToClose) -> None:
    archived(directory, {"C1": [said(stamp(1))]}).close()

    assert recovered(on_disk.run(gaps=[known], recovery_only=True)) == []


def test_a_thread_short_of_its_latest_reply_is_a_gap_though_its_session_has_ended_well(
    directory: Path, on_disk: Holder
) -> None:
    maker = archived(directory, {})
    maker.channels(channel("C1"))
    messages = thread(stamp(1), *(stamp(2 + at) for at in range(6)))
    maker.messages("C1", messages[:1])
    maker.messages("C1", messages[:3], kind=THREAD)
    maker.finish()

    assert gaps(on_disk.run()).keys() == {f"C1/{stamp(1)}"}


def test_of_a_reaction_whose_users_are_listed_in_part_none_is_deleted(directory: Path, on_disk: Holder) -> None:
    whole = [{"name": "tada", "users": ["U1", "U2", "U3"], "count": 3}]
    maker = archived(directory, {"C1": [said(stamp(1), reactions=whole)]})
    maker.messages("C1", [said(stamp(1), reactions=[{"name": "tada", "users": ["U9", "U1"], "count": 5}])])

    assert deleted(on_disk.run(), "reactions") == []


def test_members_that_came_while_their_walk_was_cut_are_read_by_the_next(
    directory: Path, on_disk: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "RECORDS_PER_STATE", 2)
    maker = archived(directory, {f"C{at}": [said(stamp(1))] for at in (1, 2, 3)})
    for key in ("C1", "C2", "C3"):
        maker.members(key, "U1", "U2")
    on_disk.run(["channel_memberships"], cut=4)
    assert on_disk.state["channel_memberships"]["channel"] == "C1"

    maker.begin("resume")
    maker.members("C1", "U1", "U2", "U3")
    maker.finish()
    for _ in range(2):
        on_disk.run(["channel_memberships"])

    assert "C1:U3" in on_disk.held("channel_memberships")


def test_a_list_of_members_below_its_count_deletes_nobody_and_is_a_gap(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {})
    maker.channels(channel("C1", num_members=3))
    maker.messages("C1", [])
    maker.members("C1", "U1", "U2", "U3")
    on_disk.run()
    maker.begin("resume")
    maker.members("C1", "U1")
    maker.finish()

    sent = on_disk.run()

    assert deleted(sent, "channel_memberships") == []
    assert gaps(sent).keys() == {"C1"}


def test_who_left_is_doubted_in_two_runs(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": []})
    maker.members("C1", "U1", "U2")
    on_disk.run()
    maker.begin("resume")
    maker.members("C1", "U2")
    maker.finish()

    said_in = [on_disk.run() for _ in range(3)]

    assert [deleted(sent, "channel_memberships") for sent in said_in] == [["C1:U1"], ["C1:U1"], []]
    assert {one.ground for sent in said_in for one in sent if isinstance(one, Record) and one.op == "delete"} == {
        "absent"
    }


def test_a_canvas_that_is_gone_is_noted_as_such(directory: Path, on_disk: Holder) -> None:
    maker = archived(directory, {"C1": []})
    maker.files("C1", file("F1", mode="quip", filetype="quip", title="Plan"))
    maker.files("C1", {"id": "F1", "mode": "tombstone"})

    on_disk.run()

    assert on_disk.held("files") == {}
    assert (on_disk.held("canvases")["F1"]["title"], on_disk.held("canvases")["F1"]["mode"]) == ("Plan", "tombstone")


def test_a_token_that_is_refused_costs_an_archive_beside_it_nothing(directory: Path, slack: Slack) -> None:
    archived(directory, {"C1": [said(stamp(1))]}).close()
    values = settings(archive=str(directory), run_slackdump=False, base_url=slack.url)
    holder = Holder(context(values, {"token": "xoxp-wrong"}))

    sent = holder.run(gaps=[channel_gap()])

    assert skips(sent) == {}
    assert [one.gap_id for one in gaps(sent).values()] == ["7"]
    assert set(holder.held("messages")) == {f"C1:{stamp(1)}"}


def test_a_stream_that_is_added_gets_what_its_parent_has_read_before(directory: Path, on_disk: Holder) -> None:
    reaction = [{"name": "tada", "users": ["U1"], "count": 1}]
    maker = archived(directory, {"C1": [said(stamp(1), reactions=reaction)]})
    maker.channels(channel("C1", num_members=7))
    on_disk.run(["messages", "channels"])

    on_disk.run(["messages", "reactions", "channels", "channel_stats"])

    assert on_disk.held("reactions")
    assert on_disk.held("channel_stats")


def test_archive_and_web_api_name_the_same_workspace(directory: Path, on_disk: Holder, slack: Slack) -> None:
    archived(directory, {"C1": [said(stamp(1))]}).close()

    named = [
        [one.identity for one in sent if isinstance(one, SourceAccount)]
        for sent in (on_disk.run(), Holder(connection(slack, token=slack.token)).run())
    ]

    assert named == [[TEAM], [TEAM]]
