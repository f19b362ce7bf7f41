"""What the law leaves from one run to the next, as it is kept: checked before any of it is believed.

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
    """Of a token bucket; `from_full` are the admissions since it was last full, and the refusal that ended them."""

    rate: Rate
    burst: Some
    cuts: Annotated[float, Field(ge=1, le=_MOST)]
    probed: bool
    level: Seconds
    count: Count
    empty_ago: Seconds | None
    from_full: Annotated[tuple[list[Seconds], Seconds], Field(strict=False)] | None


class WindowSnapshot(_Checked):
    """Of a window's budget; its next reset may be ahead, so that `reset_ago` may be negative."""

    limit: Some
    reset_ago: float | None
    width: Seconds
    doubts: Count


class ModelSnapshot(_Checked):
    """Of what is believed of the provider."""

    bucket: BucketSnapshot
    window: WindowSnapshot | None
    throttled: bool
    wary: bool
    successes: Count
    patience: Count
    shut_s: Wait


class OutageSnapshot(_Checked):
    """Of failures in a row."""

    in_a_row: Count
    lasted_s: Seconds
    held_s: Wait


class LaneSnapshot(_Checked):
    """Of one lane; `before` is what was believed before the refusals in a row."""

    model: ModelSnapshot
    before: ModelSnapshot | None
    admitted_ago: list[Seconds]
    sent_ago: Seconds | None
    asked_s: Wait
    refusals: OutageSnapshot


class SharedSnapshot(_Checked):
    """Of what the lanes of a connection have in common."""

    refused_ago: list[Seconds]
    failures: OutageSnapshot


class Snapshot(_Checked):
    """Of a connection: its lanes by name."""

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
    """One rate for the whole connection, and one wait whatever its reason."""
    quiet = {"in_a_row": 0, "lasted_s": 0.0, "held_s": 0.0}
    learned = ("bucket", "window", "throttled", "wary", "successes", "patience")
    lane = {
        "model": {name: kept[name] for name in learned} | {"shut_s": 0.0},
        "before": None,
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
