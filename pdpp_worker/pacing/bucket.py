"""The bucket in Redis: says at the instant of a send whether the request may go out.

GCRA (generic cell rate algorithm, ITU-T I.371, virtual scheduling) without burst tolerance, on Redis' own clock. It
remembers requests that went out and holds, never plans: whoever waits and gives up leaves nothing behind. A bucket that
is lost costs one interval, and an instant that cannot be one is taken for lost.
"""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Any, cast

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from pdpp_worker import sentinel
from pdpp_worker.errors import PacerUnavailableError

IDLE_MS = 24 * 3600 * 1000
"""How long an unused bucket is kept; a forgotten one costs the next request one interval."""
LONGEST_HOLD_S = 24 * 3600.0
"""A hold that lies further ahead is a mistake, of a clock or of another program, and is ignored."""

CONNECTIONS = 32
"""Connections of one process: each is needed for a moment, and who finds none waits for one."""


def connect(url: str, timeout_s: float) -> Redis:
    """A client whose every operation is bounded.

    It never sends a command twice by itself: a turn whose answer was lost is lost, not taken twice.
    """
    bounds: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "protocol": 2}
    once = Retry(NoBackoff(), 0)
    if not sentinel.is_sentinel(url):
        pool = BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=timeout_s, retry=once, **bounds
        )
        return Redis(connection_pool=pool)
    watched = sentinel.read(url)
    account = {"username": watched.username, "password": watched.password}
    sentinels: Any = Sentinel(watched.sentinels, sentinel_kwargs=bounds, retry=once, **bounds)  # type: ignore[no-untyped-call]
    return cast("Redis", sentinels.master_for(watched.master, db=watched.database, **account))


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
    """One connection's bucket, shared by every worker. A lane is a group of requests with a rate of its own."""

    def __init__(self, redis: Redis, connection_id: int | str) -> None:
        """`connection_id`: the connection's, or a name for accounts that are tried before they are stored."""
        self._redis = redis
        self._name = f"pdpp:pace:{{{connection_id}}}"
        self._take = Script(redis, "take.lua")
        self._hold = Script(redis, "hold.lua")

    def take(self, spacing_ms: float, ceiling_ms: float, lane: str = "") -> float:
        """Take the turn of a request that goes out now, `spacing_ms` after the last of its lane at the earliest.

        `ceiling_ms` holds against the last request of any lane. Returns 0 when it may go out; else the seconds after
        which to ask again, `spacing_ms` at most unless a hold is in force.

        Raises:
            PacerUnavailableError: Redis cannot be reached; no request may be sent.
        """
        keys = [self._key(part, one) for part in ("last", "hold") for one in ("", lane)]
        times = [_micros(seconds) for seconds in (ceiling_ms / 1000, spacing_ms / 1000, LONGEST_HOLD_S)]
        return self._take(*keys, *times, IDLE_MS, keys=len(keys)) / 1_000_000

    def hold(self, delay_s: float, lane: str = "") -> float:
        """Let no request out for `delay_s`, or none of the lane; returns the seconds that the hold lasts.

        Raises:
            PacerUnavailableError: Redis cannot be reached.
        """
        return self._hold(self._key("hold", lane), _micros(delay_s), _micros(LONGEST_HOLD_S), keys=1) / 1_000_000

    def forget(self) -> None:
        """Drop the bucket of a connection that is gone; raises RedisError."""
        if keys := list(self._redis.scan_iter(match=f"{self._name}:*", count=1000)):
            self._redis.delete(*keys)

    def _key(self, part: str, lane: str = "") -> str:
        return f"{self._name}:{part}:{lane}" if lane else f"{self._name}:{part}"


def _micros(seconds: float) -> str:
    return f"{seconds * 1_000_000:.0f}"
