"""Mail in files: mbox in all its forms, Google Takeout, Maildir and single mails."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.gmail.connector import collect
from pdpp_worker.connector import DetailGapRecovered, Inventory, Message, SourceAccount, SourceMember
from tests.connectors.gmail.conftest import TREE, Holder, gaps, holder, records, skips, to_close
from tests.connectors.gmail.mails import written
from tests.support.connectors import start

SEPARATOR = b"From ada@example.com Mon May  6 07:08:09 2024\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mail"
    made.mkdir()
    return made


@pytest.fixture
def owner(folder: Path, tmp_path: Path) -> Holder:
    """The connector of an owner who has files alone."""
    return holder({"mail_path": str(folder)}, tmp_path / "files")


def mbox(*mails: bytes, separator: bytes = SEPARATOR) -> bytes:
    return b"".join(separator + mail.rstrip(b"\n") + b"\n\n" for mail in mails)


def subjects(held: Holder) -> list[str]:
    return sorted(str(row["subject"]) for row in held.held().values())


def inventory(said: list[Message]) -> list[SourceMember]:
    return [member for one in said if isinstance(one, Inventory) and one.part == "files" for member in one.members]


def test_every_mail_of_an_mbox_is_held_with_its_text_and_attachments(owner: Holder, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one"), written("two", "Second.", files={"a.bin": b"abc"})))

    said = owner.run()

    assert subjects(owner) == ["one", "two"]
    assert {row["body_text"] for row in owner.held("message_bodies").values()} == {"Good morning.\n", "Second.\n"}
    (attachment,) = owner.held("attachments").values()
    assert (owner.context.files / attachment["path"]).read_bytes() == b"abc"
    assert set(owner.held("labels")) == {"Inbox"}
    assert gaps(said) == []
    assert skips(said) == {}


def test_a_second_run_over_the_same_files_says_nothing_of_them(owner: Holder, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one")))
    (folder / "two.eml").write_bytes(written("two"))
    owner.run()

    assert records(owner.run(), "messages") == []


def test_an_mbox_that_grew_is_read_from_where_it_ended(owner: Holder, folder: Path) -> None:
    file = folder / "Inbox.mbox"
    file.write_bytes(mbox(written("one")))
    owner.run()
    file.write_bytes(file.read_bytes() + mbox(written("two")))

    said = owner.run()

    assert [one.data["subject"] for one in records(said, "messages")] == ["two"]


def test_files_that_are_moved_or_copied_double_nothing(owner: Holder, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one"), written("two")))
    owner.run()
    (folder / "old").mkdir()
    (folder / "Inbox.mbox").rename(folder / "old" / "2024.mbox")
    (folder / "copy.eml").write_bytes(written("one"))

    said = owner.run()

    assert subjects(owner) == ["one", "two"]
    assert [one for one in records(said, "messages") if one.op == "delete"] == []


_QUOTING = "Dear Bo,\n\nFrom here on it gets better.\n\nFrom Monday on, too.\n>From you I hear nothing.\nYours\n"


@pytest.mark.parametrize(
    "escaped",
    [
        lambda text: text,
        lambda text: text.replace("\nFrom ", "\n>From "),
        lambda text: text.replace("\n>From ", "\n>>From ").replace("\nFrom ", "\n>From "),
    ],
    ids=["as it is", "mboxo", "mboxrd"],
)
def test_a_line_that_begins_with_from_is_no_new_mail(
    owner: Holder, folder: Path, escaped: Callable[[str], str]
) -> None:
    raw = escaped(written("one", _QUOTING).decode()).encode()
    (folder / "Inbox.mbox").write_bytes(mbox(raw, written("two")))

    owner.run()

    assert subjects(owner) == ["one", "two"]
    (text,) = [row["body_text"] for row in owner.held("message_bodies").values() if "Dear" in row["body_text"]]
    assert "\nFrom here on" in text


def test_a_mail_that_is_counted_may_hold_a_whole_mbox(owner: Holder, folder: Path) -> None:
    raw = written("one", f"As you asked:\n\n{SEPARATOR.decode()}Subject: old\n\nold text\n")
    head, _, body = raw.partition(b"\n\n")
    counted = head + f"\nContent-Length: {len(body)}\n\n".encode() + body
    (folder / "Inbox.mbox").write_bytes(SEPARATOR + counted + b"\n" + mbox(written("two")))

    owner.run()

    assert subjects(owner) == ["one", "two"]
    assert any("old text" in row["body_text"] for row in owner.held("message_bodies").values())


def test_a_mail_after_one_that_was_cut_is_a_mail(owner: Holder, folder: Path) -> None:
    cut = SEPARATOR + written("one", "A longer text that was cut in the mid") + b""
    (folder / "Inbox.mbox").write_bytes(cut.rstrip(b"\n") + b"\n" + mbox(written("two")))

    owner.run()

    assert subjects(owner) == ["one", "two"]


@pytest.mark.parametrize("kept", [-8, -40])
def test_a_file_that_ends_within_a_mail_is_a_gap_until_it_is_whole(owner: Holder, folder: Path, kept: int) -> None:
    whole = mbox(written("one"), written("two", files={"a.bin": b"a" * 300}))
    (folder / "Inbox.mbox").write_bytes(whole[:kept])

    missing = gaps(owner.run())
    (folder / "Inbox.mbox").write_bytes(whole)
    said = owner.run(gaps=to_close(missing), recovery_only=True)

    assert [one.stream for one in missing] == ["messages"]
    assert subjects(owner) == ["one", "two"]
    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]


def test_the_gap_of_a_cut_mail_is_closed_by_the_same_mail_in_another_file(owner: Holder, folder: Path) -> None:
    whole = mbox(written("one"), written("two", "A text of some length."))
    (folder / "Inbox.mbox").write_bytes(whole[:-12])
    missing = gaps(owner.run())
    (folder / "Inbox.mbox").unlink()
    (folder / "Again.mbox").write_bytes(whole)

    said = owner.run(gaps=to_close(missing))

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert subjects(owner) == ["one", "two"]


def takeout(number: int, raw: bytes, labels: str = "Inbox,Opened", thread: int = 17) -> bytes:
    separator = f"From {1_278_455_344_230_334_865 + number}@xxx Mon May 06 07:08:09 +0000 2024\n".encode()
    added = f"X-GM-THRID: {1_278_455_344_230_334_865 + thread}\nX-Gmail-Labels: {labels}\n".encode()
    return mbox(added + raw, separator=separator).replace(b"\n", b"\r\n")


def test_takeout_gives_gmails_ids_labels_and_flags(owner: Holder, folder: Path) -> None:
    labels = '=?UTF-8?Q?Inbox,Unread,Starred,Reisen/K=C3=B6ln,"a,_b"?='
    with zipfile.ZipFile(folder / "takeout-1.zip", "w") as archive:
        archive.writestr("Takeout/Mail/All mail Including Spam and Trash.mbox", takeout(1, written("one"), labels))

    owner.run()

    (row,) = owner.held().values()
    assert row["id"] == "1278455344230334866"
    assert row["thread_id"] == "1278455344230334882"
    assert row["labels"] == ["Reisen/Köln", "\\Inbox", "\\Starred", "a, b"]
    assert (row["is_seen"], row["is_flagged"]) == (False, True)
    assert row["received_at"] == "2024-05-06T07:08:09.000Z"
    assert [name for name, _ in row["headers"] if name.startswith("X-G")] == []
    assert ["X-GM-THRID", "1278455344230334882"] in row["extra"]["fields_of_file"]


def test_two_mails_under_one_id_are_two_records(owner: Holder, folder: Path) -> None:
    (folder / "All.mbox").write_bytes(takeout(1, written("one")) + takeout(1, written("other")))
    (folder / "Inbox.mbox").write_bytes(mbox(written("same", "Text."), written("same", "Other text.")))

    owner.run()

    assert subjects(owner) == ["one", "other", "same", "same"]


def test_a_maildir_is_read_with_its_folders_and_flags(owner: Holder, folder: Path) -> None:
    for name in ("cur", "new", "tmp", ".Sent.2024/cur"):
        (folder / name).mkdir(parents=True)
    (folder / "cur" / "1.host:2,FS").write_bytes(written("one"))
    (folder / "new" / "2.host").write_bytes(written("two"))
    (folder / "tmp" / "3.host").write_bytes(b"From: ada")
    (folder / ".Sent.2024" / "cur" / "4.host:2,R").write_bytes(written("four"))

    said = owner.run()

    rows = owner.by_subject()
    assert {name: row["flags"] for name, row in rows.items()} == {
        "one": ["\\Flagged", "\\Seen"],
        "two": [],
        "four": ["\\Answered"],
    }
    assert rows["four"]["labels"] == ["Sent/2024"]
    assert [(one.disposition, one.count) for one in inventory(said) if one.kind == "files"] == [("declared", 1)]


def test_a_flag_that_changes_in_a_maildir_is_read_and_nothing_is_doubled(owner: Holder, folder: Path) -> None:
    (folder / "cur").mkdir()
    for number in range(100):
        (folder / "cur" / f"{number}.host:2,").write_bytes(written(f"mail {number}"))
    owner.run()
    (folder / "cur" / "7.host:2,").rename(folder / "cur" / "7.host:2,S")

    said = owner.run()

    assert owner.by_subject()["mail 7"]["is_seen"] is True
    assert len(owner.held()) == 100
    assert len(records(said, "messages")) < 30


def test_what_a_folder_holds_beside_mail_is_named(owner: Holder, folder: Path) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(written("one"), written("two")))
    (folder / "old.pst").write_bytes(b"!BDN")
    for number in range(3):
        (folder / f"{number}.json").write_bytes(b"{}")

    members = {(one.name, one.disposition): (one.count, one.streams) for one in inventory(owner.run())}

    assert members == {
        ("Inbox.mbox", "collected"): (2, TREE),
        ("*.pst", "declared"): (1, []),
        ("*.json", "unknown"): (3, []),
    }


@pytest.mark.parametrize("cut", [1, 150, 320, 390, 450])
def test_a_walk_that_is_stopped_anywhere_misses_and_doubles_nothing(owner: Holder, folder: Path, cut: int) -> None:
    (folder / "Inbox.mbox").write_bytes(mbox(*(written(f"mail {number}") for number in range(110))))
    for number in range(110, 130):
        (folder / f"{number}.eml").write_bytes(written(f"mail {number}"))
    owner.run(cut=cut)

    owner.run()

    assert len(owner.held()) == len(owner.held("message_bodies")) == 130


def test_a_folder_without_mail_is_a_gap_and_no_deletion(owner: Holder, folder: Path) -> None:
    file = folder / "Inbox.mbox"
    file.write_bytes(mbox(written("one")))
    owner.run()
    file.unlink()

    said = owner.run()

    assert set(skips(said)) == set(TREE)
    assert subjects(owner) == ["one"]


def test_files_of_another_owner_have_another_account(owner: Holder, folder: Path) -> None:
    file = folder / "Inbox.mbox"
    file.write_bytes(mbox(written("one"), written("two")))
    first = account_of(owner.run())
    file.write_bytes(mbox(written("one"), written("two"), written("three")))
    longer = account_of(owner.run())
    file.write_bytes(mbox(written("a stranger's")))

    other = account_of(owner.run())

    assert first == longer
    assert other != first


def account_of(said: list[Message]) -> Any:
    (account,) = [one.identity for one in said if isinstance(one, SourceAccount)]
    return account


def test_memory_does_not_grow_with_an_mbox(owner: Holder, folder: Path) -> None:
    large = mbox(written("large", "Good morning.\n" * 20_000))
    with (folder / "Inbox.mbox").open("wb") as file:
        for number in range(90):
            file.write(large.replace(b"Subject: large", f"Subject: {number}".encode()))
    tracemalloc.start()

    for _ in collect(start(["messages"], {}), owner.context):
        pass

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (folder / "Inbox.mbox").stat().st_size > 25_000_000
    assert peak < 35_000_000
