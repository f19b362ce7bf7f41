"""INVENTORY: the message that says what a source consists of, and the members that it names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pdpp_worker.protocol.messages.field_types import BaseMessage, Count, Name

MOST_MEMBERS = 1000
"""Members of one INVENTORY."""
LABEL_CHARACTERS = 500
"""Longer names and reasons are cut."""
Disposition = Literal["collected", "declared", "unknown"]


def _shortened(text: str) -> str:
    # Not as a minimal length, for which pydantic refuses names of files that are no UTF-8.
    if not text:
        raise ValueError("it is empty")
    return text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 1]}…"


Label = Annotated[str, AfterValidator(_shortened)]
"""The name of something at the source, as it is called there. A long one is cut: it is for display."""


class SourceMember(BaseMessage):
    """A list, mailbox, file, table or kind of message that a source holds, or several of one kind under one pattern.

    *collected*: its content goes into `streams`. *declared*: it is left out, and `reason` says why. *unknown*: this
    version does not know it; `streams` are those that it may belong to, none stands for any.
    """

    kind: Label
    name: Label
    disposition: Disposition
    streams: list[Name] = Field(default_factory=list)
    count: Count | None = None
    bytes: Count | None = None
    reason: Label | None = None

    @model_validator(mode="after")
    def _complete(self) -> SourceMember:
        if self.disposition == "collected" and not self.streams:
            raise ValueError("a collected member names the streams that it goes into")
        if self.disposition == "declared" and self.reason is None:
            raise ValueError("a declared member says for which reason it is left out")
        return self


class Inventory(BaseMessage):
    """INVENTORY: the members of one part of the source, all of them; replaces what was said of that part before.

    Every walk names every part that it has, one that has not changed included. It counts in walks only.
    """

    type: Literal["INVENTORY"] = "INVENTORY"
    part: Label
    members: Annotated[list[SourceMember], Field(max_length=MOST_MEMBERS)]
