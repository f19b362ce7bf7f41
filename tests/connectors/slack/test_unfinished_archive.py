"""The missing parts of an unfinished archive are gaps, and close by a later session's records."""

from __future__ import annotations

from pathlib import Path

from pdpp_worker.connector import Reason
from tests.connectors.slack.account import (
    THREAD,
    archived,
    channel,
    said,
    stamp,
    thread,
)
from tests.connectors.slack.conftest import Holder, emitted, gaps, recovered, skips

ONE, TWO, THREE = (stamp(second) for second in (1, 2, 3))


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
