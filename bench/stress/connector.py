"""A connector whose items are numbers, and that does everything that a connector may do, by chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from pdpp_worker import registry
from pdpp_worker.connector import (
    AuthExpired,
    Collect,
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Record,
    ResourceScope,
    Start,
    State,
    UpstreamError,
)
from pdpp_worker.protocol.manifest import Manifest

NAME = "stress"
REASONS = ("rate_limited", "timed_out", "template_unknown", "credentials_expired")
MANIFEST = Manifest.model_validate(
    {
        "name": NAME,
        "version": "1.0.0",
        "title": "Stress",
        "checkpoint_commit": "incremental",
        "streams": [{"name": "items"}],
        "recovery": {"supports_targeted_resource_fetch": True, "supports_version_bumped_retry": True},
        "credentials": {"token": {"title": "Token", "required": False}},
    }
)


class Died(BaseException):
    """The worker is gone, with its lease held."""


@dataclass(frozen=True)
class Stress(registry.Connector):
    """The connector, as it is installed."""

    collect: Collect = None  # type: ignore[assignment]

    def load(self) -> Collect:
        return self.collect


def stress(seed: int) -> Stress:
    """The connector; what happens follows from `seed` and the order of events."""
    chance = Random(seed)

    def collect(start: Start, _: Context) -> Iterator[Message]:
        yield from recover(start, chance) if start.recovery_only else walk(start, chance)

    return Stress(MANIFEST, NAME, collect)


def walk(start: Start, chance: Random) -> Iterator[Message]:
    """Some more numbers, each as a record or as a miss; behind each its cursor, and at times an end."""
    place = start.cursor("items") or 0
    for number in range(place + 1, place + chance.randint(2, 12)):
        missed = chance.random() < 0.2
        reason = chance.choice(REASONS)
        yield DetailGap(stream="items", record_key=str(number), reason=reason) if missed else item(number)
        yield State(stream="items", cursor=number)
        maybe_end(chance)


def recover(start: Start, chance: Random) -> Iterator[Message]:
    """Each gap is healed, missed again, said not to exist, or passed over."""
    for gap in start.detail_gaps:
        assert isinstance(gap.scope, ResourceScope)
        key, luck = gap.scope.resource_id, chance.random()
        if luck < 0.5:
            yield item(int(key))
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=key)
        elif luck < 0.7:
            yield DetailGap(stream="items", record_key=key, reason=chance.choice(REASONS), gap_id=gap.gap_id)
        elif luck < 0.75:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=key, absent=True)
        maybe_end(chance)


def maybe_end(chance: Random) -> None:
    """Now and then a walk breaks, a sign-in expires, or a worker dies."""
    luck = chance.random()
    if luck < 0.01:
        raise Died
    if luck < 0.02:
        raise AuthExpired("401")
    if luck < 0.03:
        raise UpstreamError("503")


def item(number: int) -> Record:
    """The record of a number."""
    return Record(stream="items", key=str(number), data={"n": number}, emitted_at=datetime(2026, 1, 1, tzinfo=UTC))
