"""Gaps about mails in files and about files: closed by the mail itself, or when the file was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from connectors.gmail.local.listing import Listing
from connectors.gmail.local.mails import FileMail, mails_of
from connectors.gmail.local.pages import PageResult, Pages, gap_of
from connectors.gmail.local.tree import UNREADABLE, MailFile
from pdpp_worker.connector import (
    BatchScope,
    DetailGapRecovered,
    GapToClose,
    Message,
    Reason,
    ResourceScope,
    Start,
    UpstreamError,
    closed_as_absent,
    resource_of,
    still_missing,
)

KIND = "gmail.file"
LATER = UpstreamError("the next walk over the files reads it", reason=Reason.SOURCE_PARTITION_FAILED.value)


class FileGaps:
    """The known gaps about files; each is answered once."""

    def __init__(self, start: Start) -> None:
        assigned = start.detail_gaps
        self._mails = [one for one in assigned if _is_of_mail(one)]
        self._files = [one for one in assigned if isinstance(one.scope, BatchScope) and "file" in one.scope.partition]

    @staticmethod
    def scope_of(name: str) -> BatchScope:
        """The scope of a gap about a file."""
        return BatchScope(partition={"file": name})

    def concern(self, name: str) -> bool:
        """Whether a gap is about the whole of this file."""
        return any(_file_of(known) == name for known in self._files)

    def of_mails(self, result: PageResult) -> Iterator[Message]:
        """Close the gaps of mails that were met in another file, or further on in their own."""
        for known in list(self._mails):
            key = result.message_ids.get(str((known.detail_locator or {}).get("message_id")))
            if key is not None and known.stream == "messages":
                self._mails.remove(known)
                yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=key)

    def of_file(self, name: str, firsts: Mapping[str, str]) -> Iterator[Message]:
        """Close the gaps about a file that was read to its end, each by a record of it."""
        for known in [one for one in self._files if one.scope == self.scope_of(name)]:
            self._files.remove(known)
            key = firsts.get(known.stream)
            if key is None:
                yield closed_as_absent(known, name)
            else:
                yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=key)

    def of_files_that_are_gone(self, listing: Listing) -> Iterator[Message]:
        """Close the gaps about files and folders that can be looked at again, or are not there any more."""
        unreadable = {one.name for one in listing.unreadable}
        mboxes = {file.name for file in listing.mboxes}
        for known in list(self._files):
            name = _file_of(known)
            if name not in unreadable | mboxes:
                self._files.remove(known)
                yield closed_as_absent(known, name)

    def left(self, pages: Pages, files: Mapping[str, MailFile], is_read: Callable[[str], bool]) -> Iterator[Message]:
        """Read again the mails of the gaps that are left, and say of each whether it stays open.

        `is_read` says whether a walk has read a file, or for a folder everything, as it is now.
        """
        for known in self._mails:
            file = files.get(str((known.detail_locator or {}).get("file")))
            yield from self._retried(pages, known, file)
        for known in self._files:
            name = _file_of(known)
            yield closed_as_absent(known, name) if is_read(name) else still_missing(LATER, known, name)
        self._mails, self._files = [], []

    def _retried(self, pages: Pages, known: GapToClose, file: MailFile | None) -> Iterator[Message]:
        found = _again(file, int((known.detail_locator or {}).get("at") or 0)) if file else None
        if found is None:
            why = UpstreamError("the file is not there any more", reason=known.reason)
            yield still_missing(why, known, resource_of(known))
        elif found.problem:
            yield gap_of(found, known.gap_id).model_copy(update={"record_key": resource_of(known)})
        else:
            result = yield from pages.told([found])
            key = result.firsts.get(known.stream)
            if key is not None:
                yield DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=key)
            else:
                yield closed_as_absent(known)


def _again(file: MailFile, at: int) -> FileMail | None:
    try:
        return next(mails_of(file, at), None)
    except UNREADABLE as error:
        return FileMail(file, at, b"", problem=str(error) or type(error).__name__)


def _is_of_mail(known: GapToClose) -> bool:
    return isinstance(known.scope, ResourceScope) and (known.detail_locator or {}).get("kind") == KIND


def _file_of(known: GapToClose) -> str:
    return str(known.scope.partition["file"]) if isinstance(known.scope, BatchScope) else ""
