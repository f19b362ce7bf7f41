"""The lines that go to a connector, as models: what is written is checked before it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import InteractionResponse, Start
from pdpp_worker.protocol.scope import StreamScope


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def line(self) -> dict[str, Any]:
        """The message as plain JSON; members without a value are left out, but for those that connectors look for."""
        given = self.model_dump(exclude_none=True)
        return {**dict.fromkeys(self._ALWAYS), **given}

    _ALWAYS: ClassVar[tuple[str, ...]] = ()


class GapEntry(_Line):
    """A gap as START and pages hand it over."""

    _ALWAYS: ClassVar[tuple[str, ...]] = ("record_key", "detail_locator")

    gap_id: str = Field(description="names the gap in what is said of it")
    stream: str = Field(description="the stream that misses it")
    record_key: str | int | float | None = Field(
        description="as it was sent, in its own JSON type; null: no one record"
    )
    parent_stream: str | None = Field(default=None, description="as it was sent")
    detail_locator: dict[str, Any] | None = Field(default=None, description="as it was sent")
    status: Literal["pending"] = Field(default="pending", description="always the same")
    reference_only: Literal[True] = Field(default=True, description="always the same")
    lease_id: str = Field(description="a token of this run for this gap")
    scope: dict[str, Any] | None = Field(default=None, description="ours: what is missing, as a scope")
    reason: str | None = Field(default=None, description="ours: why it is missing")


class StreamAsked(_Line):
    """A stream of START's scope."""

    name: str = Field(description="a stream of the manifest")
    resources: list[str] | None = Field(default=None, min_length=1, description="only these; left out: all")
    time_range: dict[str, str] | None = Field(default=None, description="half open: since, until")
    fields: list[str] | None = Field(default=None, description="only these, with key, time and required ones")

    @model_validator(mode="after")
    def _no_wildcard(self) -> StreamAsked:
        if "*" in self.name:
            raise ValueError("name is no wildcard: they are resolved before START")
        return self


class ScopeAsked(_Line):
    """START's scope."""

    streams: list[StreamAsked] = Field(min_length=1, description="the streams that are asked for")


class StartLine(_Line):
    """START: the first line, once."""

    _ALWAYS: ClassVar[tuple[str, ...]] = ("state",)

    type: Literal["START"] = "START"
    run_id: str = Field(description="the run")
    collection_mode: Literal["full_refresh", "incremental"] = Field(
        description="from the beginning, or from the cursors"
    )
    scope: ScopeAsked = Field(description="the streams that are asked for")
    state: dict[str, Any] | None = Field(
        default=None, description="stream to its last committed cursor; null: none yet"
    )
    bindings: dict[str, dict[str, Any]] = Field(description="what there is: browser, filesystem, network, interactive")
    recovery_only: Literal[True] | None = Field(default=None, description="only the gaps are asked for")
    detail_gaps: list[GapEntry] = Field(default=[], description="gaps whose time has come")
    budget: dict[str, float | int] | None = Field(default=None, description="ours: seconds, requests, items")


class PageResponse(_Line):
    """DETAIL_GAPS_PAGE_RESPONSE: the next gaps; none: all are handed over."""

    type: Literal["DETAIL_GAPS_PAGE_RESPONSE"] = "DETAIL_GAPS_PAGE_RESPONSE"
    request_id: str = Field(description="that of the request")
    reference_only: Literal[True] = True
    detail_gaps: list[GapEntry] = Field(description="entries as in START")


class AnswerLine(_Line):
    """INTERACTION_RESPONSE: the owner's answer."""

    type: Literal["INTERACTION_RESPONSE"] = "INTERACTION_RESPONSE"
    request_id: str = Field(description="that of the question")
    status: Literal["success", "cancelled", "timeout"] = Field(description="how it was answered")
    data: dict[str, Any] | None = Field(
        default=None, repr=False, description="on success only, by the question's schema"
    )

    @model_validator(mode="after")
    def _data_on_success(self) -> AnswerLine:
        if self.data is not None and self.status != "success":
            raise ValueError("data comes with success only")
        return self


_ALWAYS_THERE = ("browser", "filesystem", "network")


def start_line(start: Start, manifest: Manifest, gaps: Sequence[GapEntry], *, attended: bool) -> dict[str, Any]:
    """START as its line."""
    bindings = [*_ALWAYS_THERE, *(["interactive"] if attended else []), *manifest.bindings]
    line = StartLine(
        run_id=start.run_id,
        collection_mode=start.collection_mode,
        scope=ScopeAsked(streams=[_asked(scope, manifest) for scope in start.scope.streams]),
        state=start.state,
        bindings={name: {} for name in bindings},
        recovery_only=True if start.recovery_only else None,
        detail_gaps=list(gaps),
        budget=start.budget.model_dump(exclude_none=True) or None,
    ).line()
    return {**line, "state": start.state, "detail_gaps": [gap.line() for gap in gaps]}


def answer_line(answer: InteractionResponse) -> dict[str, Any]:
    """The owner's answer as its line."""
    data = answer.data if answer.status == "success" else None
    return AnswerLine(request_id=answer.request_id, status=answer.status, data=data).line()


def page_line(request_id: str, gaps: Sequence[GapEntry] = ()) -> dict[str, Any]:
    """The answer to a request for more gaps."""
    line = PageResponse(request_id=request_id, detail_gaps=list(gaps)).line()
    return {**line, "detail_gaps": [gap.line() for gap in gaps]}


def encoded(line: Mapping[str, Any]) -> bytes:
    """A line in bytes. ASCII, so that a lone surrogate in a cursor goes back as it came."""
    return json.dumps(line, ensure_ascii=True).encode()


def _asked(scope: StreamScope, manifest: Manifest) -> StreamAsked:
    declared = manifest.stream(scope.name)
    always = () if declared is None else declared.always_asked
    takes = (True, True) if declared is None else (declared.takes_resources, declared.takes_time_range)
    period = scope.time_range.model_dump(exclude_none=True) if scope.time_range and takes[1] else None
    return StreamAsked(
        name=scope.name,
        resources=(scope.resources or None) if takes[0] else None,
        time_range=period or None,
        fields=None if scope.fields is None else list(dict.fromkeys([*scope.fields, *always])),
    )
