"""Identifies transactions, so that one is the same whichever document shows it.

Export and statement print one transaction differently: amounts with or without signs and separators, text in other
case, with other spaces and line breaks. So the identity is taken from whole cents, from the letters and digits of the
text, and from a running number among otherwise equal transactions of a day. The number is a count: a document that
shows only some of them names the same first ones.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

_CHECK_NUMBER = re.compile(r"\bCHECK\s*(?:#|NO\.?|NUMBER)?\s*0*(\d{1,8})\b", re.IGNORECASE)
_ID_CHARS = 32


@dataclass(frozen=True, slots=True)
class Posting:
    """One posted transaction as a document shows it; cents are negative where money leaves the owner."""

    day: date
    cents: int
    text: str
    """The bank's own words."""
    description: str | None = None
    category: str | None = None
    check_number: str | None = None
    balance_cents: int | None = None
    made_on: date | None = None
    """The day on which a card was used, where the document tells it from the day it was posted."""
    kind: str | None = None
    """The kind of transaction, where the document tells it by more than its words."""
    extra: Mapping[str, str] | None = None
    """Everything else that the document tells of it, by the names that it uses."""


def canonical(text: str) -> str:
    """Letters and digits in upper case; nothing else of a text is part of the identity."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).upper() if char.isalnum())


def digest(*parts: object) -> str:
    """32 hexadecimal characters that stand for the parts."""
    joined = "|".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARS]


def check_number(text: str) -> str | None:
    """The number of a check that a text names."""
    found = _CHECK_NUMBER.search(text)
    return None if found is None else found[1]


def identified(account: str, entries: Iterable[Posting]) -> Iterator[tuple[str, Posting]]:
    """Each entry of one document with its id; the document's order of equal entries does not matter."""
    counts: Counter[tuple[date, int, str]] = Counter()
    for entry in sorted(entries, key=_order):
        same = (entry.day, entry.cents, canonical(entry.text))
        yield digest(account, entry.day.isoformat(), entry.cents, same[2], f"#{counts[same]}"), entry
        counts[same] += 1


def _order(entry: Posting) -> tuple[date, int, str, bool, int]:
    return entry.day, entry.cents, canonical(entry.text), entry.balance_cents is None, entry.balance_cents or 0
