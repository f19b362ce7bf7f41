"""Statements: read to the cent or not at all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from connectors.usaa.documents.pdf import read_pdf
from connectors.usaa.documents.templates import TEMPLATES, fingerprint
from tests.connectors.usaa.owner import Owner, last_errors, transactions
from tests.connectors.usaa.papers import FEBRUARY, Paper, Row, card, checking, strange

pytestmark = pytest.mark.process  # PDFs are read in a process of their own


def test_a_checking_statement_gives_its_transactions_in_signed_cents(owner: Owner, inbox: Path) -> None:
    rows = [Row("12/20", "PAYROLL ACME", "500.00", "1,500.00"), Row("01/05", "GROCERY #12", "-50.25", "1,449.75")]
    (inbox / "a.pdf").write_bytes(checking(rows, closing=144_975))

    owner.run()

    assert transactions(owner) == [("2025-12-20", 50_000, "PAYROLL ACME"), ("2026-01-05", -5_025, "GROCERY #12")]
    assert [one["balance_after_cents"] for one in owner.held("transactions")] == [150_000, 144_975]
    assert owner.reasons() == []


def test_december_rows_on_a_january_statement_are_of_the_year_before(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("12/31", "A", "1.00"), Row("01/01", "B", "1.00")], closing=100_200))

    owner.run()

    assert [day for day, _, _ in transactions(owner)] == ["2025-12-31", "2026-01-01"]


def test_a_section_signs_what_prints_no_sign(owner: Owner, inbox: Path) -> None:
    paper = Paper().lines("Account Number: ****1234", "Statement Period: 01/16/2026 through 02/15/2026")
    paper.lines("Beginning Balance $100.00", "DEPOSITS AND OTHER CREDITS").rows(Row("01/20", "PAYROLL", "50.00"))
    paper.lines("WITHDRAWALS AND OTHER DEBITS").rows(Row("01/21", "RENT", "30.00"))
    paper.lines("CHECKS PAID").rows(Row("01/22", "1001", "20.00"))
    paper.lines("ENDING BALANCE $100.00", "DAILY BALANCE SUMMARY").rows(Row("01/20", "", "150.00"))
    (inbox / "a.pdf").write_bytes(paper.pdf())

    owner.run()

    assert [amount for _, amount, _ in transactions(owner)] == [5_000, -3_000, -2_000]
    assert owner.held("transactions")[2]["check_number"] == "1001"


def test_columns_of_debits_and_credits_sign_their_amounts(owner: Owner, inbox: Path) -> None:
    paper = Paper().lines("Account Number: ****1234", "Statement Period: 01/16/2026 - 02/15/2026")
    paper.lines("Beginning Balance $100.00")
    paper._pdf.cell(30, 6, "Date")
    paper._pdf.cell(75, 6, "Description")
    for head in ("Debits", "Credits", "Balance"):
        paper._pdf.cell(25, 6, head, align="R")
    paper._pdf.ln()
    for cells in (("01/20", "RENT", "30.00", "", "70.00"), ("01/21", "PAYROLL", "", "50.00", "120.00")):
        for width, cell, align in zip((30, 75, 25, 25, 25), cells, "LLRRR", strict=True):
            paper._pdf.cell(width, 6, cell, align=align)
        paper._pdf.ln()
    (inbox / "a.pdf").write_bytes(paper.lines("ENDING BALANCE $120.00").pdf())

    owner.run()

    assert [amount for _, amount, _ in transactions(owner)] == [-3_000, 5_000]
    assert [one["balance_after_cents"] for one in owner.held("transactions")] == [7_000, 12_000]


@pytest.mark.parametrize("amount", ["-50.00", "50.00-", "(50.00)", "-$50.00", "$50.00-", "- 50.00"])
def test_every_form_of_a_minus_is_one(owner: Owner, inbox: Path, amount: str) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "STORE", amount)], closing=95_000))

    owner.run()

    assert transactions(owner) == [("2026-01-05", -5_000, "STORE")]


def test_a_wrapped_description_is_one(owner: Owner, inbox: Path) -> None:
    text = "DEBIT CARD PURCHASE AT A STORE WITH A NAME THAT NO LINE OF A STATEMENT EVER HELD SAN ANTONIO TX"
    rows = [Row("01/05", text, "-50.00", "950.00"), Row("01/06", "SHORT", "-1.00", "949.00")]
    (inbox / "a.pdf").write_bytes(checking(rows, closing=94_900))

    owner.run()

    assert [text for _, _, text in transactions(owner)] == [text, "SHORT"]


def test_a_statement_of_many_pages_is_read_to_its_end(owner: Owner, inbox: Path) -> None:
    rows = [Row("01/05", f"STORE {number}", "-1.00") for number in range(150)]
    (inbox / "a.pdf").write_bytes(checking(rows, closing=85_000))

    owner.run()

    assert len(transactions(owner)) == 150
    assert owner.held("statements")[0]["pdf_page_count"] > 2


def test_a_card_statement_charges_and_credits(owner: Owner, inbox: Path) -> None:
    rows = [
        Row("12/28", "AMAZON", "25.00", second_day="12/29"),
        Row("01/02", "PAYMENT THANK YOU", "100.00-", second_day="01/03"),
    ]
    (inbox / "card.pdf").write_bytes(card(rows, closing=2_500))

    owner.run()

    assert transactions(owner) == [("2025-12-29", -2_500, "AMAZON"), ("2026-01-03", 10_000, "PAYMENT THANK YOU")]
    assert owner.held("transactions")[0]["transaction_date"] == "2025-12-28"
    assert owner.held("accounts") == [
        {"id": "9876", "name": "USAA REWARDS VISA CREDIT CARD", "type": "credit_card", "last_four": "9876"}
    ]
    assert owner.held("account_stats")[0]["balance_cents"] == -2_500


def test_a_month_without_transactions_is_read_and_not_unknown(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking(closing=100_000))

    owner.run()

    assert transactions(owner) == []
    assert owner.reasons() == []
    assert owner.held("statements")[0]["closing_balance_cents"] == 100_000


def test_a_statement_that_does_not_add_up_gives_nothing_but_a_gap(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "STORE", "-50.00")], closing=95_001))

    sent = owner.run()

    assert transactions(owner) == []
    assert owner.reasons() == ["template_unknown"]
    assert "a.pdf" in last_errors(sent)[0]
    assert "add up" in last_errors(sent)[0]


def test_a_row_that_cannot_be_read_is_never_left_out(owner: Owner, inbox: Path) -> None:
    rows = [Row("01/05", "STORE", "-50.00"), Row("02/30", "NO SUCH DAY", "-1.00")]
    (inbox / "a.pdf").write_bytes(checking(rows, closing=94_900))

    owner.run()

    assert owner.reasons() == ["template_unknown"]


def test_lines_that_cancel_each_other_out_are_not_left_out_together(owner: Owner, inbox: Path) -> None:
    paper = Paper().lines("Account: *1234", "Statement Period 01/16/2026 - 02/15/2026", "Beginning Balance $9.00")
    paper.lines("TRANSACTIONS", "02/03 ONE -1.00 at home", "02/04 BACK 1.00 at home", "Ending Balance $9.00")
    (inbox / "a.pdf").write_bytes(paper.pdf())

    owner.run()

    assert owner.reasons() == ["template_unknown"]


def test_a_card_that_is_not_known_is_not_read_as_a_bank_account(owner: Owner, inbox: Path) -> None:
    owner.templates = [template for template in TEMPLATES if not template.owes]
    rows = [Row("12/28", "AMAZON", "25.00", second_day="12/29")]
    (inbox / "card.pdf").write_bytes(card(rows, closing=12_500))

    owner.run()

    assert owner.reasons() == ["template_unknown"]


def test_an_unknown_layout_is_named_by_its_fingerprint(owner: Owner, inbox: Path) -> None:
    content = strange()
    (inbox / "old.pdf").write_bytes(content)

    sent = owner.run()

    mark = fingerprint(read_pdf(content).lines)
    [gap] = owner.gaps.values()
    assert gap.reason == "template_unknown"
    assert (gap.detail_locator or {})["template_fingerprint"] == mark
    assert mark in last_errors(sent)[0]
    assert owner.held("statements")[0]["pdf_path"] == "old.pdf"


def test_a_fingerprint_is_the_layouts_and_not_the_months_or_the_owners() -> None:
    january, february = (
        fingerprint(read_pdf(strange(month, owner)).lines) for month, owner in ((1, "1234"), (2, "8888"))
    )

    assert january == february
    assert january != fingerprint(read_pdf(checking(closing=100_000)).lines)


def test_one_statement_saved_twice_is_one_record(owner: Owner, inbox: Path) -> None:
    for name in ("a.pdf", "a (1).pdf"):
        (inbox / name).write_bytes(checking([Row("01/20", "STORE", "-1.00")], period=FEBRUARY, closing=99_900))

    owner.run()

    assert len(owner.held("statements")) == 1
    assert len(transactions(owner)) == 1


def test_a_leap_day_keeps_its_year(owner: Owner, inbox: Path) -> None:
    period = (date(2024, 2, 16), date(2024, 3, 15))
    (inbox / "a.pdf").write_bytes(checking([Row("02/29", "STORE", "-1.00")], period=period, closing=99_900))

    owner.run()

    assert [day for day, _, _ in transactions(owner)] == ["2024-02-29"]


@pytest.mark.parametrize("rows", [[Row("12/20", "TEA", "-5.00"), Row("12/21", "BACK", "5.00")], []])
def test_a_statement_of_two_accounts_is_not_filed_under_one_even_if_it_adds_up(
    owner: Owner, inbox: Path, rows: list[Row]
) -> None:
    paper = Paper()
    for account, has in (("1234", []), ("5678", rows)):
        paper.lines(f"Account Number: ****{account}", "Statement Period: 12/16/2025 - 01/15/2026")
        paper.lines("Beginning Balance $100.00", "TRANSACTIONS").rows(*has).lines("Ending Balance $100.00").page()
    (inbox / "a.pdf").write_bytes(paper.pdf())

    sent = owner.run()

    assert transactions(owner) == []
    assert owner.reasons() == ["template_unknown"]
    assert "several accounts" in last_errors(sent)[0]


def test_another_account_that_a_statement_speaks_of_is_not_its_own(owner: Owner, inbox: Path) -> None:
    paper = Paper().lines("Account Number: ****1234", "Statement Period: 12/16/2025 - 01/15/2026")
    paper.lines("Overdraft protection account: ****5678", "Beginning Balance $100.00", "TRANSACTIONS")
    paper.rows(Row("12/20", "TRANSFER TO A VERY LONG NAME OF ACCOUNT ENDING IN 5678", "-5.00"))
    (inbox / "a.pdf").write_bytes(paper.lines("Ending Balance $95.00").pdf())

    owner.run()

    assert [amount for _, amount, _ in transactions(owner)] == [-500]
    assert owner.reasons() == []
