"""Collecting from a server with Gmail's extensions: one mailbox, ids that last, labels as fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdpp_worker.connector import Inventory, Reason
from tests.connectors.gmail.conftest import Holder, holder, records, skips
from tests.connectors.gmail.gmail_server import TOKEN, GmailServer
from tests.connectors.gmail.mails import written


def fill(gmail: GmailServer, count: int = 3) -> None:
    first = gmail.add(written("mail 1"), labels={"\\Inbox", "Reisen/Köln"})
    for number in range(2, count + 1):
        gmail.add(written(f"mail {number}", files={"a.bin": bytes([number])}), thread=first.gm)


def test_only_all_mail_is_read_whatever_its_name(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)

    inbox.run()

    assert set(inbox.by_subject()) == {"mail 1", "mail 2", "mail 3"}
    assert gmail.asked("EXAMINE") == ['EXAMINE "[Gmail]/Alle Nachrichten"']


@pytest.mark.parametrize("spelled", [b"A&B", b"Caf\xc3\xa9", b"&!!!-", b"&2AA-"])
def test_a_mailbox_with_a_name_out_of_all_rules_is_asked_for_as_the_server_spells_it(
    gmail: GmailServer, inbox: Holder, spelled: bytes
) -> None:
    gmail.gmail = False
    gmail.misspelled.append(spelled)
    fill(gmail)

    said = inbox.run()

    assert f'EXAMINE "{spelled.decode()}"' in gmail.asked("EXAMINE")
    assert spelled.decode() in inbox.held("labels")
    assert len(inbox.held()) == 3
    assert skips(said) == {}


def test_messages_carry_gmails_ids_and_labels(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail, 2)
    one, two = gmail.messages[1], gmail.messages[2]

    inbox.run()

    held = inbox.held()
    assert set(held) == {str(one.gm), str(two.gm)}
    assert held[str(one.gm)]["labels"] == ["Reisen/Köln", "\\Inbox"]
    assert held[str(two.gm)]["thread_id"] == str(one.thread)
    assert set(inbox.held("attachments")) == {f"{two.gm}:0"}


def test_a_label_set_elsewhere_is_laid_over_what_is_held(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)
    inbox.run()
    before = inbox.by_subject()["mail 1"]
    gmail.change(1, labels={"\\Starred"})

    said = inbox.run()

    assert inbox.by_subject()["mail 1"] == {**before, "labels": ["\\Starred"]}
    assert len(records(said, "messages")) == 1


def test_a_modseq_beyond_53_bits_is_kept_exactly(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)

    inbox.run()

    assert inbox.state["messages"]["mailboxes"]["\\All"]["modseq"] == str(gmail.modseq)


def test_what_changes_during_the_first_walk_is_seen_by_the_next(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)

    def change(command: str) -> None:
        if "BODY.PEEK[HEADER" in command and not gmail.messages[1].flags:
            gmail.faults.clear()

    gmail.faults.append(change)
    inbox.run(cut=8)
    gmail.change(1, flags={"\\Seen"})
    inbox.run()
    inbox.run()

    assert inbox.by_subject()["mail 1"]["is_seen"] is True


def test_new_uids_for_all_messages_fetch_no_content_again(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)
    inbox.run()
    held = inbox.held(), inbox.held("message_bodies"), inbox.held("attachments")
    gmail.renumber()
    gmail.add(written("new"))
    gmail.commands.clear()

    inbox.run()

    assert len(inbox.held()) == 4
    assert {key: inbox.held()[key] for key in held[0]} == held[0]
    assert {key: inbox.held("message_bodies")[key] for key in held[1]} == held[1]
    assert inbox.held("attachments") == held[2]
    assert gmail.asked("BODY.PEEK[]") == ["UID FETCH 4 (UID BODY.PEEK[])"]
    assert gmail.asked("BODY.PEEK[1]") == []


def test_what_was_deleted_while_the_uids_changed_is_gone(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)
    inbox.run()
    gmail.delete(2)
    gmail.renumber()

    inbox.run()

    assert set(inbox.by_subject()) == {"mail 1", "mail 3"}
    assert len(inbox.held("attachments")) == 1


def test_two_new_lives_before_the_walk_ends_lose_no_deletion(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail, 3)
    inbox.run()
    gmail.delete(2)
    gmail.renumber()
    late = gmail.add(written("late"), uid=50)
    inbox.run(cut=11)
    assert set(inbox.by_subject()) == {"mail 1", "mail 2", "mail 3", "late"}
    gmail.delete(late.uid)
    gmail.renumber()

    inbox.run()

    assert set(inbox.by_subject()) == {"mail 1", "mail 3"}


def test_a_renamed_all_mail_is_the_same_mailbox(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)
    inbox.run()
    gmail.all_mail = "[Gmail]/All Mail"

    said = inbox.run()

    assert records(said, "messages") == []


def test_a_hidden_all_mail_is_no_empty_account(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)
    gmail.all_mail = None

    said = skips(inbox.run())

    assert said["messages"].reason == Reason.SOURCE_PARTITION_FAILED.value
    assert "Show in IMAP" in said["messages"].message
    assert "labels" not in said


def test_holes_of_millions_between_uids_cost_few_commands(gmail: GmailServer, inbox: Holder) -> None:
    for uid in (1, 4_000_000, 4_000_000_000):
        gmail.add(written(f"uid {uid}"), uid=uid)

    inbox.run()

    assert len(inbox.held()) == 3
    assert len(gmail.asked("(UID)")) < 40


def test_a_server_without_condstore_has_its_flags_compared(gmail: GmailServer, inbox: Holder) -> None:
    gmail.condstore = False
    fill(gmail)
    inbox.run()
    gmail.change(2, flags={"\\Flagged"})
    gmail.delete(3)

    said = inbox.run()
    again = inbox.run()

    assert [row.op for row in records(said, "messages")] == ["upsert", "delete"]
    assert inbox.by_subject()["mail 2"]["is_flagged"] is True
    assert [row.op for row in records(again, "messages")] == ["delete"]


def test_without_the_extensions_the_same_server_is_read_by_mailbox(gmail: GmailServer, inbox: Holder) -> None:
    gmail.gmail = False
    fill(gmail)

    inbox.run()

    rows = inbox.by_subject()
    assert set(rows) == {"mail 1", "mail 2", "mail 3"}
    assert rows["mail 1"]["labels"] == ["[Gmail]/Alle Nachrichten"]
    assert len(gmail.asked("EXAMINE")) == 4


def test_a_token_signs_in_without_a_password(gmail: GmailServer, tmp_path: Path) -> None:
    fill(gmail)
    signed_in = holder(gmail.settings, tmp_path, oauth_token=TOKEN)

    signed_in.run()

    assert len(signed_in.held()) == 3
    assert gmail.asked("AUTHENTICATE") == ["AUTHENTICATE XOAUTH2"]


def test_an_expired_token_stops_the_run(gmail: GmailServer, tmp_path: Path) -> None:
    said = skips(holder(gmail.settings, tmp_path, oauth_token="stale").run())

    assert {one.reason for one in said.values()} == {Reason.CREDENTIALS_EXPIRED.value}
    assert gmail.asked("LIST") == []


def test_an_app_password_may_be_typed_as_google_shows_it(gmail: GmailServer, tmp_path: Path) -> None:
    fill(gmail)
    spaced = holder(gmail.settings, tmp_path, password="abcd efgh ijkl mnop")

    spaced.run()

    assert len(spaced.held()) == 3


def test_the_connector_changes_nothing(gmail: GmailServer, inbox: Holder) -> None:
    fill(gmail)

    inbox.run()

    assert not [line for line in gmail.commands if line.split()[0] in ("SELECT", "STORE", "EXPUNGE", "COPY", "APPEND")]
    assert gmail.asked("BODY[") == []


def test_every_mailbox_of_the_server_is_named_with_what_becomes_of_it(gmail: GmailServer, inbox: Holder) -> None:
    gmail.add(written("one"))

    (told,) = [one for one in inbox.run() if isinstance(one, Inventory)]

    assert {one.name: (one.disposition, one.count) for one in told.members} == {
        "[Gmail]/Alle Nachrichten": ("collected", 1),
        "[Gmail]": ("declared", None),
        "[Gmail]/Papierkorb": ("declared", None),
        "INBOX": ("declared", None),
        "Reisen/Köln": ("declared", None),
    }
    reasons = {one.name: one.reason for one in told.members}
    assert "Takeout" in str(reasons["[Gmail]/Papierkorb"])
