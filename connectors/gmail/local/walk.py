"""The files brought up to date: what is new in each mbox, and the groups of single mails in which anything changed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.gmail.local.gaps import FileGaps
from connectors.gmail.local.listing import Listing
from connectors.gmail.local.mails import FileMail, mails_of
from connectors.gmail.local.pages import PageResult, Pages, paged
from connectors.gmail.local.position import TAIL, FilesPosition, MboxPlace, group_of, tail_of
from connectors.gmail.local.tree import UNREADABLE, MailFile, entries
from connectors.gmail.reader import DETAILS
from pdpp_worker.connector import Message, Reason, SkipResult, Start, State, inventory_of, skip

PART = "files"
EMPTY = "no mail is in the folder of the setting mail_path; is it mounted, and is it the right one?"

Checkpoint = Callable[[], State]


@dataclass
class FilesWalk:
    """One walk over the files; `position` moves on with it."""

    start: Start
    pages: Pages
    gaps: FileGaps
    position: FilesPosition
    root: Path
    checkpoint: Checkpoint

    def messages(self, listing: Listing) -> Iterator[Message]:
        """Everything that is to be said of the files."""
        if not listing.has_mail:
            yield from self._skipped(".", EMPTY)
            return
        for one in listing.unreadable:
            yield from self._skipped(one.name, f"{one.name}: {one.error}")
        for file in listing.mboxes:
            yield from self._mbox(file)
        yield from self._singles(listing)
        names = {file.name for file in listing.mboxes}
        self.position.mboxes = {name: place for name, place in self.position.mboxes.items() if name in names}
        yield self.checkpoint()
        yield from self.gaps.of_files_that_are_gone(listing)
        yield inventory_of(PART, listing.members(self.position, self._streams))

    def _mbox(self, file: MailFile) -> Iterator[Message]:
        place = self.position.mboxes.get(file.name)
        if place is not None and place.stands(file):
            if not self.gaps.concern(file.name):
                return
            place = None
        place = self.position.mboxes[file.name] = self._resumed(file, place)
        firsts: dict[str, str] = {}
        failed: list[BaseException] = []
        for page in paged(_guarded(file, place.at, failed)):
            result = yield from self._page(page)
            firsts = {**result.firsts, **firsts}
            whole = [found for found in page if not found.is_cut]
            place.count += sum(not found.problem for found in whole)
            place.at = whole[-1].end if whole else place.at
            place.tail = _tail(file, place.at)
            yield self.checkpoint()
        if failed:
            yield from self._skipped(file.name, f"{file.name}: {failed[0]}")
            return
        place.is_done = True
        yield from self.gaps.of_file(file.name, firsts)

    def _resumed(self, file: MailFile, before: MboxPlace | None) -> MboxPlace:
        """The place to go on from: an mbox that was only added to is read from there."""
        fresh = MboxPlace(file.size, file.stamp)
        if before is None:
            return fresh
        is_same = (before.size, before.stamp) == (file.size, file.stamp)
        is_longer = file.member is None and file.size > before.size and _tail(file, before.at) == before.tail
        if not is_same and not is_longer:
            return fresh
        return MboxPlace(file.size, file.stamp, before.at, before.tail, before.count)

    def _singles(self, listing: Listing) -> Iterator[Message]:
        position = self.position
        if not position.aim and listing.groups != position.groups:
            position.aim, position.after = listing.groups, []
        if position.aim:
            for page in paged(self._changed_mails()):
                yield from self._page(page)
                position.after = page[-1].file.order
                yield self.checkpoint()
            position.groups, position.aim, position.after = position.aim, [], []

    def _changed_mails(self) -> Iterator[FileMail]:
        changed = {group for group, aim in enumerate(self.position.aim) if aim != self.position.groups[group]}
        for file in entries(self.root):
            if isinstance(file, MailFile) and file.kind == "mail" and group_of(file) in changed:
                failed: list[BaseException] = []
                if file.order > self.position.after:
                    yield from _guarded(file, 0, failed)
                if failed:
                    yield FileMail(file, 0, b"", problem=str(failed[0]))

    def _page(self, page: list[FileMail]) -> Generator[Message, None, PageResult]:
        result = yield from self.pages.told(page)
        self.position.labels = sorted({*self.position.labels, *result.labels})
        yield from self.gaps.of_mails(result)
        return result

    def _skipped(self, name: str, why: str) -> Iterator[SkipResult]:
        scope = self.gaps.scope_of(name)
        return (skip(stream, Reason.SOURCE_PARTITION_FAILED, scope, why) for stream in self._streams)

    @property
    def _streams(self) -> list[str]:
        return ["messages", *(stream for stream in DETAILS if self.start.wants(stream))]


def _guarded(file: MailFile, at: int, failed: list[BaseException]) -> Iterator[FileMail]:
    """The mails of a file; a failure to read it is put into `failed` and ends them."""
    try:
        yield from mails_of(file, at)
    except UNREADABLE as error:
        failed.append(error)


def _tail(file: MailFile, at: int) -> str:
    """The digest of the bytes before a place; none for a member of an archive, which is read from its beginning."""
    if file.member is not None or not at:
        return ""
    try:
        with file.path.open("rb") as stream:
            stream.seek(max(0, at - TAIL))
            return tail_of(stream.read(min(at, TAIL)))
    except OSError:
        return "unreadable"
