"""Collecting from a real Dovecot: every mailbox, whatever happens to them between two runs."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.connector import Reason, SourceAccount, State
from tests.connectors.gmail.conftest import ALL, TREE, Holder, gaps, holder, records, skips, to_close
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.mails import DAY, written

FILE = bytes(range(256)) * 3000


@pytest.fixture
def filled(server: Dovecot) -> Dovecot:
    """Three mails in two mailboxes."""
    with server.owner() as owner:
        owner.append("INBOX", written("plain"), msg_time=DAY, flags=[b"\\Seen"])
        owner.append("INBOX", written("rich", html="<p>Hello <b>you</b></p>", files={"übersicht.bin": FILE}))
        owner.create_folder("Reisen/Köln")
        owner.append("Reisen/Köln", written("answer", reply_to="plain"))
    return server


def test_the_first_run_takes_every_mailbox(filled: Dovecot, account: Holder) -> None:
    said = account.run()

    rows = account.by_subject()
    assert set(rows) == {"plain", "rich", "answer"}
    assert rows["plain"]["received_at"] == "2024-05-06T07:08:09.000Z"
    assert (rows["plain"]["is_seen"], rows["rich"]["is_seen"]) == (True, False)
    assert rows["answer"]["labels"] == ["Reisen/Köln"]
    assert rows["answer"]["thread_id"] == rows["plain"]["thread_id"]
    assert rows["plain"]["from_email"] == "ada@example.com"
    assert [one["email"] for one in rows["plain"]["to"]] == ["owner@example.com", "bo@example.org"]
    assert account.held("labels")["Reisen/Köln"]["parent_name"] == "Reisen"
    assert gaps(said) == []
    assert skips(said) == {}


def test_texts_and_attachments_are_held_whole(filled: Dovecot, account: Holder, tmp_path: Path) -> None:
    account.run()

    body = account.by_subject("message_bodies")["rich"]
    assert body["body_text"] == "Good morning.\n"
    assert "<b>you</b>" in body["body_html"]
    (attached,) = account.held("attachments").values()
    assert attached["filename"] == "übersicht.bin"
    assert attached["size_bytes"] == len(FILE)
    assert attached["content_sha256"] == hashlib.sha256(FILE).hexdigest()
    assert (tmp_path / attached["path"]).read_bytes() == FILE


def test_a_very_long_text_is_kept_as_a_file(server: Dovecot, account: Holder, tmp_path: Path) -> None:
    text = "".join(f"line {number} äöü\n" for number in range(60_000))
    with server.owner() as owner:
        owner.append("INBOX", written("long", text))

    account.run()

    (body,) = account.held("message_bodies").values()
    assert body["is_whole"] is False
    assert body["body_text"] == text[:65_536]
    (file,) = body["body_text_files"]
    assert (tmp_path / file["path"]).read_bytes().decode().replace("\r\n", "\n") == text


def test_the_second_run_brings_only_what_changed(filled: Dovecot, account: Holder) -> None:
    account.run()
    with filled.owner() as owner:
        owner.append("INBOX", written("new"))
        owner.select_folder("INBOX")
        owner.add_flags([1], [b"\\Flagged", b"$todo"])

    said = account.run()

    changed, new = records(said, "messages")
    assert changed.partial
    assert changed.data["flags"] == ["$todo", "\\Flagged", "\\Seen"]
    assert new.data["subject"] == "new"
    assert [row.data["message_id"] for row in records(said, "message_bodies")] == [new.key]
    assert records(said, "attachments") == records(said, "labels") == []


def test_a_run_without_news_says_nothing(filled: Dovecot, account: Holder) -> None:
    account.run()

    said = account.run()

    assert {type(one) for one in said} <= {SourceAccount, State, type(said[-1])}
    assert [row for stream in ALL for row in records(said, stream)] == []


def test_a_changed_flag_wipes_nothing(filled: Dovecot, account: Holder) -> None:
    account.run()
    before = account.by_subject()["plain"]
    with filled.owner() as owner:
        owner.select_folder("INBOX")
        owner.remove_flags([1], [b"\\Seen"])

    account.run()

    assert account.by_subject()["plain"] == {**before, "flags": [], "is_seen": False}


def test_a_deleted_mail_goes_with_its_text_and_attachments(filled: Dovecot, account: Holder) -> None:
    account.run()
    with filled.owner() as owner:
        owner.select_folder("INBOX")
        owner.delete_messages([2])
        owner.expunge()

    account.run()

    assert set(account.by_subject()) == set(account.by_subject("message_bodies")) == {"plain", "answer"}
    assert account.held("attachments") == {}


def test_a_moved_mail_is_held_once_and_where_it_is(filled: Dovecot, account: Holder) -> None:
    account.run()
    with filled.owner() as owner:
        owner.select_folder("INBOX")
        owner.move([1], "Reisen/Köln")

    account.run()

    assert len(account.held()) == 3
    assert account.by_subject()["plain"]["labels"] == ["Reisen/Köln"]


def test_a_mailbox_that_is_gone_takes_its_mails_along(filled: Dovecot, account: Holder) -> None:
    account.run()
    with filled.owner() as owner:
        owner.delete_folder("Reisen/Köln")

    account.run()

    assert set(account.by_subject()) == {"plain", "rich"}
    assert "Reisen/Köln" not in account.held("labels")


def test_a_mailbox_with_a_new_life_is_walked_anew_and_nothing_is_doubled(filled: Dovecot, account: Holder) -> None:
    account.run()
    before = set(account.held())
    with filled.owner() as owner:
        owner.delete_folder("Reisen/Köln")
        owner.create_folder("Reisen/Köln")
        owner.append("Reisen/Köln", written("another answer"))
        owner.append("Reisen/Köln", written("answer", reply_to="plain"))

    account.run()

    assert sorted(row["subject"] for row in account.held().values()) == ["another answer", "answer", "plain", "rich"]
    assert len(account.held("message_bodies")) == 4
    assert len(set(account.held()) & before) == 2


def test_a_walk_cut_anywhere_ends_with_the_same(filled: Dovecot, account: Holder, tmp_path: Path) -> None:
    with filled.owner() as owner:
        for number in range(4):
            owner.append("INBOX", written(f"more {number}", files={"a": bytes([number]) * 10}))
    account.run()
    whole = {stream: account.held(stream) for stream in ALL}
    for cut in range(1, 30, 4):
        pieces = holder(filled.settings, tmp_path / str(cut))
        pieces.run(cut=cut)
        pieces.run(cut=cut + 2)

        pieces.run()

        assert {stream: pieces.held(stream) for stream in ALL} == whole


def test_streams_that_are_asked_for_later_are_read_from_the_beginning(filled: Dovecot, account: Holder) -> None:
    account.run(["messages"])
    assert account.held("message_bodies") == {}
    assert account.by_subject()["rich"]["snippet"] == "Good morning."

    account.run(TREE)

    assert len(account.held("message_bodies")) == 3
    assert len(account.held("attachments")) == 1
    assert len(account.held()) == 3


def test_no_mail_is_marked_as_read(filled: Dovecot, account: Holder) -> None:
    account.run()

    with filled.owner() as owner:
        owner.select_folder("INBOX")
        assert owner.search("UNSEEN") == [2]


@pytest.mark.parametrize("mode", ["tls", "starttls"])
def test_encryption_needs_a_certificate_that_is_trusted(filled: Dovecot, tmp_path: Path, mode: str) -> None:
    port = filled.tls_port if mode == "tls" else filled.plain_port
    settings: dict[str, Any] = {**filled.settings, "tls": mode, "port": port}

    trusting = holder({**settings, "ca_file": str(filled.root / "cert.pem")}, tmp_path)
    trusting.run()
    doubting = skips(holder(settings, tmp_path).run())

    assert len(trusting.held()) == 3
    assert {one.reason for one in doubting.values()} == {Reason.NETWORK_ERROR.value}
    assert "certificate" in doubting["messages"].message


def test_a_wrong_password_stops_the_run_and_says_what_to_do(filled: Dovecot, tmp_path: Path) -> None:
    said = skips(holder(filled.settings, tmp_path, password="wrong").run())

    assert set(said) == set(ALL)
    assert {one.reason for one in said.values()} == {Reason.CREDENTIALS_EXPIRED.value}
    assert "app password" in said["messages"].message
    assert "wrong" not in said["messages"].message


def test_too_many_connections_are_pressure_not_a_wrong_password(server: Dovecot, account: Holder) -> None:
    with ExitStack() as others:
        for _ in range(4):
            others.enter_context(server.owner())
        said = skips(account.run())

    assert {one.reason for one in said.values()} == {Reason.RATE_LIMITED.value}


def test_an_account_that_cannot_be_opened_is_not_empty(server: Dovecot, account: Holder) -> None:
    with server.owner() as owner:
        owner.append("INBOX", written("here"))
    (server.mail / "cur").chmod(0)
    (server.mail / "new").chmod(0)

    said = account.run()

    (server.mail / "cur").chmod(0o700)
    (server.mail / "new").chmod(0o700)
    assert skips(said)["messages"].reason == Reason.SOURCE_PARTITION_FAILED.value


def test_a_mail_that_the_server_cannot_read_is_a_gap_until_it_can(filled: Dovecot, account: Holder) -> None:
    with filled.owner() as owner:
        owner.append("INBOX", written("broken"))
    (spoilt,) = [path for path in filled.mail.glob("*/*") if path.is_file() and b"Subject: broken" in path.read_bytes()]
    spoilt.chmod(0)
    missing = gaps(account.run())
    spoilt.chmod(0o600)

    account.run(gaps=to_close(missing), recovery_only=True)

    assert len(missing) == 1
    assert len(account.held("message_bodies")) == 4
