"""Mail with attachments through a worker that encrypts files: they are on no disk in the clear, and come back whole."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from pathlib import Path

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files import connection_files, resealing
from pdpp_worker.stored_files.file_store import FileStore
from tests.connectors.gmail.conftest import FILE
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written
from tests.connectors.gmail.test_files import mbox
from tests.connectors.gmail.test_on_the_store import Account

SMALL = os.urandom(2_000)
LARGE = FILE * 2
"""Fetched in several pieces."""


def encrypting(settings: Settings) -> Settings:
    """The same settings, with files encrypted."""
    return settings.model_copy(update={"encrypt_files": True})


def store_of(settings: Settings) -> FileStore:
    """The files of the one connection."""
    [directory] = connection_files.directories(settings)
    return connection_files.store_at(settings, directory)


def clear_bytes(account: Account, store: FileStore) -> dict[str, bytes]:
    """The content of each attachment that records tell of, by file name."""
    return {row["filename"]: store.read(row["path"]) for row in account.held("attachments").values()}


def is_on_disk(folder: Path, content: bytes) -> bool:
    """Whether a stretch of this content is in any file there, as it is or as a line of base64 in a mail."""
    lines = [content[at : at + 57] for at in range(0, len(content) - 57, len(content) // 57 // 4 * 57)]
    stretches = [*lines, *map(b64encode, lines)]
    return any(part in path.read_bytes() for path in folder.rglob("*") if path.is_file() for part in stretches)


@pytest.fixture
def mailbox(gmail: GmailServer) -> GmailServer:
    """A mailbox of two mails with attachments, one of which is fetched in pieces."""
    gmail.add(written("plan", files={"plan.bin": SMALL}))
    gmail.add(written("film", files={"film.bin": LARGE}))
    return gmail


def test_of_an_attachment_nothing_is_on_the_disk_and_the_record_tells_of_its_clear_bytes(
    mailbox: GmailServer, settings: Settings, db: Database, redis: Redis
) -> None:
    settings = encrypting(settings)
    account = Account(mailbox, settings, db, redis)

    assert account.run() == "succeeded"

    assert not any(is_on_disk(settings.data_dir, content) for content in (SMALL, LARGE))
    assert clear_bytes(account, store_of(settings)) == {"plan.bin": SMALL, "film.bin": LARGE}
    told = {row["filename"]: (row["content_sha256"], row["size_bytes"]) for row in account.held("attachments").values()}
    assert told["film.bin"] == (hashlib.sha256(LARGE).hexdigest(), len(LARGE))


def test_the_pieces_of_a_download_that_was_cut_are_encrypted_and_used(
    mailbox: GmailServer, settings: Settings, db: Database, redis: Redis
) -> None:
    settings = encrypting(settings)
    account = Account(mailbox, settings, db, redis)
    mailbox.faults.append(lambda line: "NO [THROTTLED] later" if "BODY.PEEK[2]<1048576." in line else None)
    account.run()
    assert store_of(settings).names("partial") != []
    assert not is_on_disk(settings.data_dir, LARGE)
    mailbox.faults.clear()
    mailbox.commands.clear()
    account.make_gaps_due()

    account.run()

    assert not any("BODY.PEEK[2]<0." in command for command in mailbox.commands)
    assert clear_bytes(account, store_of(settings))["film.bin"] == LARGE
    assert store_of(settings).names("partial") == []


def test_attachments_of_a_fleet_that_did_not_encrypt_are_read_and_encrypted_on_demand(
    mailbox: GmailServer, settings: Settings, db: Database, redis: Redis
) -> None:
    account = Account(mailbox, settings, db, redis)
    account.run()
    assert is_on_disk(settings.data_dir, LARGE)
    before = clear_bytes(account, store_of(encrypting(settings)))

    resealing.reseal(encrypting(settings))

    assert not is_on_disk(settings.data_dir, LARGE)
    assert clear_bytes(account, store_of(settings)) == before


def test_the_marks_of_mails_in_files_are_encrypted_between_two_runs_and_found_again(
    mailbox: GmailServer, settings: Settings, db: Database, redis: Redis, tmp_path: Path
) -> None:
    settings = encrypting(settings)
    (tmp_path / "Holidays.mbox").write_bytes(mbox(written("one"), written("plan", files={"plan.bin": SMALL})))
    account = Account(mailbox, settings, db, redis)
    account.set("mail_path", str(tmp_path / "Holidays.mbox"))
    account.run()
    held = account.held("messages")

    kept = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert not is_on_disk(settings.data_dir, SMALL)
    assert [text in kept for text in (b"SQLite format 3", b"Holidays")] == [False, False]
    assert account.run() == "succeeded"
    assert account.held("messages") == held
