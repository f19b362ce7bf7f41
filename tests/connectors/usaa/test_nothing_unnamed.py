"""The rest of what an export tells of a transaction is kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.connectors.usaa.owner import Owner
from tests.connectors.usaa.papers import HEADER, export, line
from tests.connectors.usaa.test_other_forms import FORMER, OFX, QIF

STORE = line("01/05/2026", "GROCERY #12", "-4.50")


def extras(owner: Owner) -> list[Any]:
    return [row.get("extra") for row in owner.held("transactions")]


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
    for entry in owner.state["transactions"]["inbox"]["files"].values():
        del entry["reading"]
    for row in owner.data["transactions"].values():
        del row["extra"]

    owner.run()

    assert extras(owner) == [{"Mood": "cheerful"}]
