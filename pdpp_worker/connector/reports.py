"""Builders of the messages that say what is missing, and of those that close a gap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pdpp_worker.errors import ProviderError
from pdpp_worker.protocol.messages import (
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Record,
    SkipResult,
    SourceAccount,
    Start,
)
from pdpp_worker.protocol.messages.sent import LONGEST_IDENTITY
from pdpp_worker.protocol.reasons import Reason, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, Scope

_NARROWED = "This stream is collected whole; ask for it without resources, time range or fields."


def skip(
    stream: str,
    reason: Reason,
    scope: Scope,
    message: str = "",
    *,
    retry_after: datetime | None = None,
    detail: dict[str, Any] | None = None,
) -> SkipResult:
    """A SKIP_RESULT; its recovery kind follows from its reason."""
    return SkipResult(
        stream=stream,
        reason=reason.value,
        message=message,
        scope=scope,
        recovery_kind=reason.kind,
        retry_after=retry_after,
        detail=detail,
    )


def reason_for(error: ProviderError) -> Reason:
    """The reason that a failure leads to; an upstream error for a word of the connector's own."""
    return known_reason(error.reason) or Reason.UPSTREAM_ERROR


def skip_for(
    error: ProviderError,
    stream: str,
    scope: Scope = WHOLE_STREAM,
    *,
    reason: Reason | None = None,
    message: str | None = None,
    detail: dict[str, Any] | None = None,
) -> SkipResult:
    """A SKIP_RESULT for a failure; `reason` and `message` replace the failure's own."""
    return skip(
        stream,
        reason or reason_for(error),
        scope,
        str(error) if message is None else message,
        retry_after=error.retry_after,
        detail=detail,
    )


def gap_for(
    error: ProviderError,
    stream: str,
    record_key: str,
    *,
    parent_stream: str | None = None,
    detail_locator: dict[str, Any] | None = None,
    reason: Reason | None = None,
    gap_id: str | None = None,
) -> DetailGap:
    """A DETAIL_GAP for a failure of one resource; with `gap_id`, a known gap that stays open."""
    return DetailGap(
        stream=stream,
        parent_stream=parent_stream,
        record_key=record_key,
        reason=error.reason if reason is None else reason.value,
        retry_after=error.retry_after,
        detail_locator=detail_locator,
        last_error=str(error),
        gap_id=gap_id,
    )


def still_missing(
    error: ProviderError, known: GapToClose, record_key: str | None = None, *, reason: Reason | None = None
) -> DetailGap:
    """A known gap that stays open after a failure; its key is its resource where none is given."""
    key = resource_of(known) if record_key is None else record_key
    return gap_for(error, known.stream, key, detail_locator=known.detail_locator, reason=reason, gap_id=known.gap_id)


def closed_by(proof: Record, known: GapToClose) -> DetailGapRecovered:
    """Closes a gap by a record that was yielded before."""
    return DetailGapRecovered(gap_id=known.gap_id, stream=proof.stream, record_key=str(proof.key))


def closed_as_absent(known: GapToClose, record_key: str | None = None) -> DetailGapRecovered:
    """Closes a gap because the provider affirms that there is nothing; its key is its resource where none is given."""
    key = resource_of(known) if record_key is None else record_key
    return DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=key, absent=True)


def resource_of(known: GapToClose) -> str:
    """The resource that a gap is about; empty for a gap about a part of a stream."""
    return known.scope.resource_id if isinstance(known.scope, ResourceScope) else ""


def detail_coverage(stream: str, state_stream: str, key: str, *, is_read: bool) -> DetailCoverage:
    """A DETAIL_COVERAGE of one detail: it was read, or is a gap."""
    return DetailCoverage(
        stream=stream,
        state_stream=state_stream,
        required_keys=[key],
        hydrated_keys=[key] if is_read else [],
        gap_keys=[] if is_read else [key],
    )


def narrowed_streams(start: Start) -> dict[str, str]:
    """The streams of which START asks for a part (some resources, a time range, some fields); stream to a refusal."""
    whole = (None, None, None)
    narrowed = [one.name for one in start.scope.streams if (one.resources, one.time_range, one.fields) != whole]
    return dict.fromkeys(narrowed, _NARROWED)


def refuse(refused: dict[str, str]) -> Iterator[SkipResult]:
    """Skips streams that cannot be collected as START asks for them; `refused` is stream to why."""
    return (skip(stream, Reason.SCOPE_NOT_SUPPORTED, WHOLE_STREAM, why) for stream, why in refused.items())


def refuse_narrowed(start: Start) -> Iterator[SkipResult]:
    """Skips the streams of which START asks for a part, for a connector that collects streams whole."""
    return refuse(narrowed_streams(start))


def account_named(identity: str, label: str | None = None) -> SourceAccount:
    """SOURCE_ACCOUNT by what the source says: of a long text the beginning, and no half surrogate pairs."""
    return SourceAccount(identity=_fitting(identity), label=_fitting(label) if label else None)


def _fitting(text: str) -> str:
    return text[:LONGEST_IDENTITY].encode("utf-8", "replace").decode()
