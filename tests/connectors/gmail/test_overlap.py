"""One connection that reads a server and files: nothing is held twice, nor deleted while a file holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.gmail import gmail_server
from tests.connectors.gmail.conftest import TREE, Holder, holder
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written
from tests.connectors.gmail.test_files import mbox, subjects, takeout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mail"
    made.mkdir()
    return made


@pytest.fixture
def both(gmail: GmailServer, folder: Path, tmp_path: Path) -> Holder:
    """The connector of an owner with a Gmail and with files."""
    settings = {**gmail.settings, "mail_path": str(folder)}
    return holder(settings, tmp_path / "files", password=gmail_server.PASSWORD)


def moved(held: Holder, settings: dict[str, object]) -> Holder:
    """The same connection with other settings."""
    other = holder(settings, held.context.files, password=gmail_server.PASSWORD)
    other.sent, other.state, other.runs = held.sent, held.state, held.runs
    return other


def in_all(held: Holder) -> dict[str, int]:
    return {stream: len(held.held(stream)) for stream in TREE}


def test_takeout_and_imap_are_one_history(gmail: GmailServer, both: Holder, folder: Path) -> None:
    gmail.add(written("one"), labels={"\\Inbox"})
    (folder / "All.mbox").write_bytes(takeout(1, written("one"), "Archived") + takeout(9, written("deleted long ago")))

    both.run()

    assert subjects(both) == ["deleted long ago", "one"]
    assert both.by_subject()["one"]["labels"] == ["\\Inbox"]


@pytest.mark.parametrize("size", [0, 262_144], ids=["by parts", "whole"])
def test_a_copy_of_a_servers_mail_is_the_same_record(server: Dovecot, folder: Path, tmp_path: Path, size: int) -> None:
    raw = written("one", "From here on.\n\n>From you.\n", files={"a.bin": b"abc"})
    with server.owner() as owner:
        owner.append("INBOX", raw.replace(b"\n", b"\r\n"))
    escaped = raw.replace(b"\nFrom ", b"\n>From ")
    (folder / "copy.mbox").write_bytes(mbox(b"Status: RO\n" + escaped, written("two")))
    held = holder({**server.settings, "mail_path": str(folder), "max_source_bytes": size}, tmp_path / "files")

    held.run()

    assert subjects(held) == ["one", "two"]
    assert in_all(held) == {"messages": 2, "message_bodies": 2, "attachments": 1}


def test_two_mails_of_one_message_id_are_two_records_from_two_sources(
    server: Dovecot, folder: Path, tmp_path: Path
) -> None:
    with server.owner() as owner:
        owner.append("INBOX", written("one", "The first text.").replace(b"\n", b"\r\n"))
    (folder / "copy.eml").write_bytes(written("one", "The other one.."))
    held = holder({**server.settings, "mail_path": str(folder)}, tmp_path / "files")

    held.run()

    texts = {row["body_text"] for row in held.held("message_bodies").values()}
    assert texts == {"The first text.\n", "The other one..\n"}


def test_files_that_came_first_give_way_to_the_servers_ids(server: Dovecot, folder: Path, tmp_path: Path) -> None:
    raw = written("one", files={"a.bin": b"abc"})
    (folder / "copy.mbox").write_bytes(mbox(raw, written("two")))
    settings = {**server.settings, "mail_path": str(folder)}
    held = holder(settings, tmp_path / "files")
    held.run()
    with server.owner() as owner:
        owner.append("INBOX", raw.replace(b"\n", b"\r\n"))

    held.run()

    assert in_all(held) == {"messages": 2, "message_bodies": 2, "attachments": 1}
    assert {row["mailbox"] for row in held.held().values()} == {"INBOX", "copy"}


def test_files_that_are_added_to_an_account_that_was_read_double_nothing(
    gmail: GmailServer, inbox: Holder, folder: Path
) -> None:
    for number in range(1, 4):
        gmail.add(written(f"mail {number}"))
    inbox.run()
    (folder / "copy.mbox").write_bytes(mbox(written("mail 1"), written("mail 2"), written("mail 9")))
    both = moved(inbox, {**gmail.settings, "mail_path": str(folder)})

    both.run()

    assert subjects(both) == ["mail 1", "mail 2", "mail 3", "mail 9"]


def test_a_mail_that_the_server_deletes_and_a_file_holds_is_kept(
    gmail: GmailServer, both: Holder, folder: Path
) -> None:
    gmail.add(written("one"))
    gmail.add(written("two"))
    (folder / "copy.mbox").write_bytes(mbox(written("one")))
    both.run()
    gmail.delete(1, 2)
    gmail.add(written("three"))

    both.run()
    both.run()

    assert subjects(both) == ["one", "three"]


def test_a_server_that_is_down_keeps_no_mail_in_files_out(gmail: GmailServer, both: Holder, folder: Path) -> None:
    gmail.faults.append(lambda command: "NO [UNAVAILABLE] down" if command.startswith("LIST") else None)
    (folder / "copy.mbox").write_bytes(mbox(written("one")))

    both.run()

    assert subjects(both) == ["one"]
