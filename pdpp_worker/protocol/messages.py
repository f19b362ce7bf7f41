"""The messages between the runtime and a connector (Collection Profile 0.1).

Connectors in Python yield these objects; connectors in other languages write the same as JSON lines. Unknown fields
are ignored, unknown types refused.
"""

from __future__ import annotations

import json
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, Literal

from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.keys import ItemName, KeyText
from pdpp_worker.protocol.numbers import exact_float, may_be_long
from pdpp_worker.protocol.reasons import RETRYABLE_KINDS, RecoveryKind, known_reason
from pdpp_worker.protocol.scope import ResourceScope, Scope, StreamScope, TimeRange

Name = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[KeyText, Field(min_length=1)] | Annotated[list[KeyText], Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=10**15)]


def _in_a_year(moment: datetime) -> datetime:
    """Databases count in UTC, where the first and the last year may be over in another zone."""
    if moment.year in (MINYEAR, MAXYEAR):
        try:
            moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("no time of the years 1 to 9999 in UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_a_year)]

HintAction = Literal[
    "retry_by_runtime",
    "retry_on_connector_upgrade",
    "refresh_credentials",
    "manual_action_required",
    "update_selector",
    "upstream_unblock",
    "not_retriable",
    "unknown",
]

STREAM_FAILED = "stream_collection_failed"
"""The reason and error code by which a connector certifies that named streams failed and the others did not."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Record(_Message):
    """RECORD: one record of a stream. `partial` merges the given fields over what is stored."""

    type: Literal["RECORD"] = "RECORD"
    stream: Name
    key: Key
    data: dict[str, Any]
    emitted_at: Moment
    op: Literal["upsert", "delete"] = "upsert"
    partial: StrictBool = False


class State(_Message):
    """STATE: the cursor of a checkpoint stream; covers every record of it that came before.

    `covered` is a period that is walked whole with this, but for what was reported missing: both ends ISO 8601 with a
    zone, or open. It merges with those covered before.
    """

    type: Literal["STATE"] = "STATE"
    stream: Name
    cursor: Any
    covered: TimeRange | None = None


class LongRecord(Record):
    """What is known of a RECORD whose line was too long to be read: all but its data."""

    line_bytes: int


class LongState(State):
    """What is known of a STATE whose line was too long to be read: all but its cursor."""

    line_bytes: int


class RecoveryHint(_Message):
    """What would mend a skip, in the profile's words."""

    action: HintAction
    retryable: StrictBool | None = None


class SkipResult(_Message):
    """SKIP_RESULT: something in scope was not collected, why, and who goes back for it."""

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
            raise ValueError("recovery_kind is missing; a skip says who goes back for it")
        check_kind(self.stream, self.reason, self.recovery_kind)
        _check_version(self.connector_version_required)
        return self

    @property
    def hint_action(self) -> HintAction | None:
        """The action of the hint in either of its two forms."""
        return self.recovery_hint.action if isinstance(self.recovery_hint, RecoveryHint) else self.recovery_hint


class DetailGap(_Message):
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


class DetailGapRecovered(_Message):
    """DETAIL_GAP_RECOVERED: a gap is closed; `absent` says that the provider affirmed there is nothing to fetch."""

    type: Literal["DETAIL_GAP_RECOVERED"] = "DETAIL_GAP_RECOVERED"
    gap_id: str
    stream: Name
    record_key: ItemName
    absent: StrictBool = False


class DetailCoverage(_Message):
    """DETAIL_COVERAGE: which details a page of a parent list required, and which of them were read."""

    type: Literal["DETAIL_COVERAGE"] = "DETAIL_COVERAGE"
    reference_only: Literal[True] = True
    stream: Name
    state_stream: Name
    required_keys: list[KeyText]
    hydrated_keys: list[KeyText]
    gap_keys: list[KeyText] = []

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


class Progress(_Message):
    """PROGRESS: for display; `count` of `total` items of the stream have been considered."""

    type: Literal["PROGRESS"] = "PROGRESS"
    message: str = ""
    stream: Name | None = None
    count: Count | None = None
    total: Count | None = None


class Interaction(_Message):
    """INTERACTION: the connector needs the owner and waits for the answer."""

    type: Literal["INTERACTION"] = "INTERACTION"
    request_id: Annotated[str, Field(min_length=1)]
    kind: Literal["credentials", "otp", "manual_action"]
    message: str
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None


class InteractionResponse(_Message):
    """INTERACTION_RESPONSE: the owner's answer; `data` on success only, and never logged or stored."""

    type: Literal["INTERACTION_RESPONSE"] = "INTERACTION_RESPONSE"
    request_id: str
    status: Literal["success", "cancelled", "timeout"]
    data: dict[str, Any] | None = Field(default=None, repr=False)


class DoneError(_Message):
    """Why a connector ended badly."""

    code: str | None = None
    message: str
    retryable: StrictBool | None = None
    recovery_hint: HintAction | RecoveryHint | None = None

    @property
    def hint_action(self) -> HintAction | None:
        """The action of the hint in either of its two forms."""
        return self.recovery_hint.action if isinstance(self.recovery_hint, RecoveryHint) else self.recovery_hint


class Done(_Message):
    """DONE: the last message. `records_emitted` is checked when a connector gives it."""

    type: Literal["DONE"] = "DONE"
    status: Literal["succeeded", "failed", "cancelled"]
    records_emitted: Count | None = None
    error: DoneError | None = None


Message = Record | State | SkipResult | DetailGap | DetailGapRecovered | DetailCoverage | Progress | Interaction | Done

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse_message(raw: Any) -> Message:
    """Read one message from its JSON object (bytes, text or an already decoded dict).

    Raises:
        ProtocolViolation: naming the message type and the field that is wrong.
    """
    try:
        if isinstance(raw, str | bytes):
            return _read_json(raw)
        return _MESSAGE.validate_python(raw)
    except ValidationError as error:
        raise ProtocolViolation(describe(error)) from None


def _read_json(raw: str | bytes) -> Message:
    """Lone surrogates, deep nesting and long numbers are beyond the fast reader; a null stands for a field left out."""
    text = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
    try:
        if not may_be_long(text) or (decoded := _decode(text)) is None:
            return _MESSAGE.validate_json(raw)
        return _MESSAGE.validate_python(decoded)
    except ValidationError as error:
        if (decoded := _decode(text)) is None:
            raise error from None
    if isinstance(decoded, dict):
        decoded = {name: value for name, value in decoded.items() if value is not None or name == "cursor"}
    return _MESSAGE.validate_python(decoded)


def _decode(raw: bytes) -> Any:
    """The JSON value with every digit of its numbers; None when it cannot be read."""
    try:
        return json.loads(raw, parse_float=exact_float)
    except (ValueError, RecursionError):
        return None


def describe(error: ValidationError) -> str:
    """One sentence about the first thing wrong with a message; never the message's own content."""
    first = error.errors(include_url=False, include_input=False)[0]
    # Where a field takes several forms, the place ends in pydantic's own name of the form, such as `constrained-str`.
    place = [str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        return f"unknown message type {first['ctx']['tag']}; expected one of {first['ctx']['expected_tags']}"
    if not place:
        return f"not a message: {text}"
    where = f"{place[0]}.{'.'.join(place[1:])}" if place[1:] else place[0]
    return f"{where}: {text}"


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


class GapToClose(_Message):
    """One gap as START hands it to a connector."""

    gap_id: str
    stream: Name
    scope: Scope
    reason: str
    detail_locator: dict[str, Any] | None = None


class Budget(_Message):
    """What a run may spend; None is no limit."""

    seconds: Annotated[float, Field(gt=0)] | None = None
    requests: Annotated[int, Field(gt=0)] | None = None
    items: Annotated[int, Field(gt=0)] | None = None


class StartScope(_Message):
    """The streams that are asked for."""

    streams: Annotated[list[StreamScope], Field(min_length=1)]


class Start(_Message):
    """START: what the runtime asks of the connector."""

    type: Literal["START"] = "START"
    run_id: str
    collection_mode: Literal["full_refresh", "incremental"] = "incremental"
    scope: StartScope
    state: dict[str, Any] | None = None
    bindings: dict[str, Any] = {}
    detail_gaps: list[GapToClose] = []
    recovery_only: bool = False
    budget: Budget = Budget()

    def wants(self, stream: str) -> bool:
        """Whether the stream is in scope."""
        return any(scope.name == stream for scope in self.scope.streams)

    def cursor(self, stream: str) -> Any:
        """The committed cursor of the stream, or None."""
        return None if self.state is None else self.state.get(stream)
