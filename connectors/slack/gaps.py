"""Gaps of the Web API: conversations and threads that could not be read, and what their failures say of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.slack.errors import Refused, ScopeMissing
from connectors.slack.rows import Obj
from connectors.slack.streams import MESSAGES
from pdpp_worker.connector import (
    BatchScope,
    Gone,
    Message,
    ProviderError,
    Reason,
    SkipResult,
    Throttled,
    reason_for,
    skip_for,
)

MAX_FAILURES = 3
"""Conversations or threads in a row that may fail before no more are asked for: then they are not at fault."""


def is_its_own(error: ProviderError) -> bool:
    """Whether a failure is that of one conversation, or of its kind, and says nothing of the others."""
    return isinstance(error, Gone | Refused | ScopeMissing)


def stopped(streams: Iterable[str], error: ProviderError) -> Iterator[Message]:
    """The walk could not go on; the next one does from its position."""
    reason = Reason.UPSTREAM_PRESSURE if isinstance(error, Throttled) else None
    return (skip_for(error, stream, reason=reason) for stream in streams)


def part_gap(partition: dict[str, Any], error: ProviderError, detail: Obj | None = None) -> SkipResult:
    """A conversation or thread that could not be read to its end."""
    return skip_for(error, MESSAGES, BatchScope(partition=partition), reason=miss_reason(error), detail=detail)


def miss_reason(error: ProviderError) -> Reason:
    """The reason why a part is missing; one that is listed and is said not to exist may only be out of sight."""
    return Reason.SOURCE_PARTITION_FAILED if isinstance(error, Gone) else reason_for(error)
