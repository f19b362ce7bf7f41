"""Messages that commands bring about beside those of `messages`, as their dialect hands them to the runtime.

The first two stand for messages that were refused: what was refused, and what that costs. Nothing here holds content
of a message that was refused, but for a record's, which is kept as a rejection.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.scope import BatchScope, ResourceScope, Scope


class _Foreign(BaseModel):
    model_config = ConfigDict(frozen=True)


class Refused(_Foreign):
    """A message that was refused, and what it could hide."""

    message_type: str
    field: str
    """The first member that is wrong; `type` for an unknown type, `line` for a line that is no JSON object."""
    why: str
    """One sentence, without content."""
    withholds: tuple[str, ...] = ()
    """Streams whose cursors may not move any more: a miss could lie behind them."""
    misses: str | None = None
    """A stream of which anything may be missing."""
    unkept: str | None = None
    """A stream whose latest cursor is not kept; the one before it stays."""

    @property
    def name(self) -> str:
        """The name under which it is counted."""
        return f"{self.message_type}.{self.field}"


class UnreadRecord(_Foreign):
    """A RECORD of a stream in scope that cannot be read as one. It is kept as a rejection and counts as emitted."""

    stream: str
    key: str | None
    """None where it has no key that can be read: then it may be any record of the stream."""
    field: str
    why: str
    raw: Any


class Note(_Foreign):
    """Something that a connector skipped and that is no miss of a stream.

    Without a stream it is about the run, which ends partial.
    """

    stream: str | None
    reason: str
    message: str
    again_soon: bool = False
    """The connector has done a part and wants to be run again for the next one."""


class ForeignGap(_Foreign):
    """A DETAIL_GAP in the words of the profile: its key has its own JSON type, or there is none."""

    stream: str
    parent_stream: str | None = None
    record_key: str | int | float | None = None
    reason: Reason
    retry_after: datetime | None = None
    detail_locator: dict[str, Any] | None = None
    last_error: str | None = None
    gap_id: str | None = None
    """The gap handed over in this run that it puts off."""

    @property
    def scope(self) -> Scope:
        """One resource; without a key, what the locator names."""
        if self.record_key is None:
            return BatchScope(partition=self.detail_locator or {})
        return ResourceScope(resource_id=str(self.record_key))


class Totals(_Foreign):
    """How many items of a stream a walk considered, and how many of them it has or found unchanged."""

    stream: str
    considered: int
    covered: int


class Attempted(_Foreign):
    """A gap that was handed over is asked for now."""

    gap_id: str
    stream: str


class Assistance(_Foreign):
    """The connector goes on, and asks the owner to do something meanwhile. It is shown and never answered."""

    request_id: str
    message: str
    owner_action: str = "none"
    progress_posture: str = "running"
    stream: str | None = None
    timeout_s: float | None = None


class AssistanceEnded(_Foreign):
    """The end of an Assistance."""

    request_id: str
    status: Literal["resolved", "cancelled", "timed_out", "escalated"]
    message: str = ""


Foreign = Refused | UnreadRecord | Note | ForeignGap | Totals | Attempted | Assistance | AssistanceEnded
