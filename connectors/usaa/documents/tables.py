"""The rows of a statement: dated lines with amounts, with descriptions that may run over several lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from connectors.usaa.documents.figures import AMOUNT, FULL_DATE, SHORT_DATE, plain, read_amount, signed_cents
from connectors.usaa.documents.identity import check_number
from connectors.usaa.documents.pdf import Line
from connectors.usaa.documents.templates import Template

_DAY = re.compile(rf"({FULL_DATE}|{SHORT_DATE})(?:\s+|$)", re.IGNORECASE)
_AMOUNT = re.compile(AMOUNT, re.IGNORECASE)
_TAIL = re.compile(rf"(?:^|\s)({AMOUNT})$", re.IGNORECASE)
_PAGE = re.compile(r"page\s+\d+(\s+of\s+\d+)?|.*\bcontinued (on|from)\b.*|\(?continued\)?", re.IGNORECASE)
_REPEATS = re.compile(
    r"daily (ending )?balance|balance summary|year[- ]to[- ]date|interest (charge )?calculation|average daily|"
    r"fees? summary|rewards|account summary",
    re.IGNORECASE,
)
_MONEY_IN = frozenset({"deposit", "deposits", "credit", "credits", "additions"})
_MONEY_OUT = frozenset(
    {"withdrawal", "withdrawals", "debit", "debits", "checks", "purchases", "subtractions", "advances", "fees"}
)
_FORMAL = (
    "account activity adjustments amount and atm balance calculation cash charge charged check continued daily "
    "date description detail details effective electronic ending fee for history important information "
    "interest no number of or other paid payment payments period post posted posting purchase ref reference "
    "returns rewards running statement summary this to total totals tran trans transaction transactions year "
    "your"
)
_HEADING = _MONEY_IN | _MONEY_OUT | frozenset(_FORMAL.split())
_HEADING_SUBJECT = (
    _MONEY_IN
    | _MONEY_OUT
    | {
        "transactions",
        "activity",
        "payments",
        "interest",
        "summary",
        "totals",
        "rewards",
        "balance",
        "history",
        "adjustments",
    }
)

_OWN_ACCOUNT = re.compile(
    r"(?:[a-z]+ ){0,3}account(?: (?:number|no\.?|#))?(?: ending(?: in)?)?:? *[\d*x\u2022 -]*?(\d{4})", re.IGNORECASE
)
_OTHERS_ACCOUNT = re.compile(r"\b(?:from|to|transfer|payment|linked|overdraft|protection|external)\b", re.IGNORECASE)

Sign = Literal[-1, 0, 1]


class DoubtfulError(Exception):
    """A statement that a template cannot read without a doubt; says why, without content."""


@dataclass(slots=True)
class Row:
    """One row. `cents` are negative where money leaves the owner."""

    days: list[str]
    text: str
    cents: int
    balance: int | None
    check_number: str | None


@dataclass(slots=True)
class _Open:
    """A row whose description may go on in the next line."""

    days: list[str]
    words: list[str]
    amounts: list[str]
    ends: list[float]
    text_x0: float
    last: Line
    sign: Sign
    columns: dict[Sign, float]


@dataclass(slots=True)
class _Reader:
    template: Template
    rows: list[Row] = field(default_factory=list)
    sign: Sign = 0
    skips: bool = False
    columns: dict[Sign, float] = field(default_factory=dict)
    open: _Open | None = None
    accounts: set[str] = field(default_factory=set)
    """Last digits of the accounts that headings name."""

    def take(self, line: Line) -> None:
        text = plain(line.text)
        if (columns := _columns(line)) is not None:
            self.close()
            self.columns, self.skips = columns, False
        elif self._is_balance(text) or _PAGE.fullmatch(text):
            if not _PAGE.fullmatch(text):
                self.close()
        elif (day := _DAY.match(text)) is not None and not self._goes_on(line):
            self.close()
            self._begin(line, text, day)
        elif self._goes_on(line) and not _is_known_heading(text):
            self._continue(line, text)
        else:
            self.close()
            self._heading(text)

    def close(self) -> None:
        if self.open is not None and not self.open.amounts and any(map(_AMOUNT.search, self.open.words)):
            raise DoubtfulError("a dated line has an amount where none is expected")
        if self.open is not None and self.open.amounts:
            self.rows.append(_row(self.open, self.template))
        self.open = None

    def _begin(self, line: Line, text: str, day: re.Match[str]) -> None:
        if self.skips:
            return
        days, rest = [day[1]], text[day.end() :]
        if self.template.two_dates and (second := _DAY.match(rest)) is not None:
            days.append(second[1])
            rest = rest[second.end() :]
        if not any(char.isalpha() for char in rest) and len(_DAY.findall(rest)) > 0:
            raise DoubtfulError("a line holds several dates and amounts")
        used = sum(len(one.split()) for one in days)
        text_x0 = line.words[used].x0 if used < len(line.words) else line.x0
        self.open = _Open(days, [], [], [], text_x0, line, self.sign, self.columns)
        self._fill(line, rest)

    def _continue(self, line: Line, text: str) -> None:
        if self.open is not None:
            self.open.last = line
            self._fill(line, text)

    def _fill(self, line: Line, text: str) -> None:
        row = self.open
        if row is None:
            return
        rest, amounts = _split_amounts(text)
        if amounts and row.amounts:
            raise DoubtfulError("a row has amounts on two lines")
        row.words.append(rest)
        if amounts:
            row.amounts = amounts
            row.ends = _ends(line, amounts)

    def _goes_on(self, line: Line) -> bool:
        row = self.open
        if row is None or line.x0 < row.text_x0 - 2:
            return False
        if line.page != row.last.page:
            return not row.amounts
        return line.top - row.last.top <= 1.9 * max(row.last.height, line.height)

    def _is_balance(self, text: str) -> bool:
        label = rf"(?:{FULL_DATE}|{SHORT_DATE})?\s*(?:{self.template.opening}|{self.template.closing})\b"
        return re.match(label, text, re.IGNORECASE) is not None

    def _heading(self, text: str) -> None:
        if (own := _OWN_ACCOUNT.fullmatch(text)) is not None and not _OTHERS_ACCOUNT.search(text):
            self.accounts.add(own[1])
        words = re.findall(r"[a-z]+", text.lower())
        if _TAIL.search(text) or not words or not set(words) <= _HEADING or not _HEADING_SUBJECT & set(words):
            return
        self.skips = _REPEATS.search(text) is not None
        self.sign = _section_sign(set(words), self.template)
        self.columns = {}


def read_rows(lines: Sequence[Line], template: Template) -> list[Row]:
    """All rows of a statement.

    Raises:
        DoubtfulError: a line is dated and cannot be read as a row, or the rows are of several accounts.
    """
    reader = _Reader(template)
    for line in lines:
        reader.take(line)
    reader.close()
    if len(reader.accounts) > 1:
        raise DoubtfulError("it is of several accounts")
    return reader.rows


def _columns(line: Line) -> dict[Sign, float] | None:
    """The ends of the columns of money in and money out, if the line heads such columns; empty for other headings."""
    words = [re.sub(r"\W", "", word.text.lower()) for word in line.words]
    if "description" not in words or "date" not in words:
        return None
    found: dict[Sign, float] = {}
    for word, placed in zip(words, line.words, strict=True):
        if word in _MONEY_IN:
            found[1] = placed.x1
        elif word in _MONEY_OUT:
            found[-1] = placed.x1
    return found if len(found) == 2 else {}


def _is_known_heading(text: str) -> bool:
    return text.isupper() and _section_words(text) and len(text.split()) > 1


def _section_words(text: str) -> bool:
    words = set(re.findall(r"[a-z]+", text.lower()))
    return words <= _HEADING and "and" in words and bool(words & _HEADING_SUBJECT)


def _section_sign(words: set[str], template: Template) -> Sign:
    money_in = _MONEY_IN | {"payments", "payment"} if template.owes else _MONEY_IN
    money_out = _MONEY_OUT | ({"interest", "charged"} if template.owes else {"payments", "paid"})
    is_in, is_out = bool(words & money_in), bool(words & money_out)
    return 0 if is_in == is_out else (1 if is_in else -1)


def _split_amounts(text: str) -> tuple[str, list[str]]:
    amounts: list[str] = []
    while (tail := _TAIL.search(text)) is not None:
        amounts.insert(0, tail[1])
        text = text[: tail.start()].rstrip()
    return text, amounts


def _ends(line: Line, amounts: Sequence[str]) -> list[float]:
    """The right end of each amount at a line's end, points."""
    numbers = [word for word in line.words if re.search(r"\d\.\d\d", word.text)]
    return [word.x1 for word in numbers[-len(amounts) :]]


def _row(row: _Open, template: Template) -> Row:
    text = " ".join(part for part in row.words if part).strip()
    cents, balance = _by_column(row) if len(row.columns) == 2 else _by_sign(row, template)
    is_number = text.isascii() and text.isdigit() and len(text) <= 8
    return Row(
        row.days, f"CHECK # {text}" if is_number else text, cents, balance, text if is_number else check_number(text)
    )


def _by_sign(row: _Open, template: Template) -> tuple[int, int | None]:
    if len(row.amounts) > 2:
        raise DoubtfulError("a row has more than an amount and a balance")
    amount = read_amount(row.amounts[0])
    if amount is None:
        raise DoubtfulError("a row has an amount that is none")
    balance = signed_cents(row.amounts[1]) if len(row.amounts) == 2 else None
    if template.owes:
        is_in = amount.is_minus or amount.is_credit or row.sign > 0
    else:
        is_in = not amount.is_minus and (amount.is_credit or row.sign >= 0)
    return amount.cents if is_in else -amount.cents, balance


def _by_column(row: _Open) -> tuple[int, int | None]:
    """Each amount belongs to the column that ends nearest; what ends right of both is the balance."""
    total, balance = 0, None
    right = max(row.columns.values())
    for text, end in zip(row.amounts, row.ends, strict=True):
        amount = read_amount(text)
        if amount is None:
            raise DoubtfulError("a row has an amount that is none")
        sign = min(row.columns, key=lambda each: abs(row.columns[each] - end))
        if end - right > abs(right - row.columns[-1 if row.columns[1] == right else 1]) / 2:
            balance = -amount.cents if amount.is_minus else amount.cents
        else:
            total += sign * amount.cents
    return total, balance
