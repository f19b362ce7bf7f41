"""The files as a source: whose they are, what is in them, and what becomes of their gaps."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from connectors.gmail.local.gaps import FileGaps
from connectors.gmail.local.identity import seal
from connectors.gmail.local.listing import Listing
from connectors.gmail.local.mails import mails_of, told_of
from connectors.gmail.local.pages import Pages
from connectors.gmail.local.position import FilesPosition
from connectors.gmail.local.registry import Registry
from connectors.gmail.local.tree import UNREADABLE, MailFile, entries
from connectors.gmail.local.walk import FilesWalk
from connectors.gmail.mailboxes import Mailbox
from pdpp_worker.connector import Context, Message, SourceAccount, Start, State, account_named

SAMPLE = 50
"""Files whose first mail is looked at to tell whose files they are."""


class FilesSource:
    """The mail in the files of the setting mail_path."""

    def __init__(self, start: Start, context: Context, registry: Registry, saved: dict[str, Any] | None) -> None:
        self._start = start
        self._context = context
        self._registry = registry
        self._root = Path(str(context.settings["mail_path"]))
        self.position = FilesPosition.from_json(saved) if saved else FilesPosition()
        if registry.is_new or not saved:
            self.position = FilesPosition(account=self.position.account)
            registry.forget_places()

    def account(self) -> SourceAccount | None:
        """The owner of files that no server belongs to, known by the mails in them; None where there is no mail.

        Files none of whose first mails was ever read are another account's.
        """
        seals = []
        for file in islice(_mail_files(self._root), SAMPLE):
            try:
                first = next(mails_of(file), None)
            except UNREADABLE:
                continue
            seals += [seal(told_of(first)[0])] if first and not first.problem else []
        if not seals:
            return None
        is_known = self.position.account and (self._registry.is_new or self._registry.holds_any(seals))
        self.position.account = self.position.account if is_known else f"files/{seals[0].key}"
        return account_named(self.position.account, self._root.name)

    def messages(self, held: Container[str], checkpoint: Callable[[], State]) -> Iterator[Message]:
        """One walk over the files; `held` are the keys of mails that the server holds."""
        pages, gaps = Pages(self._start, self._context, self._registry, held), FileGaps(self._start)
        walk = FilesWalk(self._start, pages, gaps, self.position, self._root, checkpoint)
        yield from walk.messages(Listing.of(self._root))
        yield from gaps.left(pages, self._files(), self._is_read)

    def recovered(self, held: Container[str]) -> Iterator[Message]:
        """The gaps that START assigns, without a walk."""
        pages = Pages(self._start, self._context, self._registry, held)
        yield from FileGaps(self._start).left(pages, self._files(), self._is_read)

    def labels(self) -> list[Mailbox]:
        """The mailboxes and labels of the files."""
        return [Mailbox(label, "/", frozenset()) for label in self.position.labels]

    def _is_read(self, name: str) -> bool:
        """Whether a walk has read a file, or for a folder everything, as it is now."""
        listing, position = Listing.of(self._root), self.position
        concerned = [file for file in listing.mboxes if file.name == name] or listing.mboxes
        is_read = all((place := position.mboxes.get(file.name)) and place.stands(file) for file in concerned)
        is_passed = listing.groups == position.groups and not position.aim
        return listing.has_mail and not listing.unreadable and is_read and is_passed

    def _files(self) -> dict[str, MailFile]:
        """The files that gaps are about, by name."""
        wanted = {str((known.detail_locator or {}).get("file")) for known in self._start.detail_gaps}
        return {file.name: file for file in _mail_files(self._root) if file.name in wanted} if wanted else {}


def _mail_files(root: Path) -> Iterator[MailFile]:
    return (file for file in entries(root) if isinstance(file, MailFile))
