"""The bucket on a real server: it admits at the instant of a send, and believes nothing that cannot be."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from pdpp_worker.errors import PacerUnavailableError
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.pacing.bucket import IDLE_MS, LONGEST_HOLD_S, Bucket, connect
from tests.support.virtual_fleet import VirtualBucket
from tests.support.waiting import PATIENCE_S

INTERVAL_S = 600.0
"""So long that the time which a test itself takes is nothing beside it."""
INTERVAL_MS = INTERVAL_S * 1000

_numbers = itertools.count(1)
_PROGRAM = """
import json, sys, time
from pdpp_worker.pacing.bucket import Bucket, connect
redis = connect(sys.argv[1], 5.0)
bucket, sent = Bucket(redis, int(sys.argv[2])), []
while len(sent) < 10:
    wait = bucket.take(float(sys.argv[3]), 1.0)
    if wait:
        time.sleep(wait)
    else:
        seconds, micros = redis.time()
        sent.append(seconds + micros / 1e6)
print(json.dumps(sent))
"""


@pytest.fixture
def connection_id() -> int:
    """A connection that nobody paced before."""
    return next(_numbers)


@pytest.fixture
def bucket(redis: Redis, connection_id: int) -> Bucket:
    """Its bucket, which a request of an hour ago went through."""
    write(redis, connection_id, "last", -3600)
    return Bucket(redis, connection_id)


def now_us(redis: Redis) -> int:
    """The server's clock, µs."""
    seconds, micros = redis.time()
    return int(seconds) * 1_000_000 + int(micros)


def write(redis: Redis, connection_id: int, field: str, ahead_s: float) -> None:
    """Set a field of the bucket to an instant that lies `ahead_s` ahead."""
    redis.set(f"pdpp:pace:{{{connection_id}}}:{field}", now_us(redis) + int(ahead_s * 1_000_000))


def left_s(redis: Redis, connection_id: int, field: str) -> float:
    """How long the server keeps a field of the bucket, s."""
    return redis.pttl(f"pdpp:pace:{{{connection_id}}}:{field}") / 1000


def intervals(wait_s: float) -> float:
    """A wait, in intervals, as far as a test of some seconds can tell."""
    return round(wait_s / INTERVAL_S, 1)


def test_a_request_after_a_rest_goes_out_at_once(bucket: Bucket) -> None:
    assert bucket.take(INTERVAL_MS, 1.0) == 0.0


def test_the_next_one_waits_for_an_interval(bucket: Bucket) -> None:
    bucket.take(INTERVAL_MS, 1.0)

    assert intervals(bucket.take(INTERVAL_MS, 1.0)) == 1.0


def test_asking_again_and_again_makes_no_wait_longer(bucket: Bucket) -> None:
    bucket.take(INTERVAL_MS, 1.0)

    assert {intervals(bucket.take(INTERVAL_MS, 1.0)) for _ in range(50)} == {1.0}


def test_an_interval_that_changes_holds_from_the_last_request(bucket: Bucket) -> None:
    bucket.take(INTERVAL_MS, 1.0)

    assert [intervals(bucket.take(factor * INTERVAL_MS, 1.0)) for factor in (3, 1, 7)] == [3.0, 1.0, 7.0]


def test_a_bucket_that_was_lost_costs_one_whole_interval(redis: Redis, bucket: Bucket) -> None:
    bucket.take(1.0, 1.0)
    redis.flushall()

    assert bucket.take(INTERVAL_MS, 1.0) == INTERVAL_S
    assert intervals(bucket.take(INTERVAL_MS, 1.0)) == 1.0


def test_sixteen_processes_keep_the_interval_between_them(
    servers: EmbeddedServers, redis: Redis, bucket: Bucket, connection_id: int
) -> None:
    spacing_ms = 4.0
    arguments = [sys.executable, "-c", _PROGRAM, servers.redis_url, str(connection_id), str(spacing_ms)]
    workers = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(16)]

    sent = sorted(itertools.chain(*(json.loads(worker.communicate(timeout=PATIENCE_S)[0]) for worker in workers)))

    assert len(sent) == 160
    assert sent[-1] - sent[0] >= 159 * spacing_ms / 1000 - 0.1


def test_scripts_that_the_server_forgot_are_sent_again(redis: Redis, bucket: Bucket) -> None:
    bucket.take(INTERVAL_MS, 1.0)
    redis.script_flush()

    assert intervals(bucket.take(INTERVAL_MS, 1.0)) == 1.0
    redis.script_flush()
    assert intervals(bucket.hold(7 * INTERVAL_S)) == 7.0


def test_connections_do_not_wait_for_each_other(redis: Redis, bucket: Bucket) -> None:
    bucket.take(INTERVAL_MS, 1.0)
    bucket.hold(100 * INTERVAL_S)
    other = next(_numbers)
    write(redis, other, "last", -3600)

    assert Bucket(redis, other).take(INTERVAL_MS, 1.0) == 0.0


class TestWhatCannotBe:
    """An instant that no clock of now can have written costs one interval, and never more."""

    @pytest.mark.parametrize("ahead_s", [1.0, 3600.0, 5 * 365 * 86400.0])
    def test_a_last_request_that_lies_ahead(
        self, redis: Redis, bucket: Bucket, connection_id: int, ahead_s: float
    ) -> None:
        write(redis, connection_id, "last", ahead_s)

        assert bucket.take(INTERVAL_MS, 1.0) == INTERVAL_S
        assert intervals(bucket.take(INTERVAL_MS, 1.0)) == 1.0

    @pytest.mark.parametrize("value", ["not an instant", "", "nan", "inf", "-inf", "-1", "1e400"])
    @pytest.mark.parametrize("field", ["last", "hold"])
    def test_a_field_that_is_no_instant(
        self, redis: Redis, bucket: Bucket, connection_id: int, field: str, value: str
    ) -> None:
        redis.set(f"pdpp:pace:{{{connection_id}}}:{field}", value)

        waits = [bucket.take(INTERVAL_MS, 1.0) for _ in range(2)]

        assert max(waits) <= INTERVAL_S

    def test_a_field_of_another_kind(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        redis.delete(f"pdpp:pace:{{{connection_id}}}:last")
        redis.rpush(f"pdpp:pace:{{{connection_id}}}:last", "1")

        assert bucket.take(INTERVAL_MS, 1.0) == INTERVAL_S

    def test_a_hold_longer_than_any(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        write(redis, connection_id, "hold", LONGEST_HOLD_S + 60)

        assert bucket.take(INTERVAL_MS, 1.0) == 0.0

    def test_a_hold_that_was_said_before_the_clock_was_set_back(
        self, redis: Redis, bucket: Bucket, connection_id: int
    ) -> None:
        now = now_us(redis)
        hour_us = 3_600_000_000
        redis.set(f"pdpp:pace:{{{connection_id}}}:hold", f"{now + 6 * hour_us + 30_000_000}:{now + 6 * hour_us}")

        assert bucket.take(INTERVAL_MS, 1.0) == 0.0
        assert intervals(bucket.hold(3 * INTERVAL_S)) == 3.0

    def test_a_hold_longer_than_any_does_not_outlive_the_next_one(
        self, redis: Redis, bucket: Bucket, connection_id: int
    ) -> None:
        write(redis, connection_id, "hold", 2 * LONGEST_HOLD_S)

        assert intervals(bucket.hold(3 * INTERVAL_S)) == 3.0


instants = st.one_of(st.none(), st.sampled_from([-100, -9, -3, 0, 4, 40, 3600, 2 * 86400]))


@given(instants, instants, instants, instants, st.integers(1, 50), st.integers(1, 50), st.sampled_from(["", "users"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bucket_of_virtual_time_answers_as_the_script_does(
    redis: Redis,
    last: int | None,
    of_lane: int | None,
    hold: int | None,
    hold_of_lane: int | None,
    spacing: int,
    ceiling: int,
    lane: str,
) -> None:
    unit_s = 100.0
    connection_id, virtual = next(_numbers), VirtualBucket(lambda: 1e9)
    fields = {"last": last, "last:users": of_lane, "hold": hold, "hold:users": hold_of_lane}
    for name, ahead in fields.items():
        if ahead is not None:
            write(redis, connection_id, name, (ahead - 0.2) * unit_s)
            part, _, its_lane = name.partition(":")
            virtual.keep(part, its_lane, 1e9 + (ahead - 0.2) * unit_s)

    waits = [
        bucket.take(spacing * unit_s * 1000, ceiling * unit_s * 1000, lane) / unit_s
        for bucket in (Bucket(redis, connection_id), virtual)
    ]

    assert waits[0] == pytest.approx(waits[1], abs=0.1)


class TestLanes:
    """Requests of one group have an interval of their own, under the one ceiling of the connection."""

    def test_a_slow_lane_does_not_slow_another(self, bucket: Bucket) -> None:
        bucket.take(INTERVAL_MS, 0.001, "history")

        assert bucket.take(0.001, 0.001, "users") == 0.0
        assert intervals(bucket.take(INTERVAL_MS, 0.001, "history")) == 1.0

    def test_the_ceiling_holds_between_lanes(self, bucket: Bucket) -> None:
        bucket.take(INTERVAL_MS, INTERVAL_MS, "history")

        assert intervals(bucket.take(INTERVAL_MS, INTERVAL_MS, "users")) == 1.0

    def test_a_hold_of_one_lane_lets_another_go(self, bucket: Bucket) -> None:
        bucket.hold(9 * INTERVAL_S, "history")

        assert bucket.take(0.001, 0.001, "users") == 0.0
        assert intervals(bucket.take(0.001, 0.001, "history")) == 9.0

    def test_a_hold_of_the_connection_holds_every_lane(self, bucket: Bucket) -> None:
        bucket.hold(9 * INTERVAL_S)

        assert intervals(bucket.take(0.001, 0.001, "users")) == 9.0


class TestHold:
    """A pause that the provider asked for."""

    def test_lets_nobody_send_before_it_is_over(self, bucket: Bucket) -> None:
        bucket.hold(10 * INTERVAL_S)

        assert [intervals(bucket.take(INTERVAL_MS, 1.0)) for _ in range(3)] == [10.0, 10.0, 10.0]

    def test_is_not_added_to_the_interval(self, bucket: Bucket) -> None:
        bucket.take(INTERVAL_MS, 1.0)
        bucket.hold(3 * INTERVAL_S)

        assert intervals(bucket.take(INTERVAL_MS, 1.0)) == 3.0

    def test_the_longest_one_stands(self, bucket: Bucket) -> None:
        delays = [bucket.hold(3 * INTERVAL_S), bucket.hold(9 * INTERVAL_S), bucket.hold(1 * INTERVAL_S)]

        assert [intervals(delay) for delay in delays] == [3.0, 9.0, 9.0]

    def test_is_over_when_it_is(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        write(redis, connection_id, "hold", -1)

        assert bucket.take(INTERVAL_MS, 1.0) == 0.0

    def test_of_a_whole_year_is_one_of_a_day(self, bucket: Bucket) -> None:
        assert bucket.hold(365 * 86400.0) == LONGEST_HOLD_S


class TestExpiry:
    """Redis forgets state that is no longer needed."""

    def test_a_bucket_after_a_day_of_rest(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        bucket.take(INTERVAL_MS, 1.0)

        assert intervals(left_s(redis, connection_id, "last")) == intervals(IDLE_MS / 1000)

    def test_a_hold_when_it_is_over(self, redis: Redis, bucket: Bucket, connection_id: int) -> None:
        bucket.hold(100 * INTERVAL_S)

        assert intervals(left_s(redis, connection_id, "hold")) == 100.0


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
    @pytest.mark.parametrize("operation", ["take", "hold"])
    def test_every_operation_says_so(self, request: pytest.FixtureRequest, server: str, operation: str) -> None:
        bucket = Bucket(connect(request.getfixturevalue(server), 0.2), 1)

        with pytest.raises(PacerUnavailableError, match=r"so no request is sent\. Check PDPP_REDIS_URL\."):
            bucket.take(1.0, 1.0) if operation == "take" else bucket.hold(1.0)
