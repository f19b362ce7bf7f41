"""The account that a document of the inbox belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.usaa.documents.identity import identified
from connectors.usaa.documents.reading import Read, UnreadError, open_paper, read_paper, read_table
from connectors.usaa.documents.templates import Template
from connectors.usaa.inbox import files
from connectors.usaa.inbox.account_inference import AccountInference
from connectors.usaa.inbox.cursor import Cursor, FileEntry
from connectors.usaa.inbox.files import Found, UnreadableFileError

_CARD = "credit_card"
_TYPE_WORDS = {
    "checking": {"checking", "chk"},
    "savings": {"savings", "saving"},
    _CARD: {"credit", "visa", "mastercard", "amex", "creditcard"},
}


class NamedAccounts:
    """Finds the account of a document: by its own words, by the site, or by other documents."""

    def __init__(self, root: Path, templates: Sequence[Template], cursor: Cursor, site_ids: Mapping[str, str]) -> None:
        self._root = root
        self._templates = templates
        self._cursor = cursor
        self._site_ids = site_ids

    def account_of(self, found: Found, read: Read, held: FileEntry | None) -> tuple[str, bool]:
        """The account of a document, and whether the document or another one names it."""
        named = (found.account or read.account) if read.statement is None else (read.account or found.account)
        if named is not None:
            return self._key_of(named, read), True
        inference = AccountInference(self._cursor.files)
        inferred = inference.infer(found)
        before = None if held is None else held.account
        is_weaker = inference.knows(before) and not inference.knows(inferred)
        if before is not None and is_weaker and self._is_proved(found, before, read):
            return before, True
        return inferred, False

    def _key_of(self, last_four: str, read: Read) -> str:
        """The account of four digits: as the site names it, and a card apart from another account of these digits."""
        key = self._site_ids.get(last_four, last_four)
        state = self._cursor.ledger.accounts.get(key)
        kind = None if read.statement is None else read.statement.kind
        if state is None or state.kind is None or kind is None:
            return key
        return key if (state.kind == _CARD) == (kind == _CARD) else f"{key}-{kind}"

    def _is_proved(self, found: Found, account: str, read: Read) -> bool:
        """Whether a document that names the account shows one of these transactions too."""
        keys = {key for key, _ in identified(account, read.entries)}
        named = [name for name, held in self._cursor.files.items() if held.account == account and held.is_named]
        return any(not keys.isdisjoint(self._keys_in(name, account)) for name in named if name != found.name)

    def _keys_in(self, name: str, account: str) -> set[str]:
        try:
            content = files.read(Found(name, self._root / name))
            paper = None if content.kind == "export" else open_paper(content.data, content.sha256)
            read = read_table(content.data) if paper is None else read_paper(paper, self._templates)
        except (UnreadableFileError, UnreadError):
            return set()
        return {key for key, _ in identified(account, read.entries)}


def period_of(read: Read) -> str | None:
    """First and last day of a statement, and its balances."""
    one = read.statement
    return None if one is None else f"{one.since}/{one.closed_on}/{one.opening}/{one.closing}"


def rival_of(found: Found, account: str, read: Read, held: Mapping[str, FileEntry]) -> str | None:
    """The file of a statement of the same account and days with other balances, where there is one.

    It was issued again with corrections, or it is of another person whose account has the same last digits.
    """
    period = period_of(read)
    if period is None:
        return None
    for name, one in held.items():
        is_of_account = name != found.name and one.account == account and one.unread_by is None
        days = None if one.period is None else one.period.split("/")[:2]
        if is_of_account and days == period.split("/")[:2] and one.period != period:
            return name
    return None


def account_type_of(found: Found, read: Read) -> str | None:
    """The kind of account: told by the document, else by one word in the names of its folder and file."""
    words = set(re.findall(r"[a-z]+", found.name.lower()))
    told: set[str] = {kind for kind, names in _TYPE_WORDS.items() if words & names}
    return read.account_kind or (told.pop() if len(told) == 1 else None)


def product_of(read: Read) -> str | None:
    """The name of the account as a statement prints it."""
    return None if read.statement is None else read.statement.product


def last_four(account: str, site_ids: Mapping[str, str]) -> str | None:
    """The last four digits of an account, by its key."""
    digits = {key: four for four, key in site_ids.items()}.get(account, account[:4])
    is_own = account == digits or account.startswith(f"{digits}-") or digits in site_ids
    return digits if is_own and digits.isdigit() and len(digits) == 4 else None
