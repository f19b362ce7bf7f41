"""What the law leaves from one run to the next, as it is kept: checked before any of it is believed.

Seconds and requests/s; instants as seconds ago. Every number is finite.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSION = 1
SLOWEST = 1 / 3600
"""A provider that refuses one request an hour does not refuse for the rate."""
_FASTEST = 1000.0
_LONGEST_HOLD_S = 86400.0
_MOST = 1_000_000_000

Rate = Annotated[float, Field(ge=SLOWEST, le=_FASTEST)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, le=_MOST)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class BucketSnapshot(_Checked):
    """Of a token bucket; `from_full` are the admissions since it was last full, and the refusal that ended them."""

    rate: Rate
    burst: Annotated[int, Field(ge=1, le=_MOST)]
    cuts: Annotated[float, Field(ge=1, le=_MOST)]
    probed: bool
    level: Seconds
    count: Count
    empty_ago: Seconds | None
    from_full: Annotated[tuple[list[Seconds], Seconds], Field(strict=False)] | None


class WindowSnapshot(_Checked):
    """Of a minute's budget; its next reset may be ahead, so that `reset_ago` may be negative."""

    limit: Annotated[int, Field(ge=1, le=_MOST)]
    reset_ago: float | None
    width: Seconds
    doubts: Count


class Snapshot(_Checked):
    """Of the controller."""

    version: Literal[1]
    bucket: BucketSnapshot
    window: WindowSnapshot | None
    admitted_ago: list[Seconds]
    refused_ago: list[Seconds]
    sent_ago: Seconds | None
    held_s: Annotated[float, Field(ge=0, le=_LONGEST_HOLD_S)]
    wary: bool
    throttled: bool
    successes: Count
    patience: Count

    @model_validator(mode="after")
    def _refused_if_throttled(self) -> Self:
        if (self.wary or self.throttled) and not self.refused_ago:
            raise ValueError("a rate that was refused without a refusal")
        return self
