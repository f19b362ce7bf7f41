"""The practice account of this connector: an inbox with exports of one account, and a statement."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from connectors.usaa.documents.identity import Posting, identified
from connectors.usaa.documents.reading import open_paper
from connectors.usaa.practice.living import open_living_account
from pdpp_worker.conformance.account import PracticeAccount, RecordGroup
from pdpp_worker.conformance.files import FileAccount, watched
from pdpp_worker.conformance.planting import Plant, Planted

__all__ = ["open_account", "open_living_account"]

_ACCOUNT, _OTHER = "1234", "5678"
_OPENING = 100_000
_EXPORTS = 4
_ROWS = 3
_STATEMENT = "statement.pdf"
_COLUMNS = (40, 120, 330, 430)
"""Points from the left."""


class Row(NamedTuple):
    """A transaction as the bank shows it; cents."""

    day: date
    text: str
    cents: int
    balance: int


class Inbox(FileAccount):
    """Files as an owner saves them: the months up to today, so that nothing older is missed."""

    can_change = True
    plants = frozenset(Plant)
    lists_count = False
    garbage = b"Date,Amount\n31/12/2025,1.00\n"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        today = datetime.now(UTC).date()
        self._first = today - timedelta(days=_EXPORTS * 30)
        self._until = today
        self.settings = {"inbox": str(directory), "history_days": _EXPORTS * 30}
        self._balance = _OPENING
        self._groups: list[RecordGroup] = [RecordGroup("accounts", frozenset({_ACCOUNT}))]
        for number in range(_EXPORTS):
            self._export(number)
        self._print_statement()

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every transaction of every file."""
        return self._groups

    def change(self) -> None:
        """Save another export."""
        self._export(_EXPORTS)

    def plant(self, plant: Plant) -> Planted:
        """A column that no export has, files of no kind, a statement that does not add up, two rows of one id."""
        day = self._first
        if plant is Plant.MEMBER:
            names = ("hologram-1.bin", "hologram-2.bin")
            for name in names:
                self.lend(name, b"light")
            return Planted(names)
        if plant is Plant.TOTAL:
            row = Row(day, "SHOP", -100, _OPENING - 100)
            self.lend("false.pdf", _pdf(self._statement([row], "4321", row.balance + 1)))
            return Planted(streams=frozenset({"transactions"}))
        if plant is Plant.TWIN:
            marks = ("THE FIRST OF TWO", "THE SECOND OF TWO")
            self.lend("account 9999/twins.ofx", _ofx(day, marks).encode())
            return Planted(marks, frozenset({"transactions"}))
        mark = "a planted column"
        lines = ["Date,Description,Amount,Balance,Mood", f"{day:%m/%d/%Y},SHOP,-1.00,900.00,{mark}", ""]
        self.lend("account 9999/planted.csv", "\n".join(lines).encode())
        return Planted((mark,), frozenset({"transactions"}))

    def _export(self, number: int) -> None:
        name = f"account {_ACCOUNT}/export {number}.csv"
        rows = self._rows(number, _ROWS)
        lines = [f"{row.day:%m/%d/%Y},{row.text},{row.cents / 100:.2f},{row.balance / 100:.2f}" for row in rows]
        self.write(name, "\n".join(["Date,Description,Amount,Balance", *lines, ""]).encode())
        self._note(name, _ACCOUNT, rows)
        self._groups.append(RecordGroup("account_stats", frozenset({f"{_ACCOUNT}:{rows[-1].day}"}), name))

    def _rows(self, number: int, count: int) -> list[Row]:
        rows = []
        for step in range(count):
            cents = -1_000 - 100 * step - number
            self._balance += cents
            day = self._first + timedelta(days=30 * number + step)
            rows.append(Row(day, f"SHOP {number}-{step}", cents, self._balance))
        return rows

    def _statement(self, rows: Sequence[Row], account: str, closing: int) -> list[tuple[str, ...]]:
        """The lines of a statement in a layout that this version reads."""
        return [
            ("USAA FEDERAL SAVINGS BANK",),
            ("USAA CLASSIC CHECKING",),
            (f"Account Number: ****{account}",),
            (f"Statement Period: {self._first:%m/%d/%Y} - {self._until:%m/%d/%Y}",),
            (f"Beginning Balance {_dollars(_OPENING)}",),
            ("TRANSACTIONS",),
            ("Date", "Description", "Amount", "Balance"),
            *((f"{row.day:%m/%d}", row.text, _dollars(row.cents), _dollars(row.balance)) for row in rows),
            (f"ENDING BALANCE {_dollars(closing)}",),
        ]

    def _note(self, name: str, account: str, rows: Sequence[Row]) -> None:
        entries = [Posting(row.day, row.cents, row.text) for row in rows]
        keys = frozenset(key for key, _ in identified(account, entries))
        self._groups.append(RecordGroup("transactions", keys, name))

    def _print_statement(self) -> None:
        """A statement of another account, in a layout that this version reads."""
        self._balance = _OPENING
        rows = self._rows(0, _ROWS)
        content = _pdf(self._statement(rows, _OTHER, self._balance))
        self.write(_STATEMENT, content)
        self._note(_STATEMENT, _OTHER, rows)
        paper = open_paper(content, "")
        found = {"accounts": _OTHER, "account_stats": f"{_OTHER}:{self._until}", "statements": paper.key}
        self._groups += [RecordGroup(stream, frozenset({key}), _STATEMENT) for stream, key in found.items()]


def _ofx(day: date, texts: Sequence[str]) -> str:
    """A file for money programs in which every transaction has the id of the first."""
    rows = [
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day:%Y%m%d}<TRNAMT>-1.00<FITID>1<NAME>{text}</STMTTRN>" for text in texts
    ]
    return f"<OFX><STMTRS><ACCTID>9999<BANKTRANLIST>{''.join(rows)}</BANKTRANLIST></STMTRS></OFX>"


def _dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02}"


def _pdf(lines: Sequence[tuple[str, ...]]) -> bytes:
    """One page of lines in columns: the smallest PDF that holds them (ISO 32000-1, 7.5)."""
    cells = [
        f"BT /F1 10 Tf {x} {800 - 16 * row} Td ({text}) Tj ET"
        for row, line in enumerate(lines)
        for x, text in zip(_COLUMNS, line, strict=False)
    ]
    content = "\n".join(cells)
    objects = [
        "<</Type /Catalog /Pages 2 0 R>>",
        "<</Type /Pages /Kids [3 0 R] /Count 1>>",
        "<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources <</Font <</F1 4 0 R>>>>>>",
        "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
        f"<</Length {len(content)}>>\nstream\n{content}\nendstream",
    ]
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer\n<</Size {len(objects) + 1} /Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode("ascii")


def open_account() -> AbstractContextManager[PracticeAccount]:
    """The inbox, while it is there."""
    return watched(Inbox)
