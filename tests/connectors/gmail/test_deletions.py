"""A message is deleted when whole walks of two runs, whose numbers agree, did not find it; silence proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdpp_worker.connector import Record
from tests.connectors.gmail.conftest import Holder, records, skips, there
from tests.connectors.gmail.faults import Hidden, silent
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written


@pytest.fixture
def five(gmail: GmailServer) -> GmailServer:
    for number in range(1, 6):
        gmail.add(written(f"mail {number}", files={"a.bin": b"x"} if number == 3 else None))
    return gmail


def deletions(said: list[Record]) -> list[str]:
    return [str(one.key) for one in said if one.op == "delete"]


def test_a_message_that_comes_back_under_another_uid_is_not_deleted(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.move_out_and_back(3)

    said = inbox.run() + inbox.run()

    assert deletions(records(said, "messages")) == []
    assert set(inbox.held()) == there(five)
    assert len(inbox.held("attachments")) == 1


def test_two_uids_of_one_message_outlive_the_loss_of_one(five: GmailServer, inbox: Holder) -> None:
    twin = five.add(written("mail 1"))
    twin.gm = five.messages[1].gm
    inbox.run()
    five.delete(1)

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_a_message_is_absent_in_two_runs_and_then_said_no_more(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    key = str(five.messages[3].gm)
    five.delete(3)

    said = [records(inbox.run(), "messages") for _ in range(3)]

    assert [deletions(one) for one in said] == [[key], [key], []]
    assert {one.ground for one in [*said[0], *said[1]]} == {"absent"}


def test_a_run_that_misses_a_mailbox_is_no_second_word(five: GmailServer, inbox: Holder) -> None:
    five.gmail = False
    inbox.run()
    five.delete(3)
    shut = [lambda command: "NO cannot open" if command == 'EXAMINE "INBOX"' else None]

    said = []
    for faults in ([], shut, [], []):
        five.faults = list(faults)
        said.append(len(deletions(records(inbox.run(), "messages"))))

    assert said == [1, 1, 1, 0]


def test_a_message_that_is_found_again_is_read_and_said_absent_no_more(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    mail = five.messages.pop(3)
    inbox.run()
    five.messages[3] = mail

    said = inbox.run() + inbox.run()

    assert [one.op for one in records(said, "messages")] == ["upsert"]
    assert set(inbox.held()) == there(five)


def test_a_look_at_uids_that_is_answered_with_silence_deletes_nothing(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.delete(2)
    five.faults.append(silent("(UID)"))

    said = inbox.run()
    five.faults.clear()
    inbox.run()

    assert deletions(records(said, "messages")) == []
    assert "counts 4 messages" in skips(said)["messages"].message
    assert set(inbox.held()) == there(five)


def test_a_message_that_cannot_be_read_again_is_not_deleted(five: GmailServer, inbox: Holder) -> None:
    inbox.run(["messages", "labels"])
    five.withheld.add(2)

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_a_new_life_and_a_message_that_is_refused_delete_nothing(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.renumber()
    five.withheld.add(2)

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_a_new_life_and_a_short_listing_delete_nothing(five: GmailServer, inbox: Holder, hidden: Hidden) -> None:
    inbox.run()
    five.renumber()
    hidden |= {1, 2}

    said = inbox.run()
    hidden.clear()
    inbox.run()

    assert deletions(records(said, "messages")) == []
    assert set(inbox.held()) == there(five)


def test_a_mailbox_that_is_left_out_of_the_list_and_can_be_opened_is_there(five: GmailServer, inbox: Holder) -> None:
    five.gmail = False
    inbox.run()
    name, five.all_mail = five.all_mail, None

    said = inbox.run()
    five.all_mail = name
    inbox.run()

    assert "does not list the mailbox" in skips(said)["messages"].message
    assert deletions(records(said, "messages")) == []
    assert len(inbox.held()) == 5


def test_a_label_that_is_not_listed_is_absent_in_two_runs(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.labels.clear()

    said = [records(inbox.run(), "labels") for _ in range(3)]

    assert [[(one.key, one.ground) for one in run] for run in said] == [[("Reisen/Köln", "absent")]] * 2 + [[]]


def test_details_that_are_selected_again_learn_of_the_deletions_meanwhile(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    inbox.run(["messages", "labels"])
    five.delete(3)
    inbox.run(["messages", "labels"])

    inbox.run()

    assert set(inbox.held("message_bodies")) == there(five)
    assert inbox.held("attachments") == {}


def test_a_server_that_stops_announcing_gmails_extensions_doubles_nothing(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.gmail = False

    said = inbox.run()

    assert "X-GM-EXT-1" in skips(said)["messages"].message
    assert set(inbox.held()) == there(five)


def test_a_cursor_of_the_version_before_has_its_records_told_anew_and_doubles_nothing(
    five: GmailServer, inbox: Holder, tmp_path: Path
) -> None:
    inbox.run()
    new = ("ever", "gone", "doubt", "looked", "run", "witnesses", "form", "retold", "large", "cap")
    saved = inbox.state["messages"]["mailboxes"]["\\All"]
    inbox.state["messages"]["mailboxes"]["\\All"] = {name: one for name, one in saved.items() if name not in new}
    five.delete(5)
    five.uidnext = 7

    said = inbox.run()

    assert [(one.op, one.partial) for one in records(said, "messages")] == [("upsert", True)] * 4 + [("delete", False)]
    assert records(said, "message_bodies")[0].op == "delete"
    assert set(inbox.held()) == there(five)
