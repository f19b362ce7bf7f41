"""The gaps that START assigns: exactly their messages are asked for, by UID or by Gmail's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from connectors.gmail.errors import HungUpError, RefusedError, is_unknown_mailbox
from connectors.gmail.listing import whole
from connectors.gmail.position import MailboxPosition, Numbers
from connectors.gmail.reader import Reader
from connectors.gmail.rows import Box, Mail
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import (
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    ProviderError,
    Record,
    ResourceScope,
    ShapeError,
    Start,
    UpstreamError,
    closed_as_absent,
    resource_of,
    still_missing,
)

PAGE = 50
"""Messages that are read together."""


class Target(NamedTuple):
    """The address of a missing message."""

    mailbox: str
    uidvalidity: int
    uid: int
    gm: int


class _Asked(NamedTuple):
    """A gap, and the message that it is about."""

    target: Target
    known: GapToClose


class Recovery:
    """Reads the messages of known gaps; `mailboxes` are those that hold the account's mail, `listed` all there are."""

    def __init__(
        self, start: Start, session: Session, reader: Reader, mailboxes: Sequence[str], listed: Sequence[str]
    ) -> None:
        self._session = session
        self._reader = reader
        self._mailboxes = mailboxes
        self._listed = listed
        self._positions: dict[str, Any] = dict((start.cursor("messages") or {}).get("mailboxes", {}))
        self._shown: Numbers | None = None
        asked = [_Asked(target, known) for known in start.detail_gaps if (target := self._target(known)) is not None]
        self._asked = sorted(asked[: start.budget.items], key=lambda one: one.target)

    def messages(self) -> Iterator[Message]:
        """Every gap, closed by proof or said again with why it stays open.

        Raises:
            ProviderError: the server or the connection failed as a whole; other gaps are left as they are.
        """
        for name, group in groupby(self._asked, key=lambda one: one.target.mailbox):
            asked = list(group)
            try:
                selected = self._session.select(name)
            except (RefusedError, HungUpError, ShapeError) as error:
                yield from self._shut(name, [one.known for one in asked], error)
                continue
            self._shown = None
            for at in range(0, len(asked), PAGE):
                yield from self._page(selected, asked[at : at + PAGE])

    def _shut(self, name: str, gaps: Sequence[GapToClose], error: ProviderError) -> Iterator[Message]:
        """A mailbox that is not listed, and that the server says it has not, took its messages along."""
        if name not in self._listed and is_unknown_mailbox(error):
            yield from (closed_as_absent(known) for known in gaps)
        else:
            yield from _again(gaps, error)

    def _page(self, selected: Selected, asked: Sequence[_Asked]) -> Iterator[Message]:
        try:
            yield from self._read(selected, asked)
        except ProviderError as error:
            yield from _again([one.known for one in asked], error)
            raise

    def _read(self, selected: Selected, asked: Sequence[_Asked]) -> Iterator[Message]:
        box = Box(selected.name, selected.uidvalidity, self._session.speaks_gmail)
        by_uid: dict[int, list[GapToClose]] = {}
        for one in asked:
            uid = self._uid(box, one.target)
            if uid is None:
                yield self._not_found(selected, one)
            else:
                by_uid.setdefault(uid, []).append(one.known)
        if by_uid:
            yield from self._messages(selected, box, by_uid)

    def _not_found(self, selected: Selected, asked: _Asked) -> Message:
        """Absent is what a whole listing, as long as the server counts, does not hold; silence proves nothing."""
        if self._is_absent(selected, asked.target):
            return closed_as_absent(asked.known)
        return still_missing(UpstreamError("the server neither shows the message nor that it is gone"), asked.known)

    def _is_absent(self, selected: Selected, target: Target) -> bool:
        if target.uid and target.uidvalidity == selected.uidvalidity:
            self._shown = self._shown if self._shown is not None else whole(self._session, selected)
            return self._shown is not None and target.uid not in self._shown
        if not self._session.speaks_gmail:
            return target.uidvalidity != selected.uidvalidity  # its UID means nothing any more
        return self._is_absent_by_ledger(selected, target)

    def _is_absent_by_ledger(self, selected: Selected, target: Target) -> bool:
        """Whether a walk has read all messages that are there now, and this id was none of theirs."""
        saved = self._positions.get("\\All")
        if saved is None:
            return False
        walked = MailboxPosition.from_json(saved)
        is_whole = walked.uidvalidity == selected.uidvalidity and len(walked.ledger) == selected.exists
        return is_whole and all(entry.gm != target.gm for entry in walked.ledger.entries())

    def _messages(self, selected: Selected, box: Box, by_uid: dict[int, list[GapToClose]]) -> Iterator[Message]:
        wanted = {(known.stream, resource_of(known)) for gaps in by_uid.values() for known in gaps}
        whole = {uid for uid, gaps in by_uid.items() if any(known.stream == "messages" for known in gaps)}

        def chosen(message: Mail, stream: str, key: str) -> bool:
            return message.uid in whole or (stream, key) in wanted

        failures: dict[tuple[str, str], DetailGap] = {}
        proofs: set[tuple[str, str]] = set()
        reading = self._reader.page(box, sorted(by_uid), chosen=chosen)
        while True:
            try:
                message = next(reading)
            except StopIteration as ended:
                outcome = ended.value
                break
            if isinstance(message, DetailGap):
                failures[message.stream, message.record_key] = message
                if (message.stream, message.record_key) in wanted:
                    continue
            if isinstance(message, Record) and not message.partial:
                proofs.add((message.stream, str(message.key)))
            yield message
        keys = {one.uid: one.key for one in outcome.read}
        for uid, gaps in by_uid.items():
            for known in gaps:
                if uid not in keys and uid not in outcome.failed:
                    yield self._not_found(selected, _Asked(Target(box.name, box.uidvalidity, uid, 0), known))
                else:
                    yield _resolution(known, keys.get(uid), proofs, failures)

    def _uid(self, box: Box, target: Target) -> int | None:
        """The UID of the message now; None when the server no longer has it."""
        if target.uid and target.uidvalidity == box.uidvalidity:
            return target.uid
        if not (box.gmail and target.gm):
            return None
        number = str(target.gm)
        return next(iter(self._session.ask("SEARCH", lambda client: client.find("X-GM-MSGID", number))), None)

    def _target(self, known: GapToClose) -> Target | None:
        if not isinstance(known.scope, ResourceScope):
            return None
        address = known.detail_locator or {}
        if address.get("kind") == "gmail.message":
            gm = int(address.get("gm_msgid") or 0)
            name = self._mailboxes[0] if self._session.speaks_gmail and self._mailboxes else address["mailbox"]
            return Target(name, int(address["uidvalidity"]), int(address["uid"]), gm)
        return self._named(resource_of(known).partition(":")[0])

    def _named(self, key: str) -> Target | None:
        """The address of a message by its id alone."""
        if self._session.speaks_gmail:
            return Target(self._mailboxes[0], 0, 0, int(key)) if key.isdecimal() and self._mailboxes else None
        parts = key.split("-")
        if len(parts) != len(("mailbox", "uidvalidity", "uid")) or not (parts[1].isdecimal() and parts[2].isdecimal()):
            return None
        uidvalidity, uid = int(parts[1]), int(parts[2])
        same = (name for name in self._mailboxes if Box(name, uidvalidity, gmail=False).key(uid, 0) == key)
        return next((Target(name, uidvalidity, uid, 0) for name in same), None)


def _resolution(
    known: GapToClose,
    key: str | None,
    proofs: set[tuple[str, str]],
    failures: dict[tuple[str, str], DetailGap],
) -> Message:
    proof = key if known.stream == "messages" and key is not None else resource_of(known)
    if (known.stream, proof) in proofs - failures.keys():
        return DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=proof)
    failed = failures.get((known.stream, proof)) or next(iter(failures.values()), None)
    return DetailGap(
        stream=known.stream,
        record_key=resource_of(known),
        reason=failed.reason if failed else known.reason,
        detail_locator=known.detail_locator,
        last_error=failed.last_error if failed else "the message is there and does not have this part any more",
        gap_id=known.gap_id,
    )


def _again(gaps: Sequence[GapToClose], error: ProviderError) -> Iterator[DetailGap]:
    return (still_missing(error, known) for known in gaps)
