"""Infers the account of a document that names none, from the documents around it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.usaa.inbox.cursor import FileEntry
from connectors.usaa.inbox.files import Found

UNNAMED = "unnamed"
"""The account of documents of which nothing tells whose they are."""


class AccountInference:
    """The accounts that documents name, by the folder in which these lie."""

    def __init__(self, held: Mapping[str, FileEntry]) -> None:
        self._by_folder: dict[str, set[str]] = {}
        self._all: set[str] = set()
        for name, entry in held.items():
            if entry.is_named and entry.account is not None:
                self._all.add(entry.account)
                self._by_folder.setdefault(name.rpartition("/")[0], set()).add(entry.account)

    def knows(self, account: str | None) -> bool:
        """Whether a document names this account."""
        return account in self._all

    def infer(self, found: Found) -> str:
        """The only account that documents of the same folder name; else the folder; else the only account of all."""
        siblings = self._by_folder.get(found.folder, set())
        if len(siblings) == 1:
            return next(iter(siblings))
        if re.search(r"[a-z]", found.folder, re.IGNORECASE):
            return re.sub(r"[^a-z0-9]+", "-", found.folder.lower()).strip("-")
        return next(iter(self._all)) if len(self._all) == 1 else UNNAMED
