"""The bucket in Redis: hands out the instant at which a request may be sent.

GCRA (ITU-T I.371, generic cell rate algorithm) without burst, in reservation form: one script call per request, on
Redis' own clock, so that waiters neither poll nor overtake each other. Whatever Redis loses costs time, never the
ceiling.
"""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pdpp_worker.errors import PacerUnavailableError

IDLE_MS = 24 * 3600 * 1000
"""How long an unused bucket is kept; a forgotten one costs the next request one interval."""

_HERE = Path(__file__).parent


def connect(url: str, timeout_s: float) -> Redis:
    """A client whose every operation is bounded.

    It never sends a command twice by itself: a reservation whose answer was lost is lost, not doubled.
    """
    return Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), protocol=2
    )


class Bucket:
    """One connection's bucket, shared by every worker."""

    def __init__(self, redis: Redis, connection_id: int) -> None:
        self._key = f"pdpp:pace:{connection_id}"
        self._reserve = redis.register_script((_HERE / "reserve.lua").read_text())
        self._hold = redis.register_script((_HERE / "hold.lua").read_text())

    def reserve(self, interval_ms: float) -> float:
        """Reserve the next instant; returns the seconds until it, counted from this script call.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        return self._call(self._reserve, interval_ms * 1000)

    def hold(self, delay_s: float) -> float:
        """Let nobody send for `delay_s`; returns the seconds that the hold lasts.

        Raises:
            PacerUnavailableError: Redis cannot be reached.
        """
        return self._call(self._hold, delay_s * 1_000_000)

    def _call(self, script: object, amount_us: float) -> float:
        try:
            answer = script(keys=[self._key], args=[f"{amount_us:.0f}", IDLE_MS])  # type: ignore[operator]
        except RedisError as error:
            raise PacerUnavailableError(
                f"The pacing server cannot be reached ({type(error).__name__}), so no request is sent. "
                "Check PDPP_REDIS_URL."
            ) from error
        return int(answer) / 1_000_000
