"""Nothing of an inbox goes unnamed: other columns of an export are kept, and every file is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.connector import Inventory, Message
from tests.connectors.usaa.owner import Owner
from tests.connectors.usaa.papers import HEADER, Row, checking, export, line
from tests.connectors.usaa.test_other_forms import FORMER, OFX, QIF

STORE = line("01/05/2026", "GROCERY #12", "-4.50")


def extras(owner: Owner) -> list[Any]:
    return [row.get("extra") for row in owner.held("transactions")]


def members(sent: list[Message]) -> dict[str, tuple[str, int | None]]:
    """Name of each member to what becomes of it and how many there are."""
    [inventory] = [one for one in sent if isinstance(one, Inventory)]
    return {one.name: (one.disposition, one.count) for one in inventory.members}


def test_a_column_that_is_no_field_is_kept_beside_it(owner: Owner, inbox: Path) -> None:
    header = (*HEADER, "Transaction Type", "Mood", "")
    (inbox / "a.csv").write_bytes(export([*STORE, "ACH", "cheerful", "x"], header=header))

    owner.run()

    assert extras(owner) == [{"Transaction Type": "ACH", "Mood": "cheerful", "column 9": "x"}]


def test_an_export_without_other_columns_has_nothing_beside_it(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(STORE))

    owner.run()

    assert extras(owner) == [None]


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        (OFX, {"TRNTYPE": "CREDIT", "FITID": "2", "NAME": "EMPLOYER"}),
        (QIF.replace(b"PEMPLOYER", b"SA\nSB\nPEMPLOYER"), {"S": "A; B"}),
        (FORMER, {"Status": "posted"}),
    ],
    ids=["ofx", "qif", "former csv"],
)
def test_the_rest_of_other_forms_is_kept_too(owner: Owner, inbox: Path, content: bytes, extra: dict[str, str]) -> None:
    (inbox / "a").write_bytes(content)

    owner.run()

    kept = {row["original_description"]: row.get("extra") or {} for row in owner.held("transactions")}
    assert extra.items() <= kept["EMPLOYER DIRECT DEP"].items()


def test_exports_that_a_version_before_has_read_are_read_once_more(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export([*STORE, "cheerful"], header=(*HEADER, "Mood")))
    owner.run()
    del owner.state["transactions"]["inbox"]["keeps_extra"]
    for row in owner.data["transactions"].values():
        del row["extra"]

    owner.run()

    assert extras(owner) == [{"Mood": "cheerful"}]


def test_every_file_and_row_is_counted(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(STORE, line("Pending", "CAFE", "-1.00")))
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "GROCERY #12", "-4.50")], closing=99_550))
    (inbox / "b.bin").write_bytes(b"light")
    (inbox / ".DS_Store").write_bytes(b"x")

    named = members(owner.run())

    assert named == {
        "exports (CSV, OFX, QFX, QIF)": ("collected", 1),
        "statements (PDF)": ("collected", 1),
        "files that cannot be read": ("declared", 1),
        "rows that are not posted yet": ("declared", 1),
        "hidden files": ("declared", 1),
    }
    assert members(owner.run()).items() >= {"exports (CSV, OFX, QFX, QIF)": ("collected", 1)}.items()
