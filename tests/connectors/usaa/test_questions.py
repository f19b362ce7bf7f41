"""Questions of an owner, answered by SQL over what is held of practice documents."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tests.connectors.usaa.papers import FEBRUARY, Paper, Row, checking, dollars, export, line
from tests.connectors.usaa.test_on_the_store import Account, account

__all__ = ["account"]

EXPORT = export(
    line("01/05/2026", "DEBIT CARD PURCHASE BAKERY", "-6.20", category="Groceries"),
    line("01/09/2026", "GROCER", "-40.00", category="Groceries"),
    line("02/02/2026", "GROCER", "-10.00", category="Groceries"),
    line("01/10/2026", "USAA CREDIT CARD PAYMENT", "-300.00", category="Credit Card Payments"),
    line("01/11/2026", "FUNDS TRANSFER TO SAVINGS", "-500.00", category="Transfers"),
)


def card_statement() -> bytes:
    """A card statement that says what is due when."""
    lines = (
        "USAA REWARDS VISA CREDIT CARD",
        "Account ending in 9876",
        f"Statement Closing Date {date(2026, 1, 15):%m/%d/%y}",
        "Days in billing cycle 31",
        f"Previous Balance {dollars(10_000)}",
        f"New Balance {dollars(11_800)}",
        "Payment Due Date 02/10/2026",
        "Minimum Payment Due $35.00",
        "Credit Limit $5,000.00",
        "Total Fees for this Period $0.00",
        "Total Interest for this Period $3.00",
        "TRANSACTIONS",
    )
    rows = (
        Row("01/02", "BOOKS", "15.00", second_day="01/03"),
        Row("01/15", "INTEREST CHARGE", "3.00", second_day="01/15"),
    )
    return Paper().lines(*lines).rows(*rows).pdf()


def test_spend_by_category_and_month_without_payments_and_transfers(account: Account, inbox: Path) -> None:
    (inbox / "checking 1234").mkdir()
    (inbox / "checking 1234" / "e.csv").write_bytes(EXPORT)
    account.run()

    rows = account.rows(
        "SELECT data ->> 'category' AS category, substr(data ->> 'date', 1, 7) AS month, "
        "-sum((data ->> 'amount')::int) AS cents FROM records WHERE stream = 'transactions' "
        "AND (data ->> 'amount')::int < 0 AND coalesce(data ->> 'kind', '') NOT IN ('transfer', 'payment') "
        "GROUP BY 1, 2 ORDER BY 2"
    )

    assert rows == [
        {"category": "Groceries", "month": "2026-01", "cents": 4620},
        {"category": "Groceries", "month": "2026-02", "cents": 1000},
    ]


def test_what_is_due_when(account: Account, inbox: Path) -> None:
    (inbox / "card.pdf").write_bytes(card_statement())
    account.run()

    rows = account.rows(
        "SELECT data ->> 'payment_due_date' AS due, (data ->> 'minimum_payment_cents')::int AS minimum, "
        "(data ->> 'interest_cents')::int AS interest, (data ->> 'fees_cents')::int AS fees "
        "FROM records WHERE stream = 'statements'"
    )

    assert rows == [{"due": "2026-02-10", "minimum": 3500, "interest": 300, "fees": 0}]


def test_do_the_accounts_reconcile(account: Account, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "GROCERY", "-4.50")], closing=99_550))
    (inbox / "b.pdf").write_bytes(
        checking([Row("01/20", "FUEL", "-9.00")], period=FEBRUARY, opening=99_550, closing=98_650)
    )
    account.run()

    rows = account.rows(
        "SELECT one.data ->> 'account_id' AS account, count(*) AS months, bool_and((one.data ->> "
        "'closing_balance_cents')::int = (one.data ->> 'opening_balance_cents')::int + (SELECT "
        "sum((entry.data ->> 'amount')::int) FROM records entry WHERE entry.stream = 'transactions' AND "
        "entry.data ->> 'account_id' = one.data ->> 'account_id' AND entry.data ->> 'date' BETWEEN "
        "one.data ->> 'period_start' AND one.data ->> 'period_end')) AS adds_up "
        "FROM records one WHERE one.stream = 'statements' GROUP BY 1"
    )

    assert rows == [{"account": "1234", "months": 2, "adds_up": True}]
