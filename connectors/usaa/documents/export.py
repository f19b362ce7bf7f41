"""The CSV that the site exports, read by its header and not by its name."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from connectors.usaa.documents.figures import (
    FULL_DATE,
    SHORT_DATE,
    plain,
    read_amount,
    read_date,
    read_day,
    signed_cents,
)
from connectors.usaa.documents.identity import Posting, check_number
from connectors.usaa.ledger import DAY, Span

_COLUMNS = {
    "date": ("date", "posted date", "posting date", "post date", "date posted", "transaction date", "trans date"),
    "description": ("description", "transaction description", "payee", "merchant", "merchant name", "name"),
    "original": ("original description", "memo", "details"),
    "category": ("category",),
    "amount": ("amount", "transaction amount", "amount usd"),
    "debit": ("debit", "debits", "debit amount", "withdrawal", "withdrawals", "withdrawal amount", "money out"),
    "credit": ("credit", "credits", "credit amount", "deposit", "deposits", "deposit amount", "money in"),
    "balance": ("balance", "running balance", "balance after", "account balance"),
    "type": ("type", "transaction type", "credit debit", "debit credit", "cr dr", "dr cr"),
    "status": ("status", "transaction status", "posting status"),
    "check": ("check number", "check no", "check", "check num"),
    "account": ("account", "account number", "account no", "account name"),
    "card": ("card number",),
}
_HELD = _COLUMNS.keys() - {"type", "status", "card"}
"""Columns that are fields of a transaction, or tell whose it is; the others are kept beside them."""
_HEADER_WITHIN_ROWS = 20
_ACCOUNTS = (
    re.compile(
        r"\b(?:account|card|acct)\b[^\d\n]{0,24}?[\d*x\u2022 -]*(?<![\d])[\d*x\u2022-]*?(\d{4})(?![\d/]|[.,]\d)",
        re.IGNORECASE,
    ),
    re.compile(r"(?:(?<![\w.*\u2022])[*x\u2022]+[ -]?|\bending in\s+)(\d{4})(?![\d/]|[.,]\d)", re.IGNORECASE),
)
_DELIMITERS = ",;\t|"
_ROW_WITHIN = re.compile(rf"[\r\n][^\w\r\n]*+{FULL_DATE}", re.IGNORECASE)
_UNPOSTED = re.compile(r"pending|processing|authori[sz]|scheduled|forecast|\bhold\b|not posted", re.IGNORECASE)
_FORMER = re.compile(
    r"""\s*"?(?:posted|pending|forecasted|scheduled)"?,[^,]*,"?\d{1,2}/\d{1,2}/\d{4}"?,""", re.IGNORECASE
)
_FORMER_HEADER = "Status,,Date,,Original Description,Category,Amount\n"
_POSTED = re.compile(r"posted|cleared|completed?\b", re.IGNORECASE)
_SUMMARY = re.compile(
    r"(?:sub|grand )?totals?\b|(?:(?:opening|beginning|starting|closing|ending|current|available) )?balance\b",
    re.IGNORECASE,
)
_OUT = frozenset({"debit", "dr", "d"})
_IN = frozenset({"credit", "cr", "c"})


class NotAnExportError(Exception):
    """A text that is no export of a shape known here; says why, without content."""


@dataclass(slots=True)
class Export:
    """The content of one export."""

    entries: list[Posting] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    """Lines that could not be read, numbered from 1."""
    pending: list[date | None] = field(default_factory=list)
    """Days of rows that are not posted yet."""
    account: str | None = None
    """Last four digits of the account, where the file names it."""

    @property
    def span(self) -> Span | None:
        """The first to the last posted day, which may go on; a day with pending rows is not over yet."""
        if not self.entries:
            return None
        days = [entry.day for entry in self.entries]
        open_days = [day for day in self.pending if day is not None]
        until = min([max(days) + DAY, *open_days])
        opening, closing = self._edges() if until == max(days) + DAY else (self._edges()[0], None)
        is_open = until == max(days) + DAY
        return Span(min(days), max(until, min(days)), opening, closing, is_open=is_open)

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
        NotAnExportError: no row of it names the columns of one, its dates are not month first, or it mixes accounts.
    """
    text = _with_header(decode(content))
    rows, columns, header_at, account = _find_header(text)
    export = Export(account=account)
    header = rows[header_at][1]
    for line, row in rows[header_at + 1 :]:
        if _is_header(again := _columns(row)):
            columns, header = again, row  # exports that were put one behind the other
        elif _is_note(row):
            continue
        elif _is_damaged(row, len(header), ends_the_text=line == rows[-1][0] and not text.endswith(("\n", "\r"))):
            export.broken.append(line)
        else:
            _take(export, line, row, columns, _rest(header, row, columns))
    named = {name: _named(rows[header_at + 1 :], columns.get(name)) for name in ("account", "card")}
    if len(named["account"]) > 1:
        raise NotAnExportError("its rows are of several accounts; export each account by itself")
    if export.account is None:
        export.account = next(
            (one for each in named.values() for one in each if len(each) == 1 and one.isdigit()), None
        )
    return export


def looks_like_export(content: bytes) -> bool:
    """Whether some row near the beginning names the columns of an export."""
    try:
        _find_header(_with_header(decode(content[:65536])))
    except NotAnExportError:
        return False
    return True


def account_in(text: str) -> str | None:
    """The last four digits of an account that a text names behind a mask or the word account."""
    found = (each.search(text) for each in _ACCOUNTS)
    return next((one[1] for one in found if one is not None), None)


def decode(content: bytes) -> str:
    """The text of a file, whichever of the usual encodings it has."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _with_header(text: str) -> str:
    """The site's former export, which had no header and two minuses before a credit, in the form of the newer ones."""
    if _FORMER.match(text) is None:
        return text
    return _FORMER_HEADER + re.sub(r"""(?m)(,"?)--(?=[$\d.][^,]*$)""", r"\1", text)


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text.replace("\x00", ""), newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error:
        raise NotAnExportError("its quotes or cells are broken") from None


def _is_note(row: Sequence[str]) -> bool:
    """Whether a row is empty, a sentence below or between the rows, or a sum of them: none of these has a date."""
    cells = [cell.strip() for cell in row if cell.strip()]
    if any(re.match(rf"(?:{FULL_DATE}|{SHORT_DATE})", cell, re.IGNORECASE) for cell in cells):
        return False
    return len(cells) < 2 or _SUMMARY.match(cells[0]) is not None


def _is_damaged(row: Sequence[str], width: int, *, ends_the_text: bool) -> bool:
    """Whether cells are not what they seem: too many by a stray delimiter, whole rows in one by a quote that is never
    closed, or the last one cut short with the file."""
    has_more = any(cell.strip() for cell in row[width:])
    return has_more or any(map(_ROW_WITHIN.search, row)) or (ends_the_text and len(row) < width)


def _find_header(text: str) -> tuple[list[tuple[int, list[str]]], dict[str, int], int, str | None]:
    first = text[:65536]
    for delimiter in sorted(_DELIMITERS, key=first.count, reverse=True):
        for at, (_, row) in enumerate(_rows(first, delimiter)[:_HEADER_WITHIN_ROWS]):
            columns = _columns(row)
            if _is_header(columns):
                rows = _rows(text, delimiter)
                preamble = " ".join(cell for _, each in rows[:at] for cell in each)
                return rows, columns, at, account_in(preamble)
    raise NotAnExportError("no row names a date and an amount")


def _is_header(columns: dict[str, int]) -> bool:
    return "date" in columns and ("amount" in columns or not columns.keys().isdisjoint(("debit", "credit")))


def _columns(row: Sequence[str]) -> dict[str, int]:
    names = [re.sub(r"[^a-z ]+", " ", cell.lower()).split() for cell in row]
    known: dict[str, int] = {}
    for column, spellings in _COLUMNS.items():
        for spelling in spellings:
            if column not in known and spelling.split() in names:
                known[column] = names.index(spelling.split())
    return known


def _rest(header: Sequence[str], row: Sequence[str], columns: dict[str, int]) -> dict[str, str]:
    """The cells of a row that no field of a transaction holds, by the names of their columns."""
    held = {at for name, at in columns.items() if name in _HELD}
    cells = {at: cell.strip() for at, cell in enumerate(row) if at not in held and cell.strip()}
    return {header[at].strip() or f"column {at + 1}": cell for at, cell in cells.items() if at < len(header)}


def _take(export: Export, line: int, row: list[str], columns: dict[str, int], rest: dict[str, str]) -> None:
    cells = {name: plain(row[at]).strip() if at < len(row) else "" for name, at in columns.items()}
    _refuse_day_first(cells["date"])
    day = read_date(cells["date"])
    status = cells.get("status", "")
    if (_UNPOSTED.search(status) and not _POSTED.match(status)) or _UNPOSTED.fullmatch(cells["date"]):
        export.pending.append(day)
        return
    cents = _cents(cells)
    text = cells.get("original") or cells.get("description") or ""
    if day is None or cents is None or not text:
        export.broken.append(line)
        return
    number = cells.get("check") or ""
    export.entries.append(
        Posting(
            day,
            cents,
            text,
            description=cells.get("description") or None,
            category=cells.get("category") or None,
            check_number=number if number.isdigit() and len(number) <= 8 else check_number(text),
            balance_cents=signed_cents(cells.get("balance", "")),
            extra=rest or None,
        )
    )


def _cents(cells: dict[str, str]) -> int | None:
    if cells.get("amount"):
        return _by_type(signed_cents(cells["amount"]), cells.get("type", "").lower())
    debit, credit = (read_amount(cells.get(name) or "0") for name in ("debit", "credit"))
    if debit is None or credit is None or not (cells.get("debit") or cells.get("credit")):
        return None
    if debit.cents and credit.cents:
        return None
    return -debit.cents if debit.cents else credit.cents


def _by_type(cents: int | None, kind: str) -> int | None:
    """The amount, signed by the word beside it; None where the two contradict each other."""
    if cents is None or (kind in _IN and cents < 0):
        return None
    return -abs(cents) if kind in _OUT else cents


def _refuse_day_first(text: str) -> None:
    """One date that is only a date with the day first makes every other one doubtful."""
    found = read_day(text)
    if found is not None and found.month > 12 >= found.day and read_date(f"{found.day}/{found.month}/2000") is not None:
        raise NotAnExportError("its dates are not month first")


def _chains(rows: Sequence[Posting]) -> bool:
    if any(entry.balance_cents is None for entry in rows):
        return False
    return all((one.balance_cents or 0) + other.cents == other.balance_cents for one, other in pairwise(rows))


def _named(rows: Sequence[tuple[int, list[str]]], column: int | None) -> set[str]:
    """The accounts that a column names: by the last four digits, else as they are written."""
    cells = [] if column is None else [row[column].strip() for _, row in rows if column < len(row)]
    return {re.sub(r"\D", "", cell)[-4:] if cell[-4:].isdigit() else cell.lower() for cell in cells if cell}
