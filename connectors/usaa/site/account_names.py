"""Keeps the key of each account of the dashboard from run to run, and tells whose dashboard it is.

A tile that names no number is known by its words without the balance. An account that the inbox met first keeps the key
that it has there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.usaa.documents.identity import digest
from connectors.usaa.site.pages import SiteAccount


@dataclass(slots=True)
class AccountNames:
    """The keys of accounts."""

    held: frozenset[str]
    """Keys under which the site's transactions are held."""
    in_inbox: frozenset[str]
    last_four: dict[str, str] = field(default_factory=dict)
    """Key to last four digits."""
    renamed: dict[str, str] = field(default_factory=dict)
    """The dashboard's id to the key, where these differ."""
    owner: str | None = None

    @classmethod
    def load(cls, known: Mapping[str, Any], held: Collection[str], in_inbox: Collection[str]) -> AccountNames:
        """The names that a cursor holds."""
        parts = (known.get(name) for name in ("last_four", "renamed"))
        last_four, renamed = (dict(part) if isinstance(part, dict) else {} for part in parts)
        return cls(frozenset(held), frozenset(in_inbox), last_four, renamed, known.get("owner"))

    def dump(self) -> dict[str, Any]:
        """The names as a cursor holds them."""
        return {"last_four": self.last_four, "renamed": self.renamed, "owner": self.owner}

    def settle(self, found: Sequence[SiteAccount]) -> list[SiteAccount]:
        """The same accounts under their keys."""
        digits = [account.last_four for account in found]
        settled: list[SiteAccount] = []
        for account in found:
            is_only = account.last_four is not None and digits.count(account.last_four) == 1
            key = self._key(account, found, is_only=is_only)
            if key != account.id:
                self.renamed[account.id] = key
            settled.append(replace(account, id=key))
        self._note_owner(settled)
        self.last_four |= {account.id: account.last_four for account in settled if account.last_four is not None}
        return settled

    def _key(self, account: SiteAccount, found: Sequence[SiteAccount], *, is_only: bool) -> str:
        if account.id in self.renamed:
            return self.renamed[account.id]
        if account.id in self.held:
            return account.id
        if account.old_id is not None:
            return self._key_before(account, found)
        return account.last_four if is_only and account.last_four in self.in_inbox else account.id

    def _key_before(self, account: SiteAccount, found: Sequence[SiteAccount]) -> str:
        """The key of a tile without a number in the version before, which changed with the balance."""
        if account.old_id in self.held:
            return str(account.old_id)
        left = self.held - {one.id for one in found} - {*self.renamed.values()}
        is_only = sum(one.old_id is not None for one in found) == 1
        return next(iter(left)) if is_only and len(left) == 1 else account.id

    def _note_owner(self, found: Sequence[SiteAccount]) -> None:
        """Refuse a dashboard that shows none of the accounts known: it is another owner's."""
        ids = {account.id for account in found}
        digits = {account.last_four for account in found if account.last_four is not None}
        is_known = not ids.isdisjoint(self.held) or not digits.isdisjoint(self.last_four.values())
        if self.owner is None or not (is_known or not self.held):
            self.owner = digest("owner", *sorted(ids))
