"""Reads messages about single details: missing, asked for, recovered; and the request for more of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr

from pdpp_worker.command.dialect.forms import (
    Facts,
    Form,
    Item,
    Key,
    RefusedError,
    Reply,
    StreamName,
    Time,
    key_text,
    read_form,
    require_stream,
)
from pdpp_worker.command.dialect.outgoing import page_line
from pdpp_worker.command.dialect.skip_form import retry_instant
from pdpp_worker.command.dialect.words import own_words, reason_of_gap
from pdpp_worker.protocol.foreign import Attempted, ForeignGap
from pdpp_worker.protocol.messages import DetailGapRecovered, GapToClose
from pdpp_worker.protocol.scope import ResourceScope


class GapForm(Form):
    """DETAIL_GAP: a detail that could not be read now."""

    stream: StreamName = Field(description="in scope")
    parent_stream: StreamName | None = Field(default=None, description="whose list promised it")
    record_key: Key | None = Field(default=None, description="in its own JSON type; without it no required key is met")
    reason: StrictStr = Field(default="unknown", description="a word for why")
    retryable: StrictBool = Field(default=True, description="whether time fixes it")
    retry_after: Time | None = Field(default=None, description="ours: not before")
    detail_locator: dict[str, Any] | None = Field(default=None, description="comes back with the gap; no secrets")
    last_error: StrictStr | dict[str, Any] | None = Field(
        default=None, description="class, http_status, message, network_pressure.retry_after_ms"
    )
    gap_id: StrictStr | None = Field(default=None, description="a gap handed over in this run: it is put off again")
    lease_id: StrictStr | None = Field(default=None, description="that of the gap")


class RecoveredForm(Form):
    """DETAIL_GAP_RECOVERED: a gap that was handed over is closed, with or without a record."""

    gap_id: StrictStr = Field(description="handed over in this run")
    stream: StreamName = Field(description="that of the gap")
    record_key: Key | None = Field(default=None, description="that of the gap")
    lease_id: StrictStr | None = Field(default=None, description="that of the gap")
    absent: StrictBool = Field(default=False, description="ours: the provider affirmed that there is nothing")


class AttemptedForm(Form):
    """DETAIL_GAP_ATTEMPTED: a gap that was handed over is asked for; counts one attempt."""

    gap_id: StrictStr = Field(description="handed over in this run")
    lease_id: StrictStr = Field(description="that of the gap")
    stream: StreamName = Field(description="that of the gap")
    reference_only: Literal[True] = Field(description="always true")


class PageForm(Form):
    """DETAIL_GAPS_PAGE_REQUEST: more gaps are wanted; always answered, and no gap is handed over twice."""

    request_id: StrictStr = Field(description="comes back with the answer")
    reference_only: Literal[True] = Field(description="always true")
    streams: list[StrictStr] | None = Field(default=None, description="of these; left out: of all")
    max_bytes: Annotated[int, Field(gt=0, strict=True)] | None = Field(default=None, description="16 KiB to 1 MiB")


def read_gap(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """A missing detail, new or put off again."""
    form = read_form(GapForm, fields)
    require_stream(form.stream, facts)
    handed = _put_off(form, facts)
    key = form.record_key
    if key is None and handed is not None and isinstance(handed.scope, ResourceScope):
        key = handed.record_key if handed.record_key is not None else handed.scope.resource_id
    reason = reason_of_gap(form.reason, retryable=form.retryable)
    error = form.last_error if isinstance(form.last_error, dict) else {}
    told = (_told(error) if error else form.last_error) or facts.manifest.reasons.get(form.reason, "")
    yield ForeignGap(
        stream=form.stream,
        parent_stream=form.parent_stream,
        record_key=key,
        reason=reason,
        retry_after=form.retry_after or retry_instant(error.get("network_pressure"), facts.now()),
        detail_locator=form.detail_locator,
        last_error=own_words(form.reason, reason, str(told)) or None,
        gap_id=None if handed is None else handed.gap_id,
    )


def read_recovered(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """A gap that is closed by the connector's word."""
    form = read_form(RecoveredForm, fields)
    gap = _handed(form.gap_id, form.lease_id, form.stream, facts)
    key = form.record_key
    if key is not None and isinstance(gap.scope, ResourceScope) and key_text(key) != gap.scope.resource_id:
        raise RefusedError("record_key", "record_key: it is another than the gap's")
    name = gap.scope.resource_id if isinstance(gap.scope, ResourceScope) else gap.gap_id
    yield DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=name, absent=form.absent)


def read_attempted(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """A gap that is asked for."""
    form = read_form(AttemptedForm, fields)
    gap = _handed(form.gap_id, form.lease_id, form.stream, facts)
    yield Attempted(gap_id=gap.gap_id, stream=gap.stream)


def read_page_request(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The next page of gaps. A request that is refused is answered too, for the connector waits without limit."""
    try:
        form = read_form(PageForm, fields)
    except RefusedError:
        if isinstance(request := fields.get("request_id"), str):
            yield Reply(page_line(request))
        raise
    yield Reply(page_line(form.request_id, facts.handover.page(form.streams, form.max_bytes)))


def _put_off(form: GapForm, facts: Facts) -> GapToClose | None:
    """The gap that is put off again, if it is one that was handed over."""
    if form.gap_id is not None:
        return _handed(form.gap_id, form.lease_id, form.stream, facts)
    if form.lease_id is not None:
        raise RefusedError("lease_id", "lease_id: it comes without a gap_id")
    key = None if form.record_key is None else key_text(form.record_key)
    return facts.handover.only(form.stream, key, form.parent_stream)


def _handed(gap_id: str, lease_id: str | None, stream: str, facts: Facts) -> GapToClose:
    gap = facts.handover.named(gap_id, lease_id)
    if gap is None:
        raise RefusedError("gap_id", "gap_id: this gap, or this lease of it, was not handed over in this run")
    if gap.stream != stream:
        raise RefusedError("stream", "stream: the gap is of another one")
    return gap


def _told(error: Mapping[str, Any]) -> str:
    """An error object as one sentence."""
    said = [str(error[name]) for name in ("class", "message") if isinstance(error.get(name), str)]
    status = error.get("http_status")
    return ": ".join(said) + (f" (answered {status})" if isinstance(status, int) else "")
