"""Keeps what is learned about a connection's rate from one slice to the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker.clock import going_on_from
from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.intervals import cold_start_ms
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.connection_values import ceiling_ms, with_defaults
from pdpp_worker.settings import Settings
from pdpp_worker.store import rates
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database
from pdpp_worker.store.events import Event
from pdpp_worker.store.run_slices import Slice

SAVED_SHARE = 0.01
"""Of the day's bytes, the share that is received between two saves."""


class RateKeeper:
    """Restores the rate model when a slice begins; saves it when it ends, and at once when the provider refuses."""

    def __init__(
        self,
        db: Database,
        claim: Claim,
        *,
        ceiling_ms: float,
        cold_start_ms: float,
        emit: Callable[[Event], None],
        now: Callable[[], datetime],
        daily_bytes: int | None = None,
    ) -> None:
        self._db = db
        self._claim = claim
        self.ceiling_ms = ceiling_ms
        self._emit = emit
        self._now = now
        self.lanes = Lanes(ceiling_ms, cold_start_ms, daily_bytes=daily_bytes)
        self._unsaved_bytes = 0
        with db.glance() as connection:
            held = rates.load(connection, claim.connection_id)
        self._back_off: dict[str, Any] | None = None
        if held is None:
            return
        notes = held.state if isinstance(held.state, dict) else {}
        if self.lanes.restore(notes.get("law"), time.monotonic(), held.age_s):
            self._back_off = notes.get("back_off")
        else:  # Another version's notes: slower for a while is better than a run that cannot begin.
            get_logger().warning("learned rate not readable; starting cold", run=claim.run_id)

    def __call__(self, why: str, retry_after_s: float | None) -> None:
        """Save at once that the rate model backed off, so that no refusal is lost with a worker that dies."""
        at = self._now().isoformat(timespec="milliseconds")
        self._back_off = {"at": at, "why": why, "retry_after_s": retry_after_s}
        state = self.state()
        self._emit(("collection_rate", None, {name: state[name] for name in ("interval_ms", "ceiling_ms", "back_off")}))
        self.save()

    def received(self, count: int) -> None:
        """Count bytes that came; saved now and then, so that few are forgotten with a worker that dies."""
        day = self.lanes.day
        day.on_received(time.monotonic(), count)
        self._unsaved_bytes += count
        if day.most is not None and self._unsaved_bytes > day.most * SAVED_SHARE:
            self.save()

    def save(self) -> None:
        """Keep what was learned.

        Raises:
            LeaseLostError: another worker holds the connection.
        """
        self._unsaved_bytes = 0
        try:
            state = self.state()
            self._db.transact(lambda connection: rates.save(connection, self._claim, state))
        except SQLAlchemyError as error:
            get_logger().warning("rate not kept", run=self._claim.run_id, error=type(error).__name__)

    def state(self) -> dict[str, Any]:
        """All that was learned, as it is kept."""
        now = time.monotonic()
        lanes = {name: self._lane(name, now) for name in self.lanes.names()}
        slowest = max(lanes.values(), key=lambda lane: lane["interval_ms"], default=self._lane("", now))
        return {
            **slowest,
            "law": self.lanes.snapshot(now),
            "ceiling_ms": self.ceiling_ms,
            "back_off": self._back_off,
            "hold": min((lane["hold"] for lane in lanes.values()), key=_until, default=None),
            "lanes": {name: lane for name, lane in lanes.items() if name},
            **({"day": self.lanes.day.told(now)} if self.lanes.day.most is not None else {}),
        }

    def _lane(self, name: str, now: float) -> dict[str, Any]:
        quota, hold = self.lanes.quota_per_s(name), self.lanes.hold(now, name)
        return {
            "interval_ms": round(self.lanes.interval_ms(now, name), 1),
            "quota_per_minute": None if quota is None else round(quota * 60, 1),
            "hold": None if hold is None else self._told(hold, now),
        }

    def _told(self, hold: Hold, now: float) -> dict[str, str]:
        until = self._now() + timedelta(seconds=hold.until - now)
        return {"until": until.isoformat(timespec="milliseconds"), "reason": hold.reason}


def rate_keeper(
    settings: Settings, db: Database, claimed: Slice, manifest: Manifest, *, emit: Callable[[Event], None]
) -> RateKeeper:
    """The keeper of a slice, with its connection's ceiling."""
    limit = manifest.pacing.daily_bytes_of(with_defaults(manifest.settings, claimed.connection.settings))
    return RateKeeper(
        db,
        claimed.claim,
        ceiling_ms=ceiling_ms(settings, manifest, claimed.connection),
        cold_start_ms=cold_start_ms(settings, manifest),
        emit=emit,
        now=going_on_from(claimed.now),
        daily_bytes=None if limit is None else limit.most,
    )


def _until(hold: dict[str, str] | None) -> str:
    """When a lane is free; a connection is held until the first of its lanes is."""
    return "" if hold is None else hold["until"]
