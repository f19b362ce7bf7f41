"""The pacer of one slice: its ceiling, what was learned of the rate, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from redis import Redis

from pdpp_worker import metrics
from pdpp_worker.clock import going_on_from
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.intervals import recovery_interval_ms
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.rate import RateKeeper
from pdpp_worker.runtime.values import ceiling_ms
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.store.events import Event
from pdpp_worker.store.runs import Slice


def make_pacer(
    settings: Settings,
    db: Database,
    redis: Redis,
    claimed: Slice,
    manifest: Manifest,
    *,
    walks: bool,
    failures_weigh: float,
    emit: Callable[[Event], None],
    wait_until: Callable[[float, Hold | None], None],
    clients: ExitStack,
) -> Pacer:
    """Make it; what it learns is kept when `clients` are closed. The manifest may slow down what goes back for gaps."""
    row = claimed.connection
    ceiling = ceiling_ms(settings, manifest, row)
    floor = ceiling if walks else recovery_interval_ms(ceiling, ceiling, manifest)
    metrics.CEILING_MS.labels(row.name).set(ceiling)
    keeper = RateKeeper(
        db,
        claimed.claim,
        ceiling_ms=ceiling,
        cold_start_ms=settings.pacing_cold_start_ms,
        emit=emit,
        now=going_on_from(claimed.now),
    )
    bucket = Bucket(redis, row.id)
    pacer = Pacer(row.name, bucket, keeper.law, floor, wait_until, keeper, failures_weigh=failures_weigh)

    def close() -> None:
        if pacer.sent:
            keeper.save()
            pacer.close()

    clients.callback(close)
    return pacer
