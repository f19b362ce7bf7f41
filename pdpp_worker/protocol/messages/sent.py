"""The messages that a connector sends, and the answer to its question to the owner."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from packaging.version import InvalidVersion, Version
from pydantic import Field, StrictBool, model_validator

from pdpp_worker.protocol.keys import ItemName, KeyText
from pdpp_worker.protocol.messages.field_types import BaseMessage, Count, HintAction, Moment, Name, RecoveryHint
from pdpp_worker.protocol.messages.inventory import Inventory
from pdpp_worker.protocol.messages.record import Record
from pdpp_worker.protocol.reasons import RETRYABLE_KINDS, RecoveryKind, known_reason
from pdpp_worker.protocol.scope import ResourceScope, Scope, TimeRange

STREAM_FAILED = "stream_collection_failed"
"""The reason and error code by which a connector certifies that named streams failed and the others did not."""


LONGEST_IDENTITY = 500
"""Characters of the identity of an account, and of its label."""


class SourceAccount(BaseMessage):
    """SOURCE_ACCOUNT: whose account at the source the connector reads; it comes before any record.

    `identity` never changes as long as the account is the same, and tells it from every other one: the id of a user or
    team, an address, a device. `label` is what its owner knows it by.
    """

    type: Literal["SOURCE_ACCOUNT"] = "SOURCE_ACCOUNT"
    identity: Annotated[str, Field(min_length=1, max_length=LONGEST_IDENTITY)]
    label: Annotated[str, Field(max_length=LONGEST_IDENTITY)] | None = None


class State(BaseMessage):
    """STATE: the cursor of a checkpoint stream; covers every record of it that came before.

    `covered` is a period that is walked whole with this, but for what was reported missing: both ends ISO 8601 with a
    zone, or open. It merges with those covered before.
    """

    type: Literal["STATE"] = "STATE"
    stream: Name
    cursor: Any
    covered: TimeRange | None = None


class LongState(State):
    """A STATE whose line was too long to be read: everything but its cursor is known."""

    line_bytes: int


class SkipResult(BaseMessage):
    """SKIP_RESULT: something in scope was not collected; says why, and who retries it."""

    type: Literal["SKIP_RESULT"] = "SKIP_RESULT"
    stream: Name
    reason: Annotated[str, Field(min_length=1)]
    message: str = ""
    recovery_hint: HintAction | RecoveryHint | None = None
    scope: Scope | None = None
    recovery_kind: RecoveryKind | None = None
    retry_after: Moment | None = None
    connector_version_required: str | None = None
    detail: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _complete(self) -> SkipResult:
        if self.reason != STREAM_FAILED and self.scope is None:
            raise ValueError("scope is missing; a skip names what it skipped")
        if self.recovery_kind is None and self.recovery_hint is None:
            raise ValueError("recovery_kind is missing; a skip says who retries it")
        check_kind(self.stream, self.reason, self.recovery_kind)
        _check_version(self.connector_version_required)
        return self

    @property
    def hint_action(self) -> HintAction | None:
        """The action of the hint in either of its two forms."""
        return self.recovery_hint.action if isinstance(self.recovery_hint, RecoveryHint) else self.recovery_hint


class DetailGap(BaseMessage):
    """DETAIL_GAP: a detail that a list promised and that could not be read now; becomes a gap."""

    type: Literal["DETAIL_GAP"] = "DETAIL_GAP"
    stream: Name
    parent_stream: Name | None = None
    record_key: ItemName
    reason: Annotated[str, Field(min_length=1)]
    retryable: StrictBool = True
    retry_after: Moment | None = None
    detail_locator: dict[str, Any] | None = None
    last_error: str | None = None
    gap_id: str | None = None

    @property
    def scope(self) -> ResourceScope:
        """A detail gap is always about one resource."""
        return ResourceScope(resource_id=self.record_key)


class DetailGapRecovered(BaseMessage):
    """DETAIL_GAP_RECOVERED: a gap is closed; `absent` says that the provider affirmed there is nothing to fetch."""

    type: Literal["DETAIL_GAP_RECOVERED"] = "DETAIL_GAP_RECOVERED"
    gap_id: str
    stream: Name
    record_key: ItemName
    absent: StrictBool = False


class DetailCoverage(BaseMessage):
    """DETAIL_COVERAGE: which details a page of a parent list required, and which of them were read."""

    type: Literal["DETAIL_COVERAGE"] = "DETAIL_COVERAGE"
    reference_only: Literal[True] = True
    stream: Name
    state_stream: Name
    required_keys: list[KeyText]
    hydrated_keys: list[KeyText]
    gap_keys: list[KeyText] = Field(default_factory=list)

    @model_validator(mode="after")
    def _accounted(self) -> DetailCoverage:
        required = _unique("required_keys", self.required_keys)
        if not _unique("hydrated_keys", self.hydrated_keys) <= required:
            raise ValueError("hydrated_keys holds a key that required_keys does not")
        if not _unique("gap_keys", self.gap_keys) <= required:
            raise ValueError("gap_keys holds a key that required_keys does not")
        return self

    @property
    def unaccounted_keys(self) -> list[str]:
        """Required keys that are neither read nor in a gap."""
        known = {*self.hydrated_keys, *self.gap_keys}
        return [key for key in self.required_keys if key not in known]


class Progress(BaseMessage):
    """PROGRESS: for display; `count` of `total` items of the stream have been considered."""

    type: Literal["PROGRESS"] = "PROGRESS"
    message: str = ""
    stream: Name | None = None
    count: Count | None = None
    total: Count | None = None


class Interaction(BaseMessage):
    """INTERACTION: the connector needs the owner and waits for the answer."""

    type: Literal["INTERACTION"] = "INTERACTION"
    request_id: Annotated[str, Field(min_length=1)]
    kind: Literal["credentials", "otp", "manual_action"]
    message: str
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None


class InteractionResponse(BaseMessage):
    """INTERACTION_RESPONSE: the owner's answer; `data` on success only, and never logged or stored."""

    type: Literal["INTERACTION_RESPONSE"] = "INTERACTION_RESPONSE"
    request_id: str
    status: Literal["success", "cancelled", "timeout"]
    data: dict[str, Any] | None = Field(default=None, repr=False)


class DoneError(BaseMessage):
    """The reason for which a connector ended as failed or cancelled."""

    code: str | None = None
    message: str
    retryable: StrictBool | None = None
    recovery_hint: HintAction | RecoveryHint | None = None

    @property
    def hint_action(self) -> HintAction | None:
        """The action of the hint in either of its two forms."""
        return self.recovery_hint.action if isinstance(self.recovery_hint, RecoveryHint) else self.recovery_hint


class Done(BaseMessage):
    """DONE: the last message. `records_emitted` is checked when a connector gives it."""

    type: Literal["DONE"] = "DONE"
    status: Literal["succeeded", "failed", "cancelled"]
    records_emitted: Count | None = None
    error: DoneError | None = None


Told = (
    State
    | SkipResult
    | DetailGap
    | DetailGapRecovered
    | DetailCoverage
    | SourceAccount
    | Inventory
    | Progress
    | Interaction
    | Done
)
"""Every message but a record."""
Message = Record | Told


def check_kind(stream: str, reason: str, kind: RecoveryKind | None) -> None:
    """Refuse kinds that are not skips at all, and a kind that contradicts its reason.

    Raises:
        ValueError: naming the stream and what to do instead.
    """
    if kind is not None and kind not in RETRYABLE_KINDS:
        place = "the manifest's availability" if kind is RecoveryKind.STRUCTURAL else "nothing: it is not a skip"
        raise ValueError(f"recovery_kind {kind.value} of stream {stream!r} may not be emitted; it belongs in {place}")
    known = known_reason(reason)
    if kind is not None and known is not None and kind is not known.kind:
        raise ValueError(f"recovery_kind of reason {reason} is {known.kind.value}, not {kind.value}")


def _check_version(text: str | None) -> None:
    try:
        Version(text or "0")
    except InvalidVersion:
        raise ValueError("connector_version_required is no version such as 1.2.0 (PEP 440)") from None


def _unique(field: str, keys: list[str]) -> set[str]:
    unique = set(keys)
    if len(unique) != len(keys):
        raise ValueError(f"{field} holds a key twice")
    return unique
