"""Recover what is missing, list the labels, then bring every mailbox up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from connectors.gmail.account import is_gmail, source_account
from connectors.gmail.account_check import check
from connectors.gmail.beginning import beginning, partition
from connectors.gmail.departures import depart_whole, forget_agreed, say
from connectors.gmail.errors import HungUpError, RefusedError, is_unknown_mailbox
from connectors.gmail.inventory import PART, members
from connectors.gmail.local.overlap import HeldByServer, Overlap
from connectors.gmail.local.registry import NAME, Registry
from connectors.gmail.local.source import FilesSource
from connectors.gmail.mailbox_gaps import MailboxGaps
from connectors.gmail.mailboxes import HIDDEN, Mailbox, collect_labels, listed, listed_with_status, to_walk
from connectors.gmail.opening import open_ahead
from connectors.gmail.position import MailboxPosition
from connectors.gmail.reader import DETAILS, Reader
from connectors.gmail.recover import Recovery
from connectors.gmail.rows import Box
from connectors.gmail.session import Selected, Session
from connectors.gmail.standing import is_unchanged
from connectors.gmail.walk import MailboxWalk
from pdpp_worker.connector import (
    WHOLE_STREAM,
    Context,
    Message,
    NeedsOwner,
    Progress,
    ProviderError,
    Reason,
    ShapeError,
    SkipResult,
    Start,
    State,
    UpstreamError,
    inventory_of,
    narrowed_streams,
    refuse,
    skip,
    skip_for,
)

__all__ = ["check", "collect", "open_ahead"]

TREE = ("messages", *DETAILS)
EVERYTHING = "\\All"
"""The name under which the cursor keeps Gmail's one mailbox, whose own name changes with the owner's language."""


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Everything that START asks for and the server gives; what it does not give is said."""
    refused = _not_supported(start)
    yield from refuse(refused)
    kept = [one for one in start.scope.streams if one.name not in refused]
    start = start.model_copy(update={"scope": start.scope.model_copy(update={"streams": kept})})
    wanted = [one.name for one in kept]
    if not wanted:
        return
    if not context.settings.get("mail_path"):
        yield from _Account(start, context, wanted, None).collect()
        return
    with context.stored.in_clear(NAME) as path, closing(Registry(path)) as registry:
        yield from _Account(start, context, wanted, registry).collect()


class _Account:
    """One slice's work; `unfinished` are the streams that suffer if it stops now."""

    def __init__(self, start: Start, context: Context, wanted: list[str], registry: Registry | None) -> None:
        self._start = start
        self._context = context
        self._session = Session(context)
        saved = start.cursor("messages") or {}
        self._folder = FilesSource(start, context, registry, saved.get("files")) if registry else None
        self._reader = Reader(start, context, self._session, Overlap(registry, context) if registry else None)
        self._positions: dict[str, Any] = dict(saved.get("mailboxes", {}))
        if registry is not None and (registry.is_new or "files" not in saved):
            # Files may hold the server's messages too: what is known of those by name has to be known by its bytes.
            self._positions = {name: {**saved, "form": 0} for name, saved in self._positions.items()}
        self._whole_run = str(saved.get("whole", ""))
        """The last run that came to the end of all mailboxes."""
        self._has_said_whose = False
        self._mailboxes: list[Mailbox] = []
        self._told: dict[str, Selected] = {}
        """Mailboxes as the server told of them with their list."""
        self.unfinished = wanted

    def collect(self) -> Iterator[Message]:
        """Work until the end, or until the server says stop; that keeps no mail in files out."""
        failure: ProviderError | None = None
        with closing(self._session):
            try:
                yield from self._work() if self._reads_server else ()
            except ProviderError as error:
                failure = error
        yield from self._files()
        if failure is not None and (isinstance(failure, NeedsOwner) or not self._start.recovery_only):
            yield from self._stopped(failure)

    @property
    def _reads_server(self) -> bool:
        """Whether there is a server to read: a connection with files alone names no user."""
        return self._folder is None or bool(self._context.settings.get("user"))

    def _files(self) -> Iterator[Message]:
        if self._folder is None or "messages" not in self.unfinished:
            return
        if not self._has_said_whose:
            account = source_account(self._context) if self._reads_server else self._folder.account()
            yield from () if account is None else (account,)
        held = HeldByServer(self._positions, is_gmail=EVERYTHING in self._positions)
        if self._start.recovery_only:
            yield from self._folder.recovered(held)
            return
        yield from self._folder.messages(held, self._cursor)
        if "labels" in self.unfinished and (self._mailboxes or not self._reads_server):
            names = {one.name for one in self._mailboxes}
            added = [one for one in self._folder.labels() if one.name not in names]
            yield from collect_labels(self._start, self._context, [*self._mailboxes, *added])
            self.unfinished.remove("labels")

    def _work(self) -> Iterator[Message]:
        self._session.open()
        yield source_account(self._context)
        self._has_said_whose = True
        self._check_extensions()
        mailboxes = self._mailboxes = self._listed()
        names = to_walk(mailboxes, gmail=self._session.speaks_gmail)
        there = [one.name for one in mailboxes]
        yield from Recovery(self._start, self._session, self._reader, names, there).messages()
        gaps = MailboxGaps(self._start, self._session, self._reader, there)
        if self._start.recovery_only:
            for name in gaps.names:
                yield from gaps.recovered(name, self._name_now(name, names), self._saved(self._slot(name)))
            return
        if "labels" in self.unfinished and self._folder is None:
            yield from collect_labels(self._start, self._context, mailboxes)
            self.unfinished.remove("labels")
        if "messages" in self.unfinished:
            is_whole = True
            for message in self._walk(mailboxes, names, gaps):
                is_whole &= not isinstance(message, SkipResult)
                yield message
            yield from self._ended(is_whole)
            walked = {name: self._positions.get(self._slot(name)) for name in names}
            told = members(mailboxes, walked, self._tree(), gmail=self._session.speaks_gmail)
            yield inventory_of(PART, told)

    def _listed(self) -> list[Mailbox]:
        """The mailboxes; what the server tells of each is asked for where it may spare to open them.

        Of Gmail's only one is opened, and the others would be counted for nothing.
        """
        if self._start.recovery_only or self._session.speaks_gmail or not self._positions:
            return listed(self._session)
        found, self._told = listed_with_status(self._session)
        return found

    def _ended(self, is_whole: bool) -> Iterator[Message]:
        """All mailboxes were walked; without a miss among them, what this run said of deletions counts."""
        if is_whole and any(position.get("gone") for position in self._positions.values()):
            self._whole_run = self._start.run_id
            yield self._cursor()

    def _check_extensions(self) -> None:
        """Refuse to read as plain mailboxes what was read under Gmail's own ids: all of it would be held twice.

        Raises:
            UpstreamError: the server does not announce the extensions that it had.
        """
        host = str(self._context.settings.get("host", ""))
        if not self._session.speaks_gmail and (EVERYTHING in self._positions or is_gmail(host)):
            raise UpstreamError("the server does not announce Gmail's extensions (X-GM-EXT-1), which this account has")

    def _walk(self, mailboxes: Sequence[Mailbox], names: Sequence[str], gaps: MailboxGaps) -> Iterator[Message]:
        if not names:
            for stream in self._tree():
                yield skip(stream, Reason.SOURCE_PARTITION_FAILED, WHOLE_STREAM, HIDDEN)
            return
        yield from self._vanished(mailboxes, names)
        for name in gaps.names:
            if self._name_now(name, names) not in names:
                yield from gaps.recovered(name, name, None)
        for name in names:
            if self._is_unchanged(name, gaps):
                yield from self._left_closed(name)
                continue
            try:
                yield from self._mailbox(self._session.select(name), gaps, alone=len(names) == 1)
            except (RefusedError, HungUpError, ShapeError) as error:
                if isinstance(error, HungUpError) and len(names) == 1:
                    raise
                for stream in self._tree():
                    yield skip(stream, Reason.SOURCE_PARTITION_FAILED, partition(name), str(error))

    def _is_unchanged(self, name: str, gaps: MailboxGaps) -> bool:
        saved, told = self._saved(name), self._told.get(name)
        if saved is None or told is None or name in gaps.names:
            return False
        return is_unchanged(saved, told, self._reader, self._context.now())

    def _left_closed(self, name: str) -> Iterator[Message]:
        """Write down that agreed deletions are forgotten: no walk does it here, and they would be said again."""
        saved = self._saved(name)
        if saved is not None and self._positions[name].get("gone"):
            yield self._checkpoint(name, saved)

    def _mailbox(self, selected: Selected, gaps: MailboxGaps, *, alone: bool) -> Iterator[Message]:
        saved = self._saved(self._slot(selected.name))
        position = beginning(saved, selected, self._session, self._reader.details)
        position.opened = int(self._context.now().timestamp())
        box = Box(selected.name, selected.uidvalidity, self._session.speaks_gmail)
        walk = MailboxWalk(self._context, self._session, self._reader, box, selected, position, self._start.run_id)
        for message in walk.messages(lambda now: self._checkpoint(selected.name, now)):
            yield message
            if alone and isinstance(message, State):
                total = max(selected.exists, position.count)
                yield Progress(stream="messages", count=position.count, total=total)

        if not position.doubt:
            for name in gaps.names:
                if self._slot(name) == self._slot(selected.name):
                    yield from gaps.closed(name, selected, position)

    def _vanished(self, mailboxes: Sequence[Mailbox], names: Sequence[str]) -> Iterator[Message]:
        """Mailboxes that were walked before and are none to walk now, with all that they held."""
        there = {one.name for one in mailboxes}
        for name in self._positions.keys() - {self._slot(one) for one in names}:
            if name not in there and (why := self._why_still_there(name)):
                for stream in self._tree():
                    yield skip(stream, Reason.SOURCE_PARTITION_FAILED, partition(name), why)
                continue
            yield from self._departed(name, MailboxPosition.from_json(self._positions[name]))

    def _departed(self, name: str, position: MailboxPosition) -> Iterator[Message]:
        depart_whole(position)
        forget_agreed(position, self._whole_run)
        box = Box(name, position.uidvalidity, gmail=False)
        yield from (one for one in say(self._reader, box, position, self._start.run_id) if one is not None)
        if position.gone:
            yield self._checkpoint(name, position)
        else:
            del self._positions[name]
            yield self._cursor()

    def _why_still_there(self, name: str) -> str:
        """Why a mailbox that is not listed is not taken for deleted; empty when the server says that it is."""
        try:
            self._session.select(name)
        except (RefusedError, HungUpError, ShapeError) as error:
            return "" if is_unknown_mailbox(error) else str(error)
        return "the server does not list the mailbox and opens it"

    def _saved(self, slot: str) -> MailboxPosition | None:
        if not (saved := self._positions.get(slot)):
            return None
        position = MailboxPosition.from_json(saved)
        forget_agreed(position, self._whole_run)
        return position

    def _name_now(self, name: str, names: Sequence[str]) -> str:
        """The name of the mailbox that a gap is about; Gmail's own name for its one mailbox may have changed."""
        return names[0] if self._session.speaks_gmail and names else name

    def _checkpoint(self, name: str, position: MailboxPosition) -> State:
        self._positions[self._slot(name)] = position.as_json()
        return self._cursor()

    def _cursor(self) -> State:
        files = {"files": self._folder.position.as_json()} if self._folder else {}
        cursor = {"mailboxes": dict(self._positions), "whole": self._whole_run, **files}
        return State(stream="messages", cursor=cursor)

    def _slot(self, name: str) -> str:
        return EVERYTHING if self._session.speaks_gmail else name

    def _tree(self) -> list[str]:
        return [stream for stream in TREE if stream in self.unfinished]

    def _stopped(self, error: ProviderError) -> Iterator[Message]:
        return (skip_for(error, stream) for stream in self.unfinished)


def _not_supported(start: Start) -> dict[str, str]:
    """Streams that are asked for in a way that cannot be honoured, and why."""
    narrowed = narrowed_streams(start)
    if start.wants("messages") and "messages" not in narrowed:
        return narrowed
    alone = {one: "It is collected with its messages; ask for both." for one in DETAILS if start.wants(one)}
    return {**alone, **narrowed}
