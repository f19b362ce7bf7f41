"""Reads the inbox: files that the owner puts into a directory, each read once for each content it had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.usaa.aliases import site_ids
from connectors.usaa.documents.identity import identified
from connectors.usaa.documents.reading import Paper, Read, UnreadError, open_paper, read_paper, read_table
from connectors.usaa.documents.templates import Template, knowledge
from connectors.usaa.gaps import Gaps, covered_by
from connectors.usaa.inbox import files
from connectors.usaa.inbox.account_inference import AccountInference
from connectors.usaa.inbox.account_titles import renamed
from connectors.usaa.inbox.assigned_files import AssignedFiles, locator_of
from connectors.usaa.inbox.cursor import READING, Cursor, FileEntry, RowPosition
from connectors.usaa.inbox.files import Content, Found, UnreadableFileError
from connectors.usaa.inbox.members import inbox_inventory
from connectors.usaa.inbox.missing_periods import MissingPeriods
from connectors.usaa.inbox.named_accounts import (
    NamedAccounts,
    account_type_of,
    last_four,
    period_of,
    product_of,
    rival_of,
)
from connectors.usaa.records import ACCOUNTS, STATEMENTS, STATS, TRANSACTIONS, RecordFactory
from pdpp_worker.connector import (
    Message,
    Progress,
    Reason,
    Record,
    Start,
    State,
    TimeRange,
)

RECORDS_PER_STATE = 2_000
FILES_PER_STATE = 20


class Inbox:
    """One walk over the inbox, or one recovery of the files that gaps name."""

    def __init__(
        self, root: Path, start: Start, factory: RecordFactory, templates: Sequence[Template], history: timedelta
    ) -> None:
        self._root = root
        self._factory = factory
        self._templates = templates
        self._knowledge = knowledge(templates)
        self._promised = (factory.now() - history).date()
        self._raw = start.cursor(TRANSACTIONS)
        self._cursor = Cursor.load(self._raw)
        self._cursor.promise(history.days)
        self._site_ids = site_ids(self._raw)
        self._gaps = Gaps(start.detail_gaps[: start.budget.items])
        self._assigned = AssignedFiles(root, self._cursor, self._gaps)
        self._inference = AccountInference(self._cursor.files)
        self._accounts = NamedAccounts(root, templates, self._cursor, self._site_ids)
        self._proof: Record | None = None
        self._records = 0
        self._files = 0
        self._pending = 0
        self._walks = False

    @property
    def is_new(self) -> bool:
        """Whether no file was ever looked at."""
        return not self._cursor.files

    def walk(self, found: Sequence[Found]) -> Iterator[Message]:
        """Read what is new or may be readable now, then say which periods are missing."""
        self._walks = True
        again = {name for one in found if (name := self._assigned.name_of(one)) is not None}
        self._forget_vanished(found)
        yield from self._assigned.vanished(found)
        for one in self._in_order(found):
            yield from self._visit(one, force=one.name in again)
            yield from self._state_if_due()
        for one in (*found, *found):
            if self._is_robbed(one) or self._is_better_known(one):
                yield from self._visit(one, force=True)
                yield from self._state_if_due()
        yield from renamed(self._cursor, self._factory, self._site_ids.values())
        yield from MissingPeriods(self._gaps, self._cursor, self._factory).messages()
        if self._pending:
            text = f"{self._pending} rows are not posted yet and are left for a later export"
            yield Progress(stream=TRANSACTIONS, message=text)
        yield inbox_inventory(found, self._cursor.files, files.ignored_in(self._root))
        yield self._state(covered_by(self._cursor.ledger))

    def _state_if_due(self) -> Iterator[Message]:
        if self._records >= RECORDS_PER_STATE or self._files >= FILES_PER_STATE:
            yield self._state()

    def _is_robbed(self, found: Found) -> bool:
        """Whether a document that moved to another account may have taken along what this one gives as well."""
        held = self._cursor.files.get(found.name)
        return held is not None and held.sha256 == _ROBBED and held.unread_by is None

    def _is_better_known(self, found: Found) -> bool:
        """Whether a document that was read after this one tells whose it is."""
        held = self._cursor.files.get(found.name)
        is_concluded = held is not None and held.account is not None and not held.is_named
        return held is not None and is_concluded and held.account != self._inference.infer(found)

    def recover(self, found: Sequence[Found]) -> Iterator[Message]:
        """Read exactly the files that the gaps name; for a missing period, what is new as well."""
        yield from self._assigned.vanished(found)
        named = {name for one in found if (name := self._assigned.name_of(one)) is not None}
        # Other files are not opened, not even to see what they are.
        for one in self._in_order([one for one in found if one.name in named or self._gaps.ranges]):
            yield from self._visit(one, force=one.name in named)
        yield from MissingPeriods(self._gaps, self._cursor, self._factory).assigned()

    def _forget_vanished(self, found: Sequence[Found]) -> None:
        self._cursor.forget(self._cursor.files.keys() - {one.name for one in found})
        self._inference = AccountInference(self._cursor.files)

    def _in_order(self, found: Sequence[Found]) -> Iterator[Found]:
        """Statements first: they tell which accounts there are."""
        later: list[Found] = []
        for one in found:
            if files.is_pdf(one):
                yield one
            else:
                later.append(one)
        yield from later

    def _visit(self, found: Found, *, force: bool) -> Iterator[Message]:
        held = self._cursor.files.get(found.name)
        if held is not None and not force and self._is_done(found, held):
            return
        if held is not None and self._walks and held.sha256 != _ROBBED:
            # A run that is killed now leaves no file that is as it was known, and of which something else is held.
            self._cursor.files[found.name] = replace(held, sha256=_CHANGING)
            yield self._state()
        self._files += 1
        self._proof = None
        try:
            content = files.read(found)
        except UnreadableFileError as error:
            sha256 = files.fingerprint(found) or ""
            self._note(found, FileEntry(sha256, unread_by=self._knowledge))
            unread = UnreadError(Reason.SOURCE_PARTITION_FAILED, f"{found.name}: {error}")
            yield from self._gaps.missed(found.name, unread, locator_of(found))
            return
        yield from self._take(found, content, held)

    def _is_done(self, found: Found, held: FileEntry) -> bool:
        if held.sha256 != (files.fingerprint(found) or ""):
            return False
        if held.unread_by is not None:
            return held.unread_by == self._knowledge and (held.rival is None or held.rival in self._cursor.files)
        if held.reading != READING:
            return False
        return held.is_named or held.account is None or held.account == self._inference.infer(found)

    def _take(self, found: Found, content: Content, held: FileEntry | None) -> Iterator[Message]:
        key = found.name
        try:
            if content.kind == "export":
                read = read_table(content.data)
            else:
                paper = open_paper(content.data, content.sha256)
                key = paper.key
                yield from self._paper(found, paper, None)
                read = read_paper(paper, self._templates)
        except UnreadError as error:
            yield from self._unread(found, key, content.sha256, error)
            return
        account, is_named = self._accounts.account_of(found, read, held)
        rival = rival_of(found, account, read, self._cursor.files)
        if rival is not None:
            yield from self._contradicts(found, key, content.sha256, rival)
            return
        if content.kind == "statement":
            yield from self._paper(found, paper, (account, read))
        moved_from = self._moved_from(held, content, account)
        yield from self._entries(content.sha256, account, read, moved_from)
        if moved_from is not None:
            yield from self._leave(found, moved_from, read)
        yield from self._about(found, account, read)
        self._cursor.gone.pop(content.sha256, None)
        statement = key if key != found.name else None
        entry = FileEntry(content.sha256, account, is_named, statement, reading=READING)
        self._note(found, replace(entry, period=period_of(read), product=product_of(read)))
        yield from self._resolve(found, key, read)

    def _unread(self, found: Found, key: str, sha256: str, error: UnreadError) -> Iterator[Message]:
        statement = key if key != found.name else None
        self._note(found, FileEntry(sha256, statement=statement, unread_by=self._knowledge))
        named = UnreadError(error.reason, f"{found.name}: {error}", error.fingerprint)
        yield from self._gaps.missed(key, named, locator_of(found))
        if key != found.name:
            yield from self._gaps.obtained([found.name], self._proof, missed=[key])

    def _contradicts(self, found: Found, key: str, sha256: str, rival: str) -> Iterator[Message]:
        self._note(found, FileEntry(sha256, statement=key, unread_by=self._knowledge, rival=rival))
        why = (
            f"{found.name}: tells other transactions than {rival} of the same account and period. "
            "Take away the one that was replaced; if they are of two persons, give each a connection and an inbox."
        )
        yield from self._gaps.missed(key, UnreadError(Reason.SOURCE_PARTITION_FAILED, why), locator_of(found))

    def _paper(self, found: Found, paper: Paper, known: tuple[str, Read] | None) -> Iterator[Message]:
        """The statement's own record, before its layout is known and, fuller, after."""
        data: dict[str, Any] = {"id": paper.key, "title": found.path.stem, "pdf_path": found.name, **paper.facts()}
        if known is not None and known[1].statement is not None:
            data |= self._factory.statement_facts(known[0], known[1].statement)
        yield from self._sent(self._factory.record(STATEMENTS, data))

    def _moved_from(self, held: FileEntry | None, content: Content, account: str) -> str | None:
        """The account under which the same document was taken in before, when it is another one now.

        It may have had another name then, or fewer rows where its account was only concluded.
        """
        before = self._cursor.gone.get(content.sha256)
        if held is not None and (held.sha256 == content.sha256 or not held.is_named):
            before = held.account
        return None if before == account else before

    def _entries(self, sha256: str, account: str, read: Read, moved_from: str | None) -> Iterator[Message]:
        position = self._cursor.position
        done = position.row if position is not None and (position.sha256, position.account) == (sha256, account) else 0
        stale = identified(moved_from, read.entries) if moved_from is not None else iter(())
        gone = [key for key, _ in stale]
        for row, (key, entry) in enumerate(identified(account, read.entries), start=1):
            if row <= done:
                continue
            if gone:
                yield from self._factory.deletion(TRANSACTIONS, gone[row - 1])
            yield from self._sent(self._factory.transaction(account, key, entry, read.source, is_card=read.is_card))
            if self._records >= RECORDS_PER_STATE and self._walks:
                self._cursor.position = RowPosition(sha256, account, row)
                yield self._state()
        self._cursor.position = None

    def _leave(self, found: Found, account: str, read: Read) -> Iterator[Message]:
        """Take from an account what the document gave it; what its other documents give as well, they give again.

        An account that was only a stand-in goes when its last file has left it.
        """
        if read.balance is not None:
            yield from self._factory.deletion(STATS, f"{account}:{read.balance[0]}")
        others = [name for name, held in self._cursor.files.items() if held.account == account and name != found.name]
        for name in others:
            self._cursor.files[name] = replace(self._cursor.files[name], sha256=_ROBBED)
        if not others:
            self._cursor.ledger.accounts.pop(account, None)
            yield from self._factory.deletion(ACCOUNTS, account)
        elif read.span is not None and account in self._cursor.ledger.accounts:
            self._cursor.ledger.accounts[account].withdraw(read.span)

    def _about(self, found: Found, account: str, read: Read) -> Iterator[Message]:
        kind = None if read.statement is None else read.statement.kind
        digits = last_four(account, self._site_ids)
        told = account_type_of(found, read)
        yield from self._sent(self._factory.account(account, type=told, last_four=digits))
        if read.balance is not None:
            yield from self._sent(self._factory.balance(account, *read.balance))
        if read.span is not None:
            self._cursor.ledger.account(account, self._promised).cover(read.span)
        if kind is not None and account in self._cursor.ledger.accounts:
            self._cursor.ledger.accounts[account].kind = kind
        self._pending += read.pending

    def _resolve(self, found: Found, key: str, read: Read) -> Iterator[Message]:
        if not read.broken:
            yield from self._gaps.obtained([found.name, key], self._proof)
            return
        lines = ", ".join(map(str, read.broken[:10]))
        why = f"{found.name}: {len(read.broken)} lines cannot be read, among them {lines}"
        yield from self._gaps.missed(found.name, UnreadError(Reason.PARSE_FAILED, why), locator_of(found))
        yield from self._gaps.obtained([], self._proof, missed=[found.name])

    def _sent(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            self._proof = record
            self._records += 1
            yield record

    def _note(self, found: Found, entry: FileEntry) -> None:
        self._cursor.files[found.name] = entry
        self._inference = AccountInference(self._cursor.files)

    def _state(self, covered: TimeRange | None = None) -> State:
        self._records = self._files = 0
        kept = self._raw if isinstance(self._raw, dict) else {}
        return State(stream=TRANSACTIONS, cursor={**kept, **self._cursor.dump()}, covered=covered)


_ROBBED, _CHANGING = "", "changing"
"""In place of a file's checksum: it is read again, in this walk or the next."""
