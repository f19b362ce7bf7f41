"""CSV exports, in whatever form a browser or a spreadsheet left them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.usaa.documents.export import NotAnExportError, read_export
from connectors.usaa.documents.figures import read_date, signed_cents
from connectors.usaa.documents.identity import identified
from tests.connectors.usaa.owner import Owner, transactions
from tests.connectors.usaa.papers import HEADER, JANUARY, Row, card, checking, export, line

STORE = line("01/05/2026", "GROCERY #12", "-4.50", "100.00")


def cents(content: bytes) -> list[int]:
    return [entry.cents for entry in read_export(content).entries]


@pytest.mark.parametrize(
    "content",
    [
        export(STORE),
        export(STORE, encoding="utf-8-sig"),
        export(STORE, encoding="utf-16"),
        export(STORE, newline="\r\n"),
        export(STORE, quotes=True),
        export(STORE, header=[name.upper() for name in HEADER]),
        export(STORE).replace(b",", b";"),
        b"Account: Checking *1234\r\n\r\n" + export(STORE),
        export(STORE) + b"\n\n",
        export(["01/05/2026", "GROCERY #12", "4.50", ""], header=("Date", "Description", "Debit", "Credit")),
        export(["01/05/2026", "GROCERY #12", "4.50", "Debit"], header=("Date", "Description", "Amount", "Type")),
        export(["01/05/2026", "GROCERY\u2028#12", "-4.50"], header=("Date Posted", "Description", "Amount")),
        export(["01/05/2026", "GROCERY #12", "-4.50"], header=("Transaction Date", "Merchant Name", "Amount (USD)")),
        export(STORE) + b'Total,,,,-4.50,100.00\n"Exported on 01/06/2026"\nEnding balance,100.00\n',
        export(["Posted", "01/05/2026", "GROCERY #12", "($4.50)"], header=("Status", "Date", "Description", "Amount")),
    ],
)
def test_one_row_in_many_forms(content: bytes) -> None:
    assert cents(content) == [-450]
    assert read_export(content).broken == []


@pytest.mark.parametrize(
    "text",
    ["01/05/2026", "1/5/26", "2026-01-05", "01-05-2026", "Jan 5, 2026", "5 Jan 2026", "20260105", "2026/01/05"],
)
def test_one_date_in_many_forms(text: str) -> None:
    assert str(read_date(text)) == "2026-01-05"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-4.50", -450),
        ("\u22124.50", -450),
        ("$1,234.56", 123_456),
        ("(1,234.56)", -123_456),
        ("4.50-", -450),
        ("-$4.50", -450),
        ("4.5", 450),
        ("4", 400),
        ("1.234,56", 123_456),
        ("1\u00a0234,56", 123_456),
        (".99", 99),
        ("12.00 DR", -1_200),
        ("", None),
        ("1.234", None),
        ("--4.50", None),
        ("1,23.45", None),
        ("NaN", None),
        ("1e5", None),
    ],
)
def test_amounts_are_whole_cents_or_none(text: str, expected: int | None) -> None:
    assert signed_cents(text) == expected


@given(st.integers(-(10**12), 10**12))
def test_an_amount_comes_back_to_the_cent(amount: int) -> None:
    text = f"{'-' if amount < 0 else ''}{abs(amount) // 100:,}.{abs(amount) % 100:02}"

    assert signed_cents(text) == amount


def test_days_before_months_are_refused_as_a_whole() -> None:
    with pytest.raises(NotAnExportError):
        read_export(export(STORE, line("25/01/2026", "A", "1.00")))


def test_rows_that_are_not_posted_are_left_and_their_day_stays_open() -> None:
    header = ("Date", "Description", "Amount", "Status")
    rows = [
        ["01/03/2026", "A", "1.00", "Posted"],
        ["01/05/2026", "B", "1.00", "Posted"],
        ["01/05/2026", "C", "9.00", "Pending"],
    ]

    found = read_export(export(*rows, header=header))

    assert [entry.text for entry in found.entries] == ["A", "B"]
    assert str(found.span and found.span.until) == "2026-01-05"


def test_broken_rows_are_counted_by_line_and_the_others_kept() -> None:
    found = read_export(export(STORE, line("soon", "A", "1.00"), line("01/06/2026", "B", "lots"), STORE))

    assert found.broken == [3, 4]
    assert len(found.entries) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        b"01/06/2026,ACME, 5.00,-4.00,10.00\n",
        b'01/06/2026,"ACME,-4.00,10.00\n01/07/2026,B,-1.00,9.00\n01/08/2026,C,-1.00,8.00\n',
        b"01/06/2026,ACME,-1",
    ],
    ids=["a delimiter within a cell", "a quote never closed", "a file cut short"],
)
def test_a_row_whose_cells_are_not_what_they_seem_is_not_taken(damaged: bytes) -> None:
    found = read_export(b"Date,Description,Amount,Balance\n01/05/2026,STORE,-4.50,14.00\n" + damaged)

    assert [entry.cents for entry in found.entries] == [-450]
    assert len(found.broken) == 1


def test_exports_put_one_behind_the_other_are_read_each_by_its_header() -> None:
    assert cents(export(STORE) + b"Date,Amount,Description\n01/06/2026,-2.00,3\n") == [-450, -200]


@pytest.mark.parametrize("names", [("*1234", "*9876"), ("Checking", "Savings")])
def test_an_export_of_several_accounts_is_refused(names: tuple[str, str]) -> None:
    header = ("Date", "Description", "Amount", "Account")
    rows = [["01/05/2026", "STORE", "-1.00", name] for name in names]

    with pytest.raises(NotAnExportError, match="several accounts"):
        read_export(export(*rows, header=header))


def test_a_word_that_contradicts_the_sign_is_not_decided_for() -> None:
    content = export(["01/05/2026", "STORE", "-1.00", "Credit"], header=("Date", "Description", "Amount", "Type"))

    assert read_export(content).broken == [2]


def test_equal_transactions_of_a_day_are_told_apart(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(STORE, STORE, STORE))

    owner.run()

    assert len(transactions(owner)) == 3


def test_the_order_of_rows_changes_no_identity() -> None:
    rows = [line("01/05/2026", "A", "-1.00", f"{balance}.00") for balance in (9, 8, 7)]
    rows += [line("01/06/2026", "B", "-1.00", "6.00")]
    shuffled = random.Random(1).sample(rows, len(rows))

    first, second = (
        {key: entry.balance_cents for key, entry in identified("1", read_export(export(*some)).entries)}
        for some in (rows, shuffled)
    )

    assert first == second


def test_a_range_that_cuts_a_day_names_the_same_transactions(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(STORE, STORE))
    (inbox / "b.csv").write_bytes(export(STORE))

    owner.run()

    assert len(transactions(owner)) == 2


@pytest.mark.process  # a PDF is read in a process of its own
def test_export_and_statement_show_one_transaction_once(owner: Owner, inbox: Path) -> None:
    rows = [Row("01/05", "GROCERY   Store #12", "-4.50"), Row("01/05", "GROCERY Store #12", "-4.50")]
    (inbox / "a.pdf").write_bytes(checking(rows, period=JANUARY, closing=99_100))
    one = line("01/05/2026", "grocery store #12", "-4.5", description="Grocery", category="Food")
    (inbox / "a.csv").write_bytes(export(one, one))

    owner.run()

    assert len(transactions(owner)) == 2
    assert {row["category"] for row in owner.held("transactions")} == {"Food"}


def test_card_and_checking_of_one_inbox_stay_apart(owner: Owner, inbox: Path) -> None:
    for name in ("checking 1234", "card-9876"):
        (inbox / name).mkdir()
        (inbox / name / "export.csv").write_bytes(export(STORE))
    (inbox / "card.pdf").write_bytes(card(closing=10_000))

    owner.run()

    assert {row["account_id"] for row in owner.held("transactions")} == {"1234", "9876"}


def test_an_export_that_came_before_its_statement_moves_to_the_account_it_names(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(STORE))
    owner.run()
    assert {row["account_id"] for row in owner.held("transactions")} == {"unnamed"}

    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "GROCERY #12", "-4.50")], closing=99_550))
    owner.run()

    assert [row["account_id"] for row in owner.held("transactions")] == ["1234"]
    assert [row["id"] for row in owner.held("accounts")] == ["1234"]
    assert {row["account_id"] for row in owner.held("account_stats")} == {"1234"}


@pytest.mark.parametrize("status", ["Pending", "Processing", "Authorized", "Scheduled", "On hold", "Not posted"])
def test_a_row_that_is_not_posted_in_other_words_is_left(status: str) -> None:
    content = export(["01/05/2026", "A", "-1.00", status], header=("Date", "Description", "Amount", "Status"))

    assert cents(content) == []
    assert len(read_export(content).pending) == 1


@pytest.mark.parametrize("day", ["12/31/9999", "0001-01-01", "01/01/1066"])
def test_a_day_of_no_bank_is_a_line_that_cannot_be_read(owner: Owner, inbox: Path, day: str) -> None:
    (inbox / "a.csv").write_bytes(export(STORE, line(day, "B", "-1.00")))

    owner.run()

    assert [amount for _, amount, _ in transactions(owner)] == [-450]
    assert owner.reasons() == ["parse_failed"]


def test_a_row_without_its_date_is_not_taken_for_a_note() -> None:
    assert read_export(export(STORE, line("", "COFFEE", "-1.00"))).broken == [3]
