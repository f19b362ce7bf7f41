"""Ways to share one rate among processes through Redis: ours, and libraries as their documentation uses them."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

from redis import Redis

from pdpp_worker.pacing.bucket import Bucket, connect

Acquire = Callable[[], None]
"""Returns when the caller may send."""
TIMEOUT_S = 60.0


def ping(url: str, key: str, per_s: float) -> Acquire:  # noqa: ARG001 - it limits nothing
    """The limit of every other one: a bare round trip."""
    redis = Redis.from_url(url, protocol=2)

    def acquire() -> None:
        redis.ping()

    return acquire


def ours(url: str, key: str, per_s: float) -> Acquire:
    """The bucket that is asked at the instant of a send; `key` is hexadecimal."""
    bucket = Bucket(connect(url, TIMEOUT_S), int(key[:7], 16))
    interval_ms = 1000 / per_s

    def acquire() -> None:
        while (delay := bucket.take(interval_ms, interval_ms)) > 0:
            time.sleep(delay)

    return acquire


def throttled_py(url: str, key: str, per_s: float) -> Acquire:
    """throttled-py, GCRA without burst; the caller waits, as the library's own wait is never shorter than 0.2 s."""
    from throttled import RateLimiterType, Throttled, rate_limiter, store

    throttle = Throttled(
        using=RateLimiterType.GCRA.value,
        quota=rate_limiter.per_sec(int(per_s), burst=1),
        store=store.RedisStore(server=url),
    )

    def acquire() -> None:
        while (result := throttle.limit(key)).limited:
            time.sleep(result.state.retry_after)

    return acquire


def limits(url: str, key: str, per_s: float) -> Acquire:
    """limits, moving window; a caller that is refused asks when the window has room."""
    from limits import RateLimitItemPerSecond
    from limits.storage import RedisStorage
    from limits.strategies import MovingWindowRateLimiter

    limiter, item = MovingWindowRateLimiter(RedisStorage(url)), RateLimitItemPerSecond(int(per_s))

    def acquire() -> None:
        while not limiter.hit(item, key):
            time.sleep(max(0.001, limiter.get_window_stats(item, key).reset_time - time.time()))

    return acquire


def pyrate_limiter(url: str, key: str, per_s: float) -> Acquire:
    """pyrate-limiter, its Redis bucket."""
    from pyrate_limiter import Duration, Limiter, Rate, RedisBucket

    limiter = Limiter(RedisBucket.init([Rate(int(per_s), Duration.SECOND)], Redis.from_url(url), key))

    def acquire() -> None:
        limiter.try_acquire(key)

    return acquire


def steindamm(url: str, key: str, per_s: float) -> Acquire:
    """steindamm, a token bucket of one."""
    from steindamm import SyncRedisTokenBucket

    bucket = SyncRedisTokenBucket(
        connection=Redis.from_url(url), name=key, capacity=1, refill_frequency=1 / per_s, max_sleep=TIMEOUT_S
    )

    def acquire() -> None:
        with bucket:
            pass

    return acquire


LIMITERS = {
    "PING": ping,
    "ours": ours,
    "throttled-py": throttled_py,
    "limits": limits,
    "pyrate-limiter": pyrate_limiter,
    "steindamm": steindamm,
}
_MODULES = {
    "throttled-py": "throttled",
    "limits": "limits",
    "pyrate-limiter": "pyrate_limiter",
    "steindamm": "steindamm",
}


def installed() -> list[str]:
    """The names of those that can be measured here."""
    return [name for name in LIMITERS if name not in _MODULES or find_spec(_MODULES[name])]
