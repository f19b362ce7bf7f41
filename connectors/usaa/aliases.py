"""Gives an account one key on both roads: the site knows it by an id, a document by its last four digits.

Whichever road met the account first names it. The site's cursor holds the digits of each of its accounts.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


def site_ids(cursor: Any) -> dict[str, str]:
    """Last four digits to the site's id, where only one of its accounts has these digits."""
    digits = _part(cursor, "site").get("last_four")
    known = digits if isinstance(digits, dict) else {}
    counts = Counter(known.values())
    return {four: key for key, four in known.items() if counts[four] == 1}


def inbox_accounts(cursor: Any) -> set[str]:
    """The keys of the accounts that the inbox met."""
    accounts = _part(cursor, "inbox").get("accounts")
    return set(accounts) if isinstance(accounts, dict) else set()


def _part(cursor: Any, road: str) -> dict[str, Any]:
    part = cursor.get(road) if isinstance(cursor, dict) else None
    return part if isinstance(part, dict) else {}
