"""Makes the pacer of one slice."""

from __future__ import annotations

from contextlib import ExitStack

from redis import Redis

from pdpp_worker import metrics
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.intervals import recovery_interval_ms
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.limits import SliceLimits
from pdpp_worker.runtime.rate_keeper import RateKeeper
from pdpp_worker.store.run_slices import Slice

KNOWN_FAILURES_WEIGH = 0.25
"""Weight of a failure while gaps are retried: what failed before may well fail again, whatever the provider's state."""


def make_pacer(
    redis: Redis,
    claimed: Slice,
    manifest: Manifest,
    rate: RateKeeper,
    limits: SliceLimits,
    clients: ExitStack,
    *,
    walks: bool,
) -> Pacer:
    """Make the pacer; what it learns is kept when `clients` are closed. The manifest may slow down retries of gaps."""
    row, ceiling_ms = claimed.connection, rate.ceiling_ms
    metrics.CEILING_MS.labels(row.name).set(ceiling_ms)
    pacer = Pacer(
        row.name,
        Bucket(redis, row.id),
        rate.lanes,
        ceiling_ms if walks else recovery_interval_ms(ceiling_ms, ceiling_ms, manifest),
        limits.wait_until,
        rate,
        counts=limits.requests,
        failures_weigh=1.0 if walks else KNOWN_FAILURES_WEIGH,
        resting=limits.heartbeat.resting,
    )

    def close() -> None:
        if limits.requests.sent and not limits.heartbeat.ended:
            rate.save()
            pacer.close()

    clients.callback(close)
    return pacer
