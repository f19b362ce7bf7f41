"""Further facts of documents: kinds of transactions, terms of statements, names of accounts; and the inventory."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from connectors.usaa.documents.kinds import kind_of_text
from connectors.usaa.documents.terms import terms_in
from connectors.usaa.inbox.cursor import READING
from pdpp_worker.connector import Inventory
from tests.connectors.usaa.owner import Owner, transactions
from tests.connectors.usaa.papers import JANUARY, Row, checking, export, line
from tests.connectors.usaa.test_other_forms import OFX


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CHECK # 1042", "check"),
        ("FOREIGN TRANSACTION FEE", "fee"),
        ("INTEREST PAID", "interest"),
        ("USAA FUNDS TRANSFER DB", "transfer"),
        ("DEBIT CARD PURCHASE CORNER BAKERY", "card"),
        ("ATM WITHDRAWAL MAIN ST", "atm"),
        ("EMPLOYER DIRECT DEP", "deposit"),
        ("AUTOMATIC PAYMENT - THANK YOU", "payment"),
        ("CORNER BAKERY 114", None),
        ("COFFEE HOUSE", None),
        ("INTERESTING BOOKS", None),
        ("CHECKERS DRIVE IN", None),
    ],
)
def test_the_kind_of_a_transaction_is_told_by_the_banks_words_or_not_at_all(text: str, kind: str | None) -> None:
    assert kind_of_text(text, None) == kind


def test_a_transaction_of_a_card_account_that_says_nothing_else_is_of_the_card() -> None:
    assert kind_of_text("CORNER BAKERY 114", None, is_card_account=True) == "card"
    assert kind_of_text("LATE FEE", None, is_card_account=True) == "fee"


def test_an_ofx_file_tells_kinds_and_the_type_of_its_account(owner: Owner, inbox: Path) -> None:
    (inbox / "s.ofx").write_bytes(
        OFX.replace(b"<TRNTYPE>DEBIT", b"<TRNTYPE>POS").replace(b"0001234", b"0001234<ACCTTYPE>SAVINGS")
    )

    owner.run()

    assert [one.get("kind") for one in owner.held("transactions")] == ["interest", "deposit", "card"]
    assert owner.held("accounts")[0]["type"] == "savings"


def test_the_folder_names_an_account_and_its_type(owner: Owner, inbox: Path) -> None:
    (inbox / "checking 1234").mkdir()
    (inbox / "checking 1234" / "e.csv").write_bytes(export(line("01/05/2026", "GROCERY", "-4.50")))

    owner.run()

    assert owner.held("accounts") == [{"id": "1234", "name": "checking 1234", "type": "checking", "last_four": "1234"}]


CARD = """Payment Due Date 02/10/2026
Minimum Payment Due $35.00
Total Interest for this Period $12.34
Total Fees for this Period $0.00
Total interest charged in 2026 $99.00
"""


def test_a_card_statement_says_what_is_due_when() -> None:
    assert terms_in(CARD) == {
        "payment_due_date": "2026-02-10",
        "minimum_payment_cents": 3500,
        "interest_cents": 1234,
        "fees_cents": 0,
    }


def test_a_term_that_is_named_in_two_ways_is_not_guessed() -> None:
    assert terms_in("Payment Due Date 02/10/2026\nPayment Due Date 02/11/2026") == {}


def test_files_of_an_earlier_version_are_read_again_once(owner: Owner, inbox: Path) -> None:
    (inbox / "e.csv").write_bytes(export(line("01/05/2026", "CHECK # 10", "-4.50")))
    owner.run()
    for entry in owner.state["transactions"]["inbox"]["files"].values():
        del entry["reading"]
    owner.data["transactions"] = {
        key: {name: value for name, value in row.items() if name != "kind"}
        for key, row in owner.data["transactions"].items()
    }

    owner.run()

    assert [one["kind"] for one in owner.held("transactions")] == ["check"]
    assert all(entry["reading"] == READING for entry in owner.state["transactions"]["inbox"]["files"].values())


def test_statements_that_contradict_each_other_are_not_mixed(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "GROCERY", "-4.50")], closing=99_550))
    (inbox / "b.pdf").write_bytes(checking([Row("01/06", "FUEL", "-9.00")], opening=5_000, closing=4_100))
    owner.run()
    first, reasons = transactions(owner), owner.reasons()
    (inbox / "a.pdf").unlink()

    owner.run()

    assert ([text for *_, text in first], reasons) == (["GROCERY"], ["source_partition_failed"])
    assert owner.reasons() == []
    assert "FUEL" in {text for *_, text in transactions(owner)}


def windows(owner: Owner) -> list[tuple[str, str]]:
    """The missing periods of a run, those before the first document left out."""
    ranges = [scope["range"] for reason, scope in owner.missing() if reason == "range_shortened"]
    return [(one["since"], one["until"]) for one in ranges if one["until"] > f"{JANUARY[0]}"]


@pytest.mark.parametrize(
    ("balances", "missing"),
    [
        (("", ""), [("2026-01-10", "2026-01-11")]),
        (("95.50", "86.50"), []),
        (("95.50", "70.00"), [("2026-01-10", "2026-01-12")]),
    ],
    ids=["no balances", "balances that agree", "balances that contradict"],
)
def test_the_last_day_of_an_export_counts_once_something_proves_that_it_is_over(
    owner: Owner, inbox: Path, balances: tuple[str, str], missing: list[tuple[str, str]]
) -> None:
    (inbox / "a.csv").write_bytes(export(line("01/10/2026", "GROCERY", "-4.50", balances[0])))
    (inbox / "b.csv").write_bytes(export(line("01/11/2026", "FUEL", "-9.00", balances[1])))

    owner.run()

    assert [one for one in windows(owner) if one[1] > "2026-01-10"] == missing


def test_an_export_that_begins_on_the_last_day_of_another_covers_it(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(line("01/10/2026", "GROCERY", "-4.50")))
    (inbox / "b.csv").write_bytes(export(line("01/10/2026", "GROCERY", "-4.50"), line("01/12/2026", "FUEL", "-9.00")))

    owner.run()

    assert [one for one in windows(owner) if one[1] > "2026-01-10"] == []


def test_each_file_of_the_inbox_is_in_the_inventory(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "GROCERY", "-4.50")], closing=99_550))
    (inbox / "e.csv").write_bytes(export(line("01/05/2026", "GROCERY", "-4.50")))
    (inbox / "holiday.jpg").write_bytes(b"\xff\xd8\xff picture")
    (inbox / ".hidden").write_bytes(b"x")

    sent = owner.run()

    members = [member for one in sent if isinstance(one, Inventory) for member in one.members]
    assert {member.name: member.disposition for member in members} == {
        "exports": "collected",
        "statements": "collected",
        "holiday.jpg": "unknown",
        "hidden files": "declared",
    }
    assert sum(member.count or 0 for member in members) == sum(1 for _ in inbox.iterdir())
    assert date.fromisoformat(owner.held("statements")[0]["period_end"]) == JANUARY[1]
