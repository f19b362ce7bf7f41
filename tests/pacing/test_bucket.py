"""The bucket on a real server: instants are spaced by the interval, whatever happens."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from pdpp_worker.embedded import EmbeddedServers
from pdpp_worker.errors import PacerUnavailableError
from pdpp_worker.pacing.bucket import IDLE_MS, Bucket, connect
from tests.support.waiting import PATIENCE_S

INTERVAL_S = 600.0
"""So long that the time which a test itself takes is nothing beside it."""

_numbers = itertools.count(1)
_PROGRAM = """
import json, sys
from pdpp_worker.pacing.bucket import Bucket, connect
bucket = Bucket(connect(sys.argv[1], 5.0), int(sys.argv[2]))
print(json.dumps([bucket.reserve(float(sys.argv[3])) for _ in range(25)]))
"""


@pytest.fixture
def connection_id() -> int:
    """A connection that nobody paced before."""
    return next(_numbers)


@pytest.fixture
def bucket(redis: Redis, connection_id: int) -> Bucket:
    """Its bucket."""
    return Bucket(redis, connection_id)


def stored(redis: Redis, connection_id: int, field: str) -> int:
    """A field of the bucket, µs of the server's clock."""
    return int(redis.get(f"pdpp:pace:{{{connection_id}}}:{field}"))  # type: ignore[arg-type]


def left_s(redis: Redis, connection_id: int, field: str) -> float:
    """How long the server keeps a field of the bucket, s."""
    return redis.pttl(f"pdpp:pace:{{{connection_id}}}:{field}") / 1000  # type: ignore[operator]


def slot(delay_s: float) -> int:
    """Which interval from now an instant is."""
    return round(delay_s / INTERVAL_S)


def test_reservations_are_spaced_exactly_by_the_interval(redis: Redis, bucket: Bucket, connection_id: int) -> None:
    instants = []
    for _ in range(50):
        bucket.reserve(INTERVAL_S * 1000)
        instants.append(stored(redis, connection_id, "last"))

    assert {later - earlier for earlier, later in pairwise(instants)} == {int(INTERVAL_S * 1_000_000)}


def test_what_the_script_answers_is_the_time_until_the_instant(bucket: Bucket) -> None:
    assert [slot(bucket.reserve(INTERVAL_S * 1000)) for _ in range(20)] == list(range(1, 21))


def test_sixteen_processes_never_share_an_instant(
    servers: EmbeddedServers, redis: Redis, bucket: Bucket, connection_id: int
) -> None:
    bucket.reserve(INTERVAL_S * 1000)
    first = stored(redis, connection_id, "last")
    arguments = [sys.executable, "-c", _PROGRAM, servers.redis_url, str(connection_id), str(INTERVAL_S * 1000)]
    workers = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(16)]

    told = [json.loads(worker.communicate(timeout=PATIENCE_S)[0]) for worker in workers]

    slots = [[slot(delay) for delay in delays] for delays in told]
    assert sorted(itertools.chain(*slots)) == list(range(2, 402))
    assert all(mine == sorted(mine) for mine in slots)
    assert stored(redis, connection_id, "last") == first + 400 * int(INTERVAL_S * 1_000_000)


@given(st.lists(st.integers(1, 3600), min_size=2, max_size=12))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_interval_that_changes_holds_from_the_instant_before(redis: Redis, intervals: list[int]) -> None:
    connection_id = next(_numbers)
    bucket = Bucket(redis, connection_id)
    bucket.reserve(INTERVAL_S * 1000)
    instants = [stored(redis, connection_id, "last")]
    for seconds in intervals:
        bucket.reserve(seconds * 1000)
        instants.append(stored(redis, connection_id, "last"))

    gaps = [later - earlier for earlier, later in pairwise(instants)]
    assert gaps == [seconds * 1_000_000 for seconds in intervals]


def test_a_bucket_that_was_lost_costs_one_whole_interval(redis: Redis, bucket: Bucket) -> None:
    bucket.reserve(1.0)
    redis.flushall()

    assert bucket.reserve(INTERVAL_S * 1000) == INTERVAL_S


def test_a_bucket_that_rested_lets_the_next_one_go_at_once(redis: Redis, bucket: Bucket, connection_id: int) -> None:
    bucket.reserve(INTERVAL_S * 1000)
    redis.set(f"pdpp:pace:{{{connection_id}}}:last", 1)

    assert bucket.reserve(INTERVAL_S * 1000) == 0.0
    assert slot(bucket.reserve(INTERVAL_S * 1000)) == 1


def test_scripts_that_the_server_forgot_are_sent_again(redis: Redis, bucket: Bucket) -> None:
    bucket.reserve(INTERVAL_S * 1000)
    redis.script_flush()

    assert slot(bucket.reserve(INTERVAL_S * 1000)) == 2
    redis.script_flush()
    assert slot(bucket.hold(7 * INTERVAL_S)) == 7


def test_connections_do_not_wait_for_each_other(redis: Redis) -> None:
    one, other = Bucket(redis, next(_numbers)), Bucket(redis, next(_numbers))
    for _ in range(5):
        one.reserve(INTERVAL_S * 1000)
    one.hold(100 * INTERVAL_S)

    assert slot(other.reserve(INTERVAL_S * 1000)) == 1


class TestHold:
    """A pause that the provider asked for."""

    def test_lets_nobody_send_before_it_is_over(self, bucket: Bucket) -> None:
        bucket.hold(10 * INTERVAL_S)

        assert [slot(bucket.reserve(INTERVAL_S * 1000)) for _ in range(3)] == [10, 11, 12]

    def test_is_not_added_to_the_interval(self, bucket: Bucket) -> None:
        for _ in range(5):
            bucket.reserve(INTERVAL_S * 1000)
        bucket.hold(3 * INTERVAL_S)

        assert slot(bucket.reserve(INTERVAL_S * 1000)) == 6

    def test_the_longest_one_stands(self, bucket: Bucket) -> None:
        delays = [bucket.hold(3 * INTERVAL_S), bucket.hold(9 * INTERVAL_S), bucket.hold(1 * INTERVAL_S)]

        assert [slot(delay) for delay in delays] == [3, 9, 9]
        assert slot(bucket.reserve(INTERVAL_S * 1000)) == 9

    def test_is_obeyed_once(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        bucket.hold(2 * INTERVAL_S)
        bucket.reserve(INTERVAL_S * 1000)
        first = stored(redis, connection_id, "last")

        bucket.reserve(INTERVAL_S * 1000)

        assert first == stored(redis, connection_id, "hold")
        assert stored(redis, connection_id, "last") == first + int(INTERVAL_S * 1_000_000)

    def test_of_a_whole_year_is_kept(self, bucket: Bucket) -> None:
        year_s = 365 * 86400.0
        bucket.hold(year_s)

        assert slot(bucket.reserve(1000)) == slot(year_s)


class TestExpiry:
    """An idle bucket is forgotten, but never before its last instant."""

    def test_after_a_day_of_rest(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        for _ in range(10):
            bucket.reserve(INTERVAL_S * 1000)

        assert slot(left_s(redis, connection_id, "last")) == slot(IDLE_MS / 1000) + 10

    def test_of_a_hold_when_it_is_over(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        bucket.hold(1000 * INTERVAL_S)

        assert slot(left_s(redis, connection_id, "hold")) == 1000

    def test_not_of_an_instant_behind_a_hold(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        bucket.hold(1000 * INTERVAL_S)
        bucket.reserve(1.0)

        assert slot(left_s(redis, connection_id, "last")) == slot(IDLE_MS / 1000) + 1000


class TestWithoutAServer:
    """No request is sent."""

    @pytest.fixture
    def silent(self) -> Iterator[str]:
        """The URL of a server that takes connections and never answers."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield f"redis://127.0.0.1:{server.getsockname()[1]}"

    @pytest.fixture
    def absent(self) -> str:
        """The URL of no server at all."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        return f"redis://127.0.0.1:{port}"

    @pytest.mark.parametrize("server", ["absent", "silent"])
    @pytest.mark.parametrize("operation", ["reserve", "hold"])
    def test_every_operation_says_so(self, request: pytest.FixtureRequest, server: str, operation: str) -> None:
        bucket = Bucket(connect(request.getfixturevalue(server), 0.2), 1)

        with pytest.raises(PacerUnavailableError, match=r"so no request is sent\. Check PDPP_REDIS_URL\."):
            getattr(bucket, operation)(1.0)

    def test_a_server_that_answers_with_an_error_is_as_good_as_none(self, redis: Redis, connection_id: int) -> None:
        redis.set(f"pdpp:pace:{{{connection_id}}}:last", "not an instant")

        with pytest.raises(PacerUnavailableError):
            Bucket(redis, connection_id).reserve(1.0)
