"""Facts that a statement prints beside its transactions: due date, minimum payment, interest, fees, yield, product."""

from __future__ import annotations

import re
from typing import Any

from connectors.usaa.documents.figures import AMOUNT, FULL_DATE, read_date, signed_cents

_UNTIL_AMOUNT = rf"[^\n$\d]{{0,40}}?({AMOUNT})"
_DUE = re.compile(
    rf"(?:payment )?due date\W{{0,10}}({FULL_DATE})|payment (?:is )?due (?:by|on)?\W{{0,10}}({FULL_DATE})",
    re.IGNORECASE,
)
_AMOUNTS = {
    "minimum_payment_cents": (r"(?:total )?minimum (?:amount |payment )?(?:due|payment)\b(?: due)?",),
    "interest_cents": (
        r"total interest (?:charged )?(?:for|in) this (?:period|month|statement)",
        r"(?:interest charged?|interest (?:paid|earned))(?: this (?:period|month|statement))?",
    ),
    "fees_cents": (
        r"total fees (?:charged )?(?:for|in) this (?:period|month|statement)",
        r"(?:fees charged|total fees|service charges?(?: and fees)?)(?: this (?:period|month|statement))?",
    ),
}
_LABELS = {
    field: tuple(re.compile(rf"\b{label}{_UNTIL_AMOUNT}", re.IGNORECASE) for label in labels)
    for field, labels in _AMOUNTS.items()
}
_YIELD = re.compile(r"annual percentage yield(?: earned)?[^\n\d]{0,20}(\d{1,2}(?:\.\d{1,4})?)\s?%", re.IGNORECASE)
_PRODUCT = re.compile(
    r"^(USAA (?!FEDERAL\b)[A-Z0-9 &'-]{0,40}(?:CHECKING|SAVINGS|CARD|VISA|MASTERCARD|AMERICAN EXPRESS|MONEY MARKET)\b"
    r"[A-Z ]{0,20})$",
    re.IGNORECASE | re.MULTILINE,
)


def terms_in(text: str) -> dict[str, Any]:
    """The fields of a statement's record that its text names, as far as it names each of them one way only."""
    terms: dict[str, Any] = {}
    dues = {read_date(one or other) for one, other in _DUE.findall(text)} - {None}
    if len(dues) == 1:
        terms["payment_due_date"] = str(dues.pop())
    for field, labels in _LABELS.items():
        for label in labels:
            amounts = {abs(cents) for one in label.findall(text) if (cents := signed_cents(one)) is not None}
            if len(amounts) == 1:
                terms[field] = amounts.pop()
                break
    rates = set(_YIELD.findall(text))
    if len(rates) == 1:
        terms["annual_percentage_yield"] = rates.pop()
    return terms


def product_in(text: str) -> str | None:
    """The name of the account's product, as the statement's heading prints it."""
    found = _PRODUCT.search(text)
    return None if found is None else " ".join(found[1].split())
