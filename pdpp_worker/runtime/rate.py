"""What is learned about a connection's rate, from one slice to the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.store import rates
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import Database
from pdpp_worker.store.events import Event


class RateKeeper:
    """Restores the law when a slice begins and keeps it when it ends, and at once when the provider refuses."""

    def __init__(
        self,
        db: Database,
        claim: Claim,
        *,
        ceiling_ms: float,
        cold_start_ms: float,
        emit: Callable[[Event], None],
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._claim = claim
        self._ceiling_ms = ceiling_ms
        self._emit = emit
        self._now = now
        self.law = Lanes(ceiling_ms, cold_start_ms)
        with db.begin() as connection:
            held = rates.load(connection, claim.connection_id)
        self._back_off: dict[str, Any] | None = None
        if held is None:
            return
        notes = held.state if isinstance(held.state, dict) else {}
        if self.law.restore(notes.get("law"), time.monotonic(), held.age_s):
            self._back_off = notes.get("back_off")
        else:  # Another version's notes: slower for a while is better than a run that cannot begin.
            get_logger().warning("learned rate not readable; starting cold", run=claim.run_id)

    def __call__(self, why: str, retry_after_s: float | None) -> None:
        """The law backed off: keep it now, so that a worker that dies takes no refusal with it."""
        at = self._now().isoformat(timespec="milliseconds")
        self._back_off = {"at": at, "why": why, "retry_after_s": retry_after_s}
        state = self._state()
        self._emit(("collection_rate", None, {name: state[name] for name in ("interval_ms", "ceiling_ms", "back_off")}))
        self.save()

    def save(self) -> None:
        """Keep what was learned.

        Raises:
            LeaseLostError: another worker holds the connection.
        """
        try:
            with self._db.begin() as connection:
                rates.save(connection, self._claim, self._state())
        except DBAPIError as error:
            get_logger().warning("rate not kept", run=self._claim.run_id, error=type(error).__name__)

    def _state(self) -> dict[str, Any]:
        now = time.monotonic()
        quota = self.law.quota_per_s
        return {
            "law": self.law.snapshot(now),
            "interval_ms": round(self.law.interval_ms(now), 1),
            "ceiling_ms": self._ceiling_ms,
            "quota_per_minute": None if quota is None else round(quota * 60, 1),
            "back_off": self._back_off,
            "hold": self._hold(now),
        }

    def _hold(self, now: float) -> dict[str, str] | None:
        hold = self.law.hold(now)
        if hold is None:
            return None
        until = self._now() + timedelta(seconds=hold.until - now)
        return {"until": until.isoformat(timespec="milliseconds"), "reason": hold.reason}
