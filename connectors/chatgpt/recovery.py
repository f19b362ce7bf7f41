"""Reads again what is known to be missing, by its id."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from connectors.chatgpt.details import Details, flaw_of
from connectors.chatgpt.errors import TreeCutError
from connectors.chatgpt.fields import identity
from connectors.chatgpt.file_rows import Held
from connectors.chatgpt.gaps import absent, by_conversation, closed
from connectors.chatgpt.kept_files import held_of
from connectors.chatgpt.reports import deleted, keys_of, whole
from connectors.chatgpt.told_trees import ToldTrees
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import (
    Context,
    GapToClose,
    Gone,
    Message,
    NeedsOwner,
    ProviderError,
    Start,
    UpstreamError,
    closed_as_absent,
    still_missing,
)
from pdpp_worker.connector.json_fields import table, text


def recover(start: Start, context: Context, details: Details) -> Iterator[Message]:
    """Read exactly the conversations that are known to be missing."""
    found = by_conversation(start.detail_gaps)
    missing = {key: gaps for key, gaps in found.items() if identity(key) is not None}
    for key in found.keys() - missing.keys():
        # An item of an export without an id: the network's own lists name all that there is to ask for.
        yield from (closed_as_absent(known) for known in found[key])
    told, held = ToldTrees(context.stored, start.run_id), held_of(start, context)
    in_order = sorted(missing, key=lambda key: _workspace(missing[key]) or "") if details.batch > 1 else list(missing)
    for workspace, keys in groupby(in_order, key=lambda key: _workspace(missing[key])):
        for number, key in enumerate(together := list(keys)):
            if details.why_stop is not None:
                return
            if number % details.batch == 0:
                details.read_ahead(together[number : number + details.batch], workspace)
            yield from _Retry(key, missing[key], context, held).messages(details, told)


def _workspace(gaps: list[GapToClose]) -> str | None:
    return text(table(gaps[0].detail_locator).get("workspace"))


class _Retry(NamedTuple):
    """One conversation that is known to be missing."""

    key: str
    gaps: list[GapToClose]
    context: Context
    held: Held | None

    def messages(self, details: Details, told: ToldTrees) -> Iterator[Message]:
        """Read it, and say of each gap how it ended."""
        try:
            detail, item = self._read(details)
        except NeedsOwner:
            raise
        except Gone:
            yield deleted(self.key, self.context.now)
            yield from absent(self.key, self.gaps)
            return
        except ProviderError as error:
            yield from (still_missing(error, known) for known in self.gaps)
            return
        flaw = flaw_of(item, detail)
        if flaw is None or isinstance(flaw, TreeCutError):
            told.add(self.key, detail.message_ids)
            yield from whole(self.key, item, detail, self.context.now, self.held)
        if flaw is None:
            yield from closed(self.key, self.gaps, keys_of(self.key, detail))
        else:
            yield from (still_missing(flaw, known) for known in self.gaps)

    def _read(self, details: Details) -> tuple[Conversation, dict[str, Any]]:
        """The conversation, in the workspace whose list named it, and what the list said of it.

        The list may have been another one's: one that is read in the session's own workspace is of no other.
        """
        workspace, item = _workspace(self.gaps), table(table(self.gaps[0].detail_locator).get("item"))
        try:
            return details.read(self.key, workspace), item
        except UpstreamError:
            if workspace is None:
                raise
        return details.read(self.key), {**item, "workspace_id": None}
