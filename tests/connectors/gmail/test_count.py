"""An independent count: what a folder of many kinds holds equals records, gaps, and what is declared or unknown."""

from __future__ import annotations

import mailbox
import os
import re
from itertools import pairwise
from pathlib import Path

from pdpp_worker.connector import Inventory
from tests.connectors.gmail.conftest import gaps, holder
from tests.connectors.gmail.mails import written
from tests.connectors.gmail.test_files import mbox, takeout

_SEPARATOR = re.compile(rb"^From .*\d\d:\d\d.*(19|20)\d\d")


def fill(folder: Path) -> None:
    """Writes files with the standard library's own writers."""
    quoting = written("quoting", "Hello,\n\nFrom me to you.\n")
    box = mailbox.mbox(folder / "Inbox.mbox")
    for number in range(20):
        box.add(written(f"inbox {number}"))
    box.add(quoting)
    box.close()
    maildir = mailbox.Maildir(folder / "Maildir", create=True)
    for number in range(15):
        maildir.add(written(f"maildir {number}", files={"a.bin": b"abc"} if number % 5 == 0 else None))
    (folder / "All.mbox").write_bytes(takeout(1, written("one")) + takeout(2, written("two")))
    (folder / "cut.mbox").write_bytes(mbox(written("whole"), written("cut", "A text that is cut."))[:-9])
    (folder / "single.eml").write_bytes(written("single"))
    (folder / "old.pst").write_bytes(b"!BDN")
    for number in range(4):
        (folder / f"{number}.json").write_bytes(b"{}")


def counted(folder: Path) -> dict[str, int]:
    """Counts mails by the separators of mboxes, and files by what their names say."""
    totals = {"mails": 0, "files": 0}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            if name.endswith(".mbox"):
                lines = [b"", *path.read_bytes().splitlines()]
                totals["mails"] += sum(
                    not before and _SEPARATOR.match(line) is not None for before, line in pairwise(lines)
                )
            elif name.endswith(".eml") or re.search(r"/(cur|new)$", root):
                totals["mails"] += 1
            else:
                totals["files"] += 1
    return totals


def test_records_gaps_and_the_inventory_add_up_to_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    folder.mkdir()
    fill(folder)
    owner = holder({"mail_path": str(folder)}, tmp_path / "files")

    said = owner.run()

    (told,) = [one for one in said if isinstance(one, Inventory)]
    left = [one for one in told.members if one.disposition != "collected"]
    read = [one for one in told.members if one.disposition == "collected"]
    assert counted(folder) == {
        "mails": len(owner.held()) + len(gaps(said)),
        "files": sum(one.count or 0 for one in left),
    }
    assert sum(one.count or 0 for one in read) == len(owner.held())
    assert {one.disposition for one in left} == {"declared", "unknown"}
