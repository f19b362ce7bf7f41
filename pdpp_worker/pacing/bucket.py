"""The bucket in Redis: hands out the instant at which a request may be sent.

GCRA (ITU-T I.371, generic cell rate algorithm) without burst, in reservation form: one script call per request, on
Redis' own clock, so that waiters neither poll nor overtake each other. Whatever Redis loses costs time, never the
ceiling.
"""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from pdpp_worker.errors import PacerUnavailableError

IDLE_MS = 24 * 3600 * 1000
"""How long an unused bucket is kept; a forgotten one costs the next request one interval."""


def connect(url: str, timeout_s: float) -> Redis:
    """A client whose every operation is bounded.

    It never sends a command twice by itself: a reservation whose answer was lost is lost, not doubled.
    """
    return Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), protocol=2
    )


class Script:
    """A Lua script that the server keeps by its digest, and is sent again when it forgot it."""

    def __init__(self, redis: Redis, file: str) -> None:
        self._redis = redis
        self._text = (Path(__file__).parent / file).read_text()
        self._sha = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, *keys_and_arguments: str | int, keys: int) -> int:
        """Run it on `keys` keys and the arguments that follow them; returns the µs that it answers.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        try:
            return int(self._answer(keys, keys_and_arguments))
        except RedisError as error:
            raise PacerUnavailableError(
                f"The pacing server cannot be reached ({type(error).__name__}), so no request is sent. "
                "Check PDPP_REDIS_URL."
            ) from error

    def _answer(self, keys: int, keys_and_arguments: tuple[str | int, ...]) -> Any:
        try:
            return self._redis.evalsha(self._sha, keys, *keys_and_arguments)
        except NoScriptError:
            return self._redis.eval(self._text, keys, *keys_and_arguments)


class Bucket:
    """One connection's bucket, shared by every worker."""

    def __init__(self, redis: Redis, connection_id: int) -> None:
        self._last, self._held = (f"pdpp:pace:{{{connection_id}}}:{part}" for part in ("last", "hold"))
        self._reserve = Script(redis, "reserve.lua")
        self._hold = Script(redis, "hold.lua")

    def reserve(self, interval_ms: float) -> float:
        """Reserve the next instant; returns the seconds until it, counted from this script call.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        return self._reserve(self._last, self._held, f"{interval_ms * 1000:.0f}", IDLE_MS, keys=2) / 1_000_000

    def hold(self, delay_s: float) -> float:
        """Let nobody send for `delay_s`; returns the seconds that the hold lasts.

        Raises:
            PacerUnavailableError: Redis cannot be reached.
        """
        return self._hold(self._held, f"{delay_s * 1_000_000:.0f}", keys=1) / 1_000_000
