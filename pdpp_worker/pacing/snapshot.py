"""The state that the rate model leaves from one run to the next: checked before any of it is used.

Seconds and requests/s; instants as seconds ago. Every number is finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 2
SLOWEST = 1 / 3600
"""A provider that refuses one request an hour does not refuse for the rate."""
LONGEST_HOLD_S = 86400.0
_FASTEST = 1000.0
_MOST = 1_000_000_000

Rate = Annotated[float, Field(ge=SLOWEST, le=_FASTEST)]
Seconds = Annotated[float, Field(ge=0)]
Wait = Annotated[float, Field(ge=0, le=LONGEST_HOLD_S)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Some = Annotated[int, Field(ge=1, le=_MOST)]


def ago(now: float, at: float) -> float:
    """How long ago it was, s, to the millisecond; never less than nothing, should the clock have gone back."""
    return max(0.0, round(now - at, 3))


def ahead(now: float, until: float) -> float:
    """How long it is still to be waited for, s."""
    return min(max(0.0, until - now), LONGEST_HOLD_S)


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class BucketSnapshot(_Checked):
    """A token bucket; `from_full` are the admissions since it was last full, and the refusal that ended them."""

    rate: Rate
    burst: Some
    level: Seconds
    level_ago: Seconds | None
    count: Count
    empty_ago: Seconds | None
    from_full: Annotated[tuple[list[Seconds], Seconds], Field(strict=False)] | None


class WindowSnapshot(_Checked):
    """The state of a window's budget; its next reset may be ahead, so that `reset_ago` may be negative."""

    limit: Some
    length: Annotated[float, Field(ge=1, le=LONGEST_HOLD_S)]
    reset_ago: float | None
    width: Seconds
    doubts: Count


class ProbingSnapshot(_Checked):
    """The place between two probes."""

    throttled: bool
    successes: Count
    patience: Count
    doubt_s: Wait


class SlowingSnapshot(_Checked):
    """The state of refusals without probing; `spans` are admissions and the time that they took."""

    spans: list[Annotated[tuple[Count, Annotated[float, Field(gt=0)]], Field(strict=False)]]
    close: Count
    ask: Some
    peak: Annotated[float, Field(ge=0, le=_FASTEST)]
    best: Annotated[float, Field(ge=0, le=_FASTEST)]
    best_ago: Seconds


class ModelSnapshot(_Checked):
    """Checks the estimate of the provider."""

    bucket: BucketSnapshot
    window: WindowSnapshot | None
    probing: ProbingSnapshot
    slowing: SlowingSnapshot
    probed: bool
    told_s: float | None
    refused_ago: list[Seconds]
    shut_s: Wait


class AnnouncementSnapshot(_Checked):
    """The state of what was announced."""

    remaining: Count
    reset_s: Wait
    agreed: Count
    needed: Count


class OutageSnapshot(_Checked):
    """The state of failures in a row."""

    in_a_row: Count
    evidence: Annotated[float, Field(ge=0, le=_MOST)]
    lasted_s: Seconds
    held_s: Wait


class LaneSnapshot(_Checked):
    """Checks the state of one lane; `before` is the estimate before the refusals in a row."""

    model: ModelSnapshot
    before: ModelSnapshot | None
    announcement: AnnouncementSnapshot
    admitted_ago: list[Seconds]
    sent_ago: Seconds | None
    asked_s: Wait
    refusals: OutageSnapshot


class SharedSnapshot(_Checked):
    """The state that the lanes of a connection have in common."""

    refused_ago: list[Seconds]
    failures: OutageSnapshot
    received_ago: list[Annotated[tuple[Seconds, Seconds, Annotated[int, Field(ge=0)]], Field(strict=False)]] = []
    """Bytes of the last day: from and to, and how many."""


class Snapshot(_Checked):
    """The state of a connection: its lanes by name."""

    version: Literal[2]
    shared: SharedSnapshot
    lanes: dict[str, LaneSnapshot]


def read(kept: object) -> Snapshot:
    """Check a snapshot, of this version or of the first.

    Raises:
        ValueError: it cannot be read.
    """
    if isinstance(kept, Mapping) and kept.get("version") == 1:
        try:
            kept = _from_version_1(kept)
        except (KeyError, TypeError) as error:
            raise ValueError("no snapshot of version 1") from error
    return Snapshot.model_validate(kept)


def _from_version_1(kept: Mapping[str, Any]) -> dict[str, Any]:
    """One rate for the whole connection, one wait whatever its reason, and windows of a minute only."""
    quiet = {"in_a_row": 0, "evidence": 0.0, "lasted_s": 0.0, "held_s": 0.0}
    lane = {
        "model": _model_from_version_1(kept),
        "before": None,
        "announcement": {"remaining": 0, "reset_s": 0.0, "agreed": 0, "needed": 0},
        "admitted_ago": kept["admitted_ago"],
        "sent_ago": kept["sent_ago"],
        "asked_s": min(kept["held_s"], LONGEST_HOLD_S),
        "refusals": quiet,
    }
    return {
        "version": VERSION,
        "shared": {"refused_ago": kept["refused_ago"], "failures": quiet},
        "lanes": {"": lane},
    }


def _model_from_version_1(kept: Mapping[str, Any]) -> dict[str, Any]:
    bucket = {name: value for name, value in kept["bucket"].items() if name not in ("cuts", "probed")}
    bucket["level_ago"] = 0.0
    window = kept["window"]
    return {
        "bucket": bucket,
        "window": None if window is None else {"length": 60.0, **window},
        "probing": {
            "throttled": kept["throttled"],
            "successes": kept["successes"],
            "patience": kept["patience"],
            "doubt_s": 60.0 if kept["wary"] else 0.0,
        },
        "slowing": {"spans": [], "close": 0, "ask": 5, "peak": 0.0, "best": 0.0, "best_ago": 0.0},
        "probed": kept["bucket"]["probed"],
        "told_s": None,
        "refused_ago": [],
        "shut_s": 0.0,
    }
