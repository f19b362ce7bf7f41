"""The CSV that the site exports, read by its header and not by its name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from connectors.usaa.figures import plain, read_amount, read_date, read_day, signed_cents
from connectors.usaa.identity import Entry, check_number
from connectors.usaa.ledger import DAY, Span

_COLUMNS = {
    "date": ("date", "posted date", "posting date", "post date", "transaction date"),
    "description": ("description", "payee", "name"),
    "original": ("original description", "memo", "details"),
    "category": ("category",),
    "amount": ("amount", "transaction amount", "amount usd"),
    "debit": ("debit", "debits", "debit amount", "withdrawal", "withdrawals", "withdrawal amount", "money out"),
    "credit": ("credit", "credits", "credit amount", "deposit", "deposits", "deposit amount", "money in"),
    "balance": ("balance", "running balance", "balance after", "account balance"),
    "status": ("status", "transaction status", "posting status"),
    "check": ("check number", "check no", "check", "check num"),
    "account": ("account", "account number", "account no", "account name", "card number"),
}
_HEADER_WITHIN_ROWS = 20
_ACCOUNTS = (
    re.compile(
        r"\b(?:account|card|acct)\b[^\d\n]{0,24}?[\d*x\u2022 -]*(?<![\d])[\d*x\u2022-]*?(\d{4})(?![\d/]|[.,]\d)",
        re.IGNORECASE,
    ),
    re.compile(r"(?:(?<![\w.])[*x\u2022]+[ -]?|\bending in\s+)(\d{4})(?![\d/]|[.,]\d)", re.IGNORECASE),
)
_DELIMITERS = ",;\t|"


class NotAnExportError(Exception):
    """A text that is no export of a shape known here; says why, without content."""


@dataclass(slots=True)
class Export:
    """What one export holds."""

    entries: list[Entry] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    """Lines that could not be read, numbered from 1."""
    pending: list[date | None] = field(default_factory=list)
    """Days of rows that are not posted yet."""
    account: str | None = None
    """Last four digits of the account, where the file names it."""

    @property
    def span(self) -> Span | None:
        """From the first to the last posted day; a day with pending rows is not over yet."""
        if not self.entries:
            return None
        days = [entry.day for entry in self.entries]
        open_days = [day for day in self.pending if day is not None]
        until = min([max(days) + DAY, *open_days])
        opening, closing = self._edges() if until == max(days) + DAY else (self._edges()[0], None)
        return Span(min(days), max(until, min(days)), opening, closing)

    @property
    def latest_balance(self) -> tuple[date, int] | None:
        """The last day and the balance at its end, where the rows chain."""
        closing = self._edges()[1]
        return None if closing is None else (max(entry.day for entry in self.entries), closing)

    def _edges(self) -> tuple[int | None, int | None]:
        """The balances before the first and after the last row, when each balance follows from the one before."""
        for rows in (self.entries, self.entries[::-1]):
            if rows and rows[0].day <= rows[-1].day and _chains(rows):
                first, last = rows[0], rows[-1]
                return (first.balance_cents or 0) - first.cents, last.balance_cents
        return None, None


def read_export(content: bytes) -> Export:
    """Read an export.

    Raises:
        NotAnExportError: no row of it names the columns of one, or its dates are not month first.
    """
    text = _decode(content)
    rows, columns, header_at, account = _find_header(text)
    export = Export(account=account)
    for line, row in rows[header_at + 1 :]:
        if any(cell.strip() for cell in row):
            _take(export, line, row, columns)
    if export.account is None and (column := columns.get("account")) is not None:
        export.account = _one_account(row[column] for _, row in rows[header_at + 1 :] if column < len(row))
    return export


def looks_like_export(content: bytes) -> bool:
    """Whether some row near the beginning names the columns of an export."""
    try:
        _find_header(_decode(content[:65536]))
    except NotAnExportError:
        return False
    return True


def account_in(text: str) -> str | None:
    """The last four digits of an account that a text names behind a mask or the word account."""
    found = (each.search(text) for each in _ACCOUNTS)
    return next((one[1] for one in found if one is not None), None)


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(text.replace("\x00", "").splitlines(keepends=True), delimiter=delimiter)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error:
        raise NotAnExportError("its quotes or cells are broken") from None


def _find_header(text: str) -> tuple[list[tuple[int, list[str]]], dict[str, int], int, str | None]:
    first = text[:65536]
    for delimiter in sorted(_DELIMITERS, key=first.count, reverse=True):
        for at, (_, row) in enumerate(_rows(first, delimiter)[:_HEADER_WITHIN_ROWS]):
            columns = _columns(row)
            if "date" in columns and ("amount" in columns or {"debit", "credit"} & columns.keys()):
                rows = _rows(text, delimiter)
                preamble = " ".join(cell for _, each in rows[:at] for cell in each)
                return rows, columns, at, account_in(preamble)
    raise NotAnExportError("no row names a date and an amount")


def _columns(row: Sequence[str]) -> dict[str, int]:
    names = [re.sub(r"[^a-z ]+", " ", cell.lower()).split() for cell in row]
    known: dict[str, int] = {}
    for column, spellings in _COLUMNS.items():
        for spelling in spellings:
            if column not in known and spelling.split() in names:
                known[column] = names.index(spelling.split())
    return known


def _take(export: Export, line: int, row: list[str], columns: dict[str, int]) -> None:
    cells = {name: plain(row[at]).strip() if at < len(row) else "" for name, at in columns.items()}
    _refuse_day_first(cells["date"])
    day = read_date(cells["date"])
    if "pending" in cells.get("status", "").lower() or cells["date"].lower() == "pending":
        export.pending.append(day)
        return
    cents = _cents(cells)
    text = cells.get("original") or cells.get("description") or ""
    if day is None or cents is None or not text:
        export.broken.append(line)
        return
    number = cells.get("check") or ""
    export.entries.append(
        Entry(
            day,
            cents,
            text,
            description=cells.get("description") or None,
            category=cells.get("category") or None,
            check_number=number if number.isdigit() and len(number) <= 8 else check_number(text),
            balance_cents=signed_cents(cells.get("balance", "")),
        )
    )


def _cents(cells: dict[str, str]) -> int | None:
    if cells.get("amount"):
        return signed_cents(cells["amount"])
    debit, credit = (read_amount(cells.get(name) or "0") for name in ("debit", "credit"))
    if debit is None or credit is None or not (cells.get("debit") or cells.get("credit")):
        return None
    if debit.cents and credit.cents:
        return None
    return -debit.cents if debit.cents else credit.cents


def _refuse_day_first(text: str) -> None:
    """One date that is only a date with the day first makes every other one doubtful."""
    found = read_day(text)
    if found is not None and found.month > 12 >= found.day and read_date(f"{found.day}/{found.month}/2000") is not None:
        raise NotAnExportError("its dates are not month first")


def _chains(rows: Sequence[Entry]) -> bool:
    if any(entry.balance_cents is None for entry in rows):
        return False
    return all((one.balance_cents or 0) + other.cents == other.balance_cents for one, other in pairwise(rows))


def _one_account(cells: Iterator[str]) -> str | None:
    """The account that all rows name, if it is one."""
    named = {digits[-4:] for cell in cells if len(digits := re.sub(r"\D", "", cell)) >= 4}
    return named.pop() if len(named) == 1 else None
