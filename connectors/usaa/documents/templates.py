"""The layouts of statements that this version knows. A new one is a row here, and a higher version in the manifest.

A template says which statements it is for and how they sign their amounts; `statement` reads by it and lets only the
balances decide whether it read right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from connectors.usaa.documents.figures import AMOUNT, FULL_DATE, SHORT_DATE
from connectors.usaa.documents.identity import digest
from connectors.usaa.documents.pdf import Line

Kind = Literal["checking", "savings", "credit_card"]


@dataclass(frozen=True)
class Template:
    """One layout.

    `marks` are expressions that all have to occur in the text, `never` is one that must not. `opening` and `closing`
    name the two balances. With `two_dates` a row begins with the day a card was used and the day it was posted. `owes`
    says that a balance is what the owner owes: a row without a minus then takes money from the owner.
    """

    name: str
    kind: Kind
    marks: tuple[str, ...]
    opening: str
    closing: str
    two_dates: bool = False
    owes: bool = False
    never: str | None = None

    def recognises(self, text: str) -> bool:
        """Whether the text has every mark of the layout, and none of what it never has."""
        if self.never is not None and re.search(self.never, text, re.IGNORECASE):
            return False
        return all(re.search(mark, text, re.IGNORECASE) for mark in self.marks)


_BANK_OPENING = r"(?:(?:beginning|opening|previous|starting)\s+(?:statement\s+)?balance|balance (?:brought )?forward)"
_BANK_CLOSING = r"(?:ending|closing)\s+(?:statement\s+)?balance"
_CARD = r"credit card|credit limit|available credit|closing date|minimum payment|\bvisa\b|mastercard|american express"
_OWED = r"credit limit|available credit|minimum payment"
"""A balance that is owed adds up as well with every sign turned round, so a card is never read as a bank account."""

TEMPLATES: tuple[Template, ...] = (
    Template(
        name="credit-card",
        kind="credit_card",
        marks=(r"\bprevious (?:statement )?balance\b", r"\bnew (?:statement )?balance\b", _CARD),
        opening=r"previous\s+(?:statement\s+)?balance",
        closing=r"new\s+(?:statement\s+)?balance",
        two_dates=True,
        owes=True,
    ),
    Template(
        name="savings",
        kind="savings",
        marks=(r"\bsavings?\b(?!\s+bank)", _BANK_OPENING, _BANK_CLOSING),
        opening=_BANK_OPENING,
        closing=_BANK_CLOSING,
        never=_OWED,
    ),
    Template(
        name="checking",
        kind="checking",
        marks=(_BANK_OPENING, _BANK_CLOSING),
        opening=_BANK_OPENING,
        closing=_BANK_CLOSING,
        never=_OWED,
    ),
)


def knowledge(templates: Iterable[Template]) -> str:
    """A text that stands for a set of templates: another set, another text."""
    return digest(*(repr(one) for one in templates))[:16]


_FORMAL = (
    "account activity additions adjustments advances amount and annual average balance bank beginning billing "
    "brought cash charged checking checks closing credit credits cycle daily date days debit debits deposits "
    "description due electronic ending fee fees forward history in interest limit minimum new number of "
    "opening other paid payment payments percentage period post posted previous purchases rate reference "
    "savings statement subtractions summary total transaction transactions type withdrawals year"
)
_WORDS = frozenset(_FORMAL.split())
_DATED = re.compile(rf"(?:{FULL_DATE}|{SHORT_DATE})", re.IGNORECASE)
_AMOUNT = re.compile(AMOUNT, re.IGNORECASE)


def fingerprint(lines: Sequence[Line]) -> str:
    """16 hexadecimal characters for a layout: its headings and the shapes of its dated lines.

    Only words that belong to the form itself go in, so that two months of one layout have one fingerprint, and none
    tells whose statement it is.
    """
    headings: dict[str, None] = {}
    shapes: set[str] = set()
    for line in lines:
        if _DATED.match(line.text):
            shapes.add(_shape(line.text))
        elif formal := " ".join(word for word in re.findall(r"[a-z]+", line.text.lower()) if word in _WORDS):
            headings.setdefault(formal)
    return digest("layout", *headings, *sorted(shapes))[:16]


def _shape(text: str) -> str:
    marked = _AMOUNT.sub(" # ", _DATED.sub(" @ ", text))
    kinds = [word if word in "@#" else "x" for word in marked.split()]
    return "".join(kind for at, kind in enumerate(kinds) if at == 0 or kind != kinds[at - 1])
