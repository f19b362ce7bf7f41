"""START: the message that the runtime hands to a connector."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pdpp_worker.protocol.messages.field_types import BaseMessage, Name
from pdpp_worker.protocol.scope import Scope, StreamScope


class GapToClose(BaseMessage):
    """One gap as START hands it to a connector."""

    gap_id: str
    stream: Name
    scope: Scope
    reason: str
    detail_locator: dict[str, Any] | None = None
    record_key: str | int | float | None = None
    """The key as it was sent, where it is no text."""
    parent_stream: str | None = None


class Budget(BaseMessage):
    """Limits of a run: working seconds, requests, items; None is no limit."""

    seconds: Annotated[float, Field(gt=0)] | None = None
    requests: Annotated[int, Field(gt=0)] | None = None
    items: Annotated[int, Field(gt=0)] | None = None


class StartScope(BaseMessage):
    """The streams that are asked for."""

    streams: Annotated[list[StreamScope], Field(min_length=1)]


class Start(BaseMessage):
    """START: the runtime asks the connector to collect these streams, or to fetch these gaps."""

    type: Literal["START"] = "START"
    run_id: str
    collection_mode: Literal["full_refresh", "incremental"] = "incremental"
    scope: StartScope
    state: dict[str, Any] | None = None
    bindings: dict[str, Any] = Field(default_factory=dict)
    detail_gaps: list[GapToClose] = Field(default_factory=list)
    recovery_only: bool = False
    budget: Budget = Budget()

    def wants(self, stream: str) -> bool:
        """Whether the stream is in scope."""
        return any(scope.name == stream for scope in self.scope.streams)

    def cursor(self, stream: str) -> Any:
        """The committed cursor of the stream, or None."""
        return None if self.state is None else self.state.get(stream)
