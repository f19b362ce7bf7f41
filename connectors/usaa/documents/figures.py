"""Money and dates as documents print them: whole cents and plain dates; no float, no time zone.

A date is month first, as the bank prints it.
"""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f", " "),
    }
)
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,13})\.\d{2}(?!\d)"
AMOUNT = (
    rf"(?:\(\s?)?(?:[-+]\s?)?(?:USD\s?|US\$\s?|\$\s?)?(?:[-+]\s?)?{_NUMBER}(?:\s?\))?(?:\s?(?:CR|DR)\b|\s?-(?![\w$]))?"
)
"""An amount in running text; always with its cents, or any number would be one."""

_MARKED = re.compile(
    r"(?P<open>\()?\s*(?P<before>[-+])?\s*(?:USD|US\$|\$)?\s*(?P<after>[-+])?\s*"
    r"(?P<body>[\d.,' \u2019]+?)\s*(?:USD)?\s*(?P<close>\))?\s*(?P<tail>-|CR|DR)?",
    re.IGNORECASE,
)
_POINT = re.compile(r"(?P<whole>\d{1,3}(?:,\d{3})+|\d{1,13}|)(?:\.(?P<cents>\d{1,2}))?")
_COMMA = re.compile(r"(?P<whole>\d{1,3}(?:[.' \u2019]\d{3})+|\d{1,13}),(?P<cents>\d{2})")

MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
FULL_DATE = (
    r"(?:\d{4}-\d{2}-\d{2}|\d{1,2}[/-]\d{1,2}[/-](?:\d{4}|\d{2})(?!\d)|"
    rf"{MONTH}\s+\d{{1,2}},?\s+\d{{4}}|\d{{1,2}}\s+{MONTH}\s+\d{{4}})"
)
SHORT_DATE = rf"(?:\d{{1,2}}[/-]\d{{1,2}}(?![/\d-])|{MONTH}\s+\d{{1,2}}(?!\d))"

_ISO = re.compile(r"(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?:[T ].*)?")
_NUMERIC = re.compile(r"(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}|\d{2}))?(?:\s+\d{1,2}:\d{2}.*)?")
_NAMED = re.compile(rf"({MONTH})\s+(\d{{1,2}})(?:,?\s+(\d{{4}}))?", re.IGNORECASE)
_DAY_FIRST_NAMED = re.compile(rf"(\d{{1,2}})[\s-]+({MONTH})[\s,-]+(\d{{4}})", re.IGNORECASE)
_SHORT_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEARS = range(1900, 2200)
"""Years that a bank prints; a day outside them is a slip of the pen."""
_MONTHS = {name: number for number, name in enumerate(_SHORT_NAMES, 1)}


class Amount(NamedTuple):
    """A printed amount: how much, and whether it carries a minus (before, behind, as parentheses or as DR), or CR."""

    cents: int
    is_minus: bool
    is_credit: bool


class DayMonth(NamedTuple):
    """A date as it is printed; its year may be left to the context."""

    month: int
    day: int
    year: int | None


def plain(text: str) -> str:
    """The text with one kind of minus and one kind of space."""
    return text.translate(_PLAIN)


def read_amount(text: str) -> Amount | None:
    """An amount of a known form; None when the text is none."""
    marked = _MARKED.fullmatch(plain(text).strip())
    if marked is None or (marked["open"] is None) != (marked["close"] is None):
        return None
    body = marked["body"].strip()
    number = _POINT.fullmatch(body) or _COMMA.fullmatch(body)
    if number is None or not body.strip("."):
        return None
    whole = re.sub(r"\D", "", number["whole"]) or "0"
    cents = int(whole) * 100 + int((number["cents"] or "0").ljust(2, "0"))
    tail = (marked["tail"] or "").upper()
    minuses = sum((marked["before"] == "-", marked["after"] == "-", marked["open"] is not None, tail in ("-", "DR")))
    return Amount(cents, minuses % 2 == 1, tail == "CR") if minuses < 2 else None


def signed_cents(text: str) -> int | None:
    """An amount as signed cents; None when the text is none."""
    amount = read_amount(text)
    if amount is None:
        return None
    return -amount.cents if amount.is_minus else amount.cents


def read_day(text: str) -> DayMonth | None:
    """A date of a known form, not yet checked against the calendar; None when the text is none."""
    text = plain(text).strip()
    if (found := _ISO.fullmatch(text)) is not None:
        return DayMonth(int(found[2]), int(found[3]), int(found[1]))
    if (found := _NUMERIC.fullmatch(text)) is not None:
        return DayMonth(int(found[1]), int(found[2]), _full_year(found[3]))
    if (found := _NAMED.fullmatch(text)) is not None:
        return DayMonth(_MONTHS[found[1][:3].lower()], int(found[2]), _full_year(found[3]))
    if (found := _DAY_FIRST_NAMED.fullmatch(text)) is not None:
        return DayMonth(_MONTHS[found[2][:3].lower()], int(found[1]), int(found[3]))
    return None


def read_date(text: str) -> date | None:
    """A date with its year; None when the text is none, or no day of the calendar."""
    found = read_day(text)
    return None if found is None or found.year is None else _date(found.year, found.month, found.day)


def dated_by(closing: date, found: DayMonth) -> date | None:
    """A printed day on a document that closes on a date: without a year, the last such day up to it.

    December rows on a January statement are thereby of the year before.
    """
    if found.year is not None:
        return _date(found.year, found.month, found.day)
    is_later = (found.month, found.day) > (closing.month, closing.day)
    return _date(closing.year - is_later, found.month, found.day)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year in _YEARS else None
    except ValueError:
        return None


def _full_year(text: str | None) -> int | None:
    if text is None or len(text) == 4:
        return None if text is None else int(text)
    return int(text) + (2000 if int(text) < 70 else 1900)
