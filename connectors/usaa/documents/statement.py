"""A statement read by a template, and the proof of it: opening balance + transactions = closing balance.

Rows are taken wherever they stand, except in sections that repeat what was said; a section's heading may sign the
amounts that print none. Nothing is guessed: whatever does not add up to the cent was not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from connectors.usaa.documents.export import account_in
from connectors.usaa.documents.figures import (
    AMOUNT,
    FULL_DATE,
    SHORT_DATE,
    dated_by,
    plain,
    read_date,
    read_day,
    signed_cents,
)
from connectors.usaa.documents.identity import Posting
from connectors.usaa.documents.pdf import Document
from connectors.usaa.documents.tables import DoubtfulError, Row, read_rows
from connectors.usaa.documents.templates import Kind, Template
from connectors.usaa.documents.terms import product_in, terms_in
from connectors.usaa.ledger import DAY

_JOIN = r"\s*(?:-|to|through|thru)\s*"
_ANY_DATE = rf"(?:{FULL_DATE}|{SHORT_DATE})"
_PERIOD = re.compile(
    r"(?:statement (?:period|dates?)|billing (?:period|cycle)|account period|period covered|for the period|"
    rf"activity for|opening/closing date)\W*(?:from\s+)?({_ANY_DATE}){_JOIN}({FULL_DATE})",
    re.IGNORECASE,
)
_BARE_PERIOD = re.compile(rf"({FULL_DATE})\s*(?:-|to|through|thru)\s*({FULL_DATE})", re.IGNORECASE)
_CLOSING = re.compile(rf"(?:(?:statement|billing)\s+)?(?:closing|ending|end)\s+date\W*({FULL_DATE})", re.IGNORECASE)
_STATEMENT_DATE = re.compile(rf"statement date\W*({FULL_DATE})", re.IGNORECASE)
_CYCLE = re.compile(r"days in (?:the )?(?:billing|statement) (?:cycle|period)\W*(\d{1,3})\b", re.IGNORECASE)


class UnknownTemplateError(Exception):
    """A statement that no template known here reads; says why, without content."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose balances add up. Balances are what the owner has, cents; what is owed is negative."""

    template: str
    kind: Kind
    account: str | None
    since: date
    closed_on: date
    opening: int
    closing: int
    entries: list[Posting]
    terms: dict[str, Any] = field(default_factory=dict)
    """Further fields of its record: due date, minimum payment, interest, fees."""
    product: str | None = None


def read_statement(document: Document, templates: Iterable[Template]) -> Statement:
    """Read a statement by the first template that it proves right.

    Raises:
        UnknownTemplateError: none does.
    """
    text = plain(document.text)
    why = "no known layout"
    for template in templates:
        if not template.recognises(text):
            continue
        try:
            return _read(document, text, template)
        except DoubtfulError as error:
            why = f"read as {template.name}: {error}"
    raise UnknownTemplateError(why)


def _read(document: Document, text: str, template: Template) -> Statement:
    since, closed_on = _period(text)
    opening, closing = (_balance(text, label) for label in (template.opening, template.closing))
    rows = read_rows(document.lines, template)
    entries = [_entry(row, closed_on) for row in rows]
    sign = -1 if template.owes else 1
    if sign * opening + sum(entry.cents for entry in entries) != sign * closing:
        raise DoubtfulError("opening balance and transactions do not add up to the closing balance")
    if since is None:
        since = min((entry.day for entry in entries), default=closed_on)
    return Statement(
        template.name,
        template.kind,
        _account(text),
        since,
        closed_on,
        sign * opening,
        sign * closing,
        entries,
        terms_in(text),
        product_in(text),
    )


def _entry(row: Row, closed_on: date) -> Posting:
    days = [None if (found := read_day(text)) is None else dated_by(closed_on, found) for text in row.days]
    if None in days:
        raise DoubtfulError("a row has a date that is none")
    known = [day for day in days if day is not None]
    return Posting(
        known[-1],
        row.cents,
        row.text,
        check_number=row.check_number,
        balance_cents=row.balance,
        made_on=known[0] if len(known) > 1 else None,
    )


def _period(text: str) -> tuple[date | None, date]:
    for pattern in (_PERIOD, _BARE_PERIOD):
        if (found := pattern.search(text)) is not None and (until := read_date(found[2])) is not None:
            first = read_day(found[1])
            since = None if first is None else dated_by(until, first)
            if since is not None and since <= until:
                return since, until
    for pattern in (_CLOSING, _STATEMENT_DATE):
        if (found := pattern.search(text)) is not None and (until := read_date(found[1])) is not None:
            cycle = _CYCLE.search(text)
            return (until - (int(cycle[1]) - 1) * DAY if cycle and int(cycle[1]) else None), until
    raise DoubtfulError("it names no period")


def _balance(text: str, label: str) -> int:
    pattern = rf"\b{label}\b(?:[ ]+(?:on|as of|from|for))?[ ]*(?:{_ANY_DATE})?[ ]*[:.\u2026 ]*[ ]*({AMOUNT})"
    found = {signed_cents(one) for one in _amounts(re.finditer(pattern, text, re.IGNORECASE))}
    if len(found) != 1 or (cents := found.pop()) is None:
        raise DoubtfulError("it does not name one opening and one closing balance")
    return cents


def _amounts(matches: Iterable[re.Match[str]]) -> Sequence[str]:
    return [match[1] for match in matches]


def _account(text: str) -> str | None:
    return account_in(text)
