"""Mail in files through the real runtime and store: gaps that close, accounts that do not mix, older cursors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis import Redis

from pdpp_worker.connector import Record
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.connectors.gmail.conftest import Holder
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written
from tests.connectors.gmail.test_files import mbox
from tests.connectors.gmail.test_on_the_store import Account


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mail"
    made.mkdir()
    return made


@pytest.fixture
def account(folder: Path, settings: Settings, db: Database, redis: Redis) -> Account:
    source = cast(GmailServer, SimpleNamespace(settings={"mail_path": str(folder)}))
    return Account(source, settings, db, redis)


def subjects(account: Account) -> list[str]:
    return sorted(row["subject"] for row in account.held("messages").values())


def test_a_folder_alone_is_a_connection(account: Account, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one"), written("two")))

    assert account.run() == "succeeded"
    assert account.run() == "succeeded"

    assert subjects(account) == ["one", "two"]
    assert len(account.held("message_bodies")) == 2


def test_the_gap_of_a_cut_mail_is_closed_when_the_file_is_whole(account: Account, folder: Path) -> None:
    whole = mbox(written("one"), written("two", "A text of some length."))
    (folder / "Inbox.mbox").write_bytes(whole[:-12])
    account.run()
    assert account.open_gaps() == 1
    (folder / "Inbox.mbox").write_bytes(whole)
    account.make_gaps_due()

    account.run()

    assert subjects(account) == ["one", "two"]
    assert account.open_gaps() == 0


def test_the_gap_of_a_folder_that_was_not_mounted_is_closed(account: Account, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one")))
    account.run()
    (folder / "Inbox.mbox").rename(folder.parent / "away")
    account.run()
    assert account.open_gaps() > 0
    (folder.parent / "away").rename(folder / "Inbox.mbox")
    account.make_gaps_due()

    account.run()

    assert subjects(account) == ["one"]
    assert account.open_gaps() == 0


def test_the_gap_of_a_folder_stays_until_all_of_it_was_read(account: Account, folder: Path) -> None:
    account.run()
    (folder / "Inbox.mbox").write_bytes(mbox(written("one")))
    account.make_gaps_due()

    account.run()
    open_before = account.open_gaps()
    account.make_gaps_due()
    account.run()

    assert open_before > 0
    assert subjects(account) == ["one"]
    assert account.open_gaps() == 0


def test_a_strangers_folder_is_not_mixed_in(account: Account, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one")))
    account.run()
    (folder / "Inbox.mbox").write_bytes(mbox(written("a stranger's")))

    account.run()

    assert subjects(account) == ["one"]
    assert account.reasons() == {"another_account"}


def test_a_cursor_of_the_version_before_gets_what_is_new_and_doubles_nothing(gmail: GmailServer, inbox: Holder) -> None:
    raw = written("one", files={"a.bin": b"abc"}).replace(b'filename="a.bin"', b'filename="a.bin"; x-kind=seal')
    gmail.add(raw)
    inbox.run()
    position: dict[str, Any] = inbox.state["messages"]["mailboxes"]["\\All"]
    position["form"] = 2
    for one in inbox.sent:
        if isinstance(one, Record):
            one.data.pop("extra", None)

    inbox.run()

    (row,) = inbox.held("attachments").values()
    assert row["extra"] == {"disposition_parameters": {"x-kind": "seal"}}
    assert row["hydration_status"] == "hydrated"
    assert len(inbox.held()) == 1
