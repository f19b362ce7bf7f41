"""SKIP_RESULT: what was not collected, with the defaults for what connectors leave out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictStr, model_validator

from pdpp_worker.command.dialect.forms import (
    Facts,
    Form,
    Item,
    Key,
    RefusedError,
    StreamName,
    Time,
    key_text,
    read_form,
    require_stream,
)
from pdpp_worker.command.dialect.words import own_words, reason_of_skip
from pdpp_worker.protocol.foreign import Note
from pdpp_worker.protocol.messages import STREAM_FAILED, HintAction, SkipResult
from pdpp_worker.protocol.reasons import RecoveryKind
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, TimeRange

_OF_ONE_RECORD = "shape_check_failed"
"""Connectors say this of one record, and begin the message with its key."""
_LEADING_KEY = re.compile(r"(\S{1,500}): ")

Count = Annotated[int, Field(ge=0, strict=True)]


class Hint(Form):
    """The remedy for a skip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: HintAction = Field(description="who has to act")
    retryable: StrictBool | None = Field(default=None, description="whether time fixes it")


class Continuation(Form):
    """A part is done, and the next run takes the next one."""

    boundary: StrictStr = Field(description="what the parts are")
    slice_start: Count = Field(description="where this part began")
    slice_end: Count = Field(description="where it ended")
    considered: Count = Field(description="how many items it met")
    covered: Count = Field(description="how many of them it has")
    remaining: Literal[True] = Field(description="there is more")
    owner: Literal["runtime"] = Field(description="who goes on")

    @model_validator(mode="after")
    def _in_order(self) -> Continuation:
        if self.slice_start > self.slice_end:
            raise ValueError("slice_start is beyond slice_end")
        return self


class SkipForm(Form):
    """SKIP_RESULT: something that was not collected."""

    stream: StreamName | None = Field(default=None, description="in scope; left out: about the run")
    reason: StrictStr = Field(default="unknown", description="a word for why")
    message: StrictStr = Field(default="", description="a sentence for the owner")
    recovery_hint: HintAction | Hint | None = Field(default=None, description="what would fix it, or an object of it")
    continuation: Continuation | None = Field(default=None, description="no miss: a part is done, run again soon")
    resource_ids: list[Key] | None = Field(default=None, description="the resources that were skipped")
    resources: list[Key] | None = Field(default=None, description="the same")
    time_range: TimeRange | None = Field(default=None, description="the period that was skipped")
    diagnostics: dict[str, Any] | None = Field(
        default=None, description="`id`: the one record meant; `retained` true: it was sent all the same"
    )
    scope: Scope | None = Field(default=None, description="ours: exactly what was skipped")
    recovery_kind: RecoveryKind | None = Field(default=None, description="ours: who retries it")
    retry_after: Time | None = Field(default=None, description="ours: not before")
    connector_version_required: StrictStr | None = Field(default=None, description="ours: the version that fixes it")
    detail: dict[str, Any] | None = Field(default=None, description="ours: comes back with the gap")

    @property
    def hint(self) -> HintAction | None:
        """The hint's action in either of its forms."""
        return self.recovery_hint.action if isinstance(self.recovery_hint, Hint) else self.recovery_hint


def read_skip(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """A miss for each thing that was skipped, or a note where nothing is missing."""
    form = read_form(SkipForm, fields)
    if form.stream is not None:
        require_stream(form.stream, facts)
    diagnostics = form.diagnostics or {}
    if form.stream is None or diagnostics.get("retained") is True or form.continuation is not None:
        again = form.continuation is not None
        yield Note(stream=form.stream, reason=form.reason, message=form.message, again_soon=again)
        return
    told = form.message or facts.manifest.reasons.get(form.reason, "")
    for scope in _scopes(form, diagnostics):
        yield _miss(form, form.stream, scope, told, facts.now())


def retry_instant(pressure: Any, now: datetime) -> datetime | None:
    """When the provider may be asked again, by what is told of its pressure."""
    wait_ms = pressure.get("retry_after_ms") if isinstance(pressure, dict) else None
    if isinstance(wait_ms, bool) or not isinstance(wait_ms, int | float) or not 0 < wait_ms < 10**11:
        return None
    return now + timedelta(milliseconds=wait_ms)


def _scopes(form: SkipForm, diagnostics: Mapping[str, Any]) -> list[Scope]:
    """The scopes that were skipped: the first form that is there counts."""
    if form.scope is not None:
        return [form.scope]
    if named := form.resource_ids or form.resources:
        return [ResourceScope(resource_id=key_text(key)) for key in named]
    one = diagnostics.get("id")
    if isinstance(one, str | int | float) and not isinstance(one, bool) and one != "":
        return [ResourceScope(resource_id=key_text(one))]
    if form.reason == _OF_ONE_RECORD and (told := _LEADING_KEY.match(form.message)) is not None:
        return [ResourceScope(resource_id=told[1])]
    if form.time_range is not None:
        return [BatchScope(partition={}, range=form.time_range)]
    return [WHOLE_STREAM]


def _miss(form: SkipForm, stream: str, scope: Scope, told: str, now: datetime) -> SkipResult:
    reason = reason_of_skip(form.reason, form.hint, form.recovery_kind)
    certifies = form.reason == STREAM_FAILED
    after = form.retry_after or retry_instant((form.diagnostics or {}).get("network_pressure"), now)
    try:
        return SkipResult(
            stream=stream,
            reason=STREAM_FAILED if certifies else reason.value,
            message=told if certifies else own_words(form.reason, reason, told),
            scope=scope,
            recovery_kind=form.recovery_kind or (RecoveryKind.RUNTIME if certifies else reason.kind),
            recovery_hint=form.hint,
            retry_after=after,
            connector_version_required=form.connector_version_required,
            detail=form.detail,
        )
    except ValueError:
        raise RefusedError("recovery_kind", "recovery_kind or connector_version_required cannot be") from None
