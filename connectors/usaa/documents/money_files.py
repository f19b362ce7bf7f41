"""Files for money programs: OFX (also as QFX) and QIF, which name each transaction by fields and not by columns."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from connectors.usaa.documents.export import NotAnExportError, decode
from connectors.usaa.documents.figures import read_date, signed_cents
from connectors.usaa.documents.identity import Posting, check_number
from connectors.usaa.documents.kinds import kind_of_code
from connectors.usaa.documents.templates import Kind
from connectors.usaa.ledger import DAY, Span

_OFX = re.compile(r"<OFX>", re.IGNORECASE)
_QIF = re.compile(r"\A\s*!(?:Type|Account|Option)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"<(?:CC)?STMTRS>(.*?)(?:</(?:CC)?STMTRS>|\Z)", re.IGNORECASE | re.DOTALL)
_TRANSACTION = re.compile(
    r"<STMTTRN>(.*?)(?:</STMTTRN>|(?=<STMTTRN>)|(?=</BANKTRANLIST>)|\Z)", re.IGNORECASE | re.DOTALL
)
_HEAD_CHARS = 4096
_ELEMENT = re.compile(r"<([A-Z0-9_.]+)>([^<\r\n]+)", re.IGNORECASE)
_OFX_HELD = frozenset({"DTPOSTED", "TRNAMT", "CHECKNUM"})
_QIF_HELD = frozenset("!^DTN")


@dataclass(slots=True)
class MoneyFile:
    """The content of one file."""

    entries: list[Posting] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    """Transactions that could not be read, numbered from 1."""
    account: str | None = None
    """Last four digits of the account, where the file names it."""
    span: Span | None = None
    balance: tuple[date, int] | None = None
    account_kind: Kind | None = None

    def add(self, number: int, day: date | None, amount: str, text: str, check: str, *, extra: dict[str, str]) -> None:
        """Add a transaction, or note that it cannot be read; `extra` is all that the file tells besides."""
        cents = signed_cents(amount)
        if day is None or cents is None or not text:
            self.broken.append(number)
            return
        known = check if check.isdigit() and len(check) <= 8 else check_number(text)
        self.entries.append(
            Posting(
                day, cents, text, check_number=known, kind=kind_of_code(extra.get("TRNTYPE", "")), extra=extra or None
            )
        )


def reader_of(content: bytes) -> Callable[[str], MoneyFile] | None:
    """The function that reads such a file; None when it is none."""
    head = decode(content[:_HEAD_CHARS])
    if _OFX.search(head):
        return read_ofx
    return read_qif if _QIF.match(head) else None


def read_ofx(text: str) -> MoneyFile:
    """Read the statement of an OFX file, in either of its two forms.

    The last day of its period is not over yet, so it is not covered.

    Raises:
        NotAnExportError: it holds no statement, or those of several accounts.
    """
    statements = _STATEMENT.findall(text)
    accounts = {_value(one, "ACCTID") for one in statements}
    if not statements:
        raise NotAnExportError("it holds no statement of an account")
    if len(accounts) > 1:
        raise NotAnExportError("it is of several accounts; export each account by itself")
    found = MoneyFile(account=_last_four(accounts.pop()), account_kind=_account_kind(text))
    for number, one in enumerate(_TRANSACTION.findall("".join(statements)), start=1):
        name, memo = _value(one, "NAME"), _value(one, "MEMO")
        words = memo if memo.startswith(name) else name
        day, amount, rest = _day(one, "DTPOSTED"), _value(one, "TRNAMT"), _rest(one, words)
        found.add(number, day, amount, words, _value(one, "CHECKNUM"), extra=rest)
    since, until = (_day(statements[0], tag) for tag in ("DTSTART", "DTEND"))
    if since is not None and until is not None and len(statements) == 1 and not found.broken:
        found.span = Span(since, max(until, since))
    as_of, cents = _day(statements[-1], "DTASOF"), signed_cents(_value(statements[-1], "BALAMT"))
    if as_of is not None and cents is not None:
        found.balance = (as_of, cents)
    return found


def read_qif(text: str) -> MoneyFile:
    """Read a QIF file. It names no account and no period, so it covers from its first to its last day."""
    named = re.search(r"^!Type:\s*(\w+)", text, re.IGNORECASE | re.MULTILINE)
    found = MoneyFile(account_kind="credit_card" if named is not None and named[1].lower() == "ccard" else None)
    for number, record in enumerate(re.split(r"^\^\s*$", text, flags=re.MULTILINE), start=1):
        fields = {line[0].upper(): line[1:].strip() for line in record.splitlines() if line and line[0] != "!"}
        if not fields.keys() & {"D", "T"}:
            continue
        day = read_date("/".join(part.strip() for part in fields.get("D", "").split("'")).replace(" ", ""))
        words = fields.get("P") or fields.get("M") or ""
        amount, rest = fields.get("T") or fields.get("U", ""), _rest_of_qif(record, words)
        found.add(number, day, amount, words, fields.get("N", ""), extra=rest)
    days = [entry.day for entry in found.entries]
    if days and not found.broken:
        found.span = Span(min(days), max(days) + DAY, is_open=True)
    return found


def _rest(transaction: str, words: str) -> dict[str, str]:
    """The elements of an OFX transaction that no field holds."""
    found = {tag.upper(): html.unescape(value).strip() for tag, value in _ELEMENT.findall(transaction)}
    return {tag: value for tag, value in found.items() if value and tag not in _OFX_HELD and value != words}


def _rest_of_qif(record: str, words: str) -> dict[str, str]:
    """The lines of a QIF transaction that no field holds, by their letters; a letter may come again."""
    found: dict[str, str] = {}
    for line in record.splitlines():
        letter, value = line[:1].upper(), line[1:].strip()
        if value and letter not in _QIF_HELD and value != words:
            found[letter] = f"{found[letter]}; {value}" if letter in found else value
    return found


def _account_kind(text: str) -> Kind | None:
    if re.search(r"<CCSTMTRS>", text, re.IGNORECASE):
        return "credit_card"
    kinds: dict[str, Kind] = {"CHECKING": "checking", "SAVINGS": "savings", "MONEYMRKT": "savings"}
    return kinds.get(_value(text, "ACCTTYPE").upper())


def _value(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>([^<\r\n]*)", text, re.IGNORECASE)
    return "" if found is None else html.unescape(found[1]).strip()


def _day(text: str, tag: str) -> date | None:
    return read_date(_value(text, tag)[:8])


def _last_four(account: str) -> str | None:
    digits = re.sub(r"\D", "", account)[-4:]
    return digits if len(digits) == 4 else None
