"""Statements and exports as an owner would save them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from fpdf import FPDF

LINE_MM = 6
JANUARY = (date(2025, 12, 16), date(2026, 1, 15))
FEBRUARY = (date(2026, 1, 16), date(2026, 2, 15))


class Row(NamedTuple):
    """A row as it is printed."""

    day: str
    text: str
    amount: str
    balance: str = ""
    second_day: str = ""


class Paper:
    """A page to write lines and rows on."""

    def __init__(self) -> None:
        self._pdf = FPDF()
        self._pdf.add_page()
        self._pdf.set_font("Helvetica", size=10)

    def _wrapped(self, text: str) -> list[str]:
        lines = self._pdf.multi_cell(70, LINE_MM, text, dry_run=True, output="LINES")
        assert isinstance(lines, list)
        return lines

    def lines(self, *texts: str) -> Paper:
        """Lines from the left margin."""
        for text in texts:
            self._pdf.cell(0, LINE_MM, text, new_x="LMARGIN", new_y="NEXT")
        return self

    def rows(self, *rows: Row) -> Paper:
        """Rows in columns; a long description wraps in its own."""
        pdf = self._pdf
        for row in rows:
            days = f"{row.day} {row.second_day}".strip()
            wrapped = self._wrapped(row.text) or [""]
            if pdf.get_y() + LINE_MM * len(wrapped) > pdf.page_break_trigger:
                pdf.add_page()
            for number, text in enumerate(wrapped):
                pdf.cell(30, LINE_MM, days if number == 0 else "")
                pdf.cell(75, LINE_MM, text)
                pdf.cell(30, LINE_MM, row.amount if number == 0 else "", align="R")
                pdf.cell(30, LINE_MM, row.balance if number == 0 else "", align="R", new_x="LMARGIN", new_y="NEXT")
        return self

    def page(self) -> Paper:
        """A new page."""
        self._pdf.add_page()
        return self

    def picture(self) -> Paper:
        """A grey square."""
        from PIL import Image

        self._pdf.image(Image.new("RGB", (40, 40), (200, 200, 200)), w=40)
        return self

    def locked(self, password: str) -> Paper:
        """Only with a password from now on."""
        self._pdf.set_encryption(owner_password=password, user_password=password)
        return self

    def pdf(self) -> bytes:
        """The file."""
        return bytes(self._pdf.output())


def dollars(cents: int) -> str:
    """An amount as the bank prints it."""
    return f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02}"


def checking(
    rows: Sequence[Row] = (),
    *,
    account: str = "1234",
    period: tuple[date, date] = JANUARY,
    opening: int = 100_000,
    closing: int,
    heading: str = "TRANSACTIONS",
) -> bytes:
    """A statement of a checking account; cents."""
    since, until = period
    paper = Paper().lines(
        "USAA FEDERAL SAVINGS BANK",
        "USAA CLASSIC CHECKING",
        f"Account Number: ****{account}",
        f"Statement Period: {since:%m/%d/%Y} - {until:%m/%d/%Y}",
        f"Beginning Balance {dollars(opening)}",
        heading,
    )
    paper.lines("Date Description Amount Balance").rows(*rows)
    return paper.lines(f"ENDING BALANCE {dollars(closing)}", "Member FDIC. Call us at 800-555-0100.").pdf()


def card(
    rows: Sequence[Row] = (),
    *,
    account: str = "9876",
    closed: date = date(2026, 1, 15),
    opening: int = 10_000,
    closing: int,
) -> bytes:
    """A statement of a credit card; cents owed."""
    paper = Paper().lines(
        "USAA REWARDS VISA CREDIT CARD",
        f"Account ending in {account}",
        f"Statement Closing Date {closed:%m/%d/%y}",
        "Days in billing cycle 31",
        f"Previous Balance {dollars(opening)}",
        f"New Balance {dollars(closing)}",
        "Credit Limit $5,000.00",
        "TRANSACTIONS",
    )
    return paper.rows(*rows).lines("INTEREST CHARGE CALCULATION", "YEAR-TO-DATE TOTALS").pdf()


def strange(month: int = 1, owner: str = "1234") -> bytes:
    """A statement in a layout that nobody knows: other names for the balances, amounts in words of account."""
    return (
        Paper()
        .lines(
            "USAA LEGACY PASSBOOK",
            f"Account {owner}",
            f"Opened with $10.00 on {month:02}/01/2026",
            f"{month:02}/05 COFFEE 4.00 DEBIT",
            "Left with $6.00",
        )
        .pdf()
    )


HEADER = ("Date", "Description", "Original Description", "Category", "Amount", "Balance")


def export(
    *rows: Sequence[str],
    header: Sequence[str] = HEADER,
    encoding: str = "utf-8",
    newline: str = "\n",
    quotes: bool = False,
) -> bytes:
    """A CSV export."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL if quotes else csv.QUOTE_MINIMAL)
    writer.writerows([header, *rows])
    return file.getvalue().encode(encoding)


def line(day: str, text: str, amount: str, balance: str = "", description: str = "", category: str = "") -> list[str]:
    """A row of an export."""
    return [day, description or text.title(), text, category, amount, balance]
