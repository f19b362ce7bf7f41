"""Requests by other means than HTTP are paced by the same law and teach it the same."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from pdpp_worker.errors import PacerUnavailableError, Throttled, UpstreamError
from pdpp_worker.pacing.bucket import Bucket, connect
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.pacer import MARGIN_MS, Pacer

CEILING_MS = 40.0


class Line:
    """A paced line to some provider: what it was made to wait for, and what the owner was told."""

    def __init__(self, redis: Redis) -> None:
        self.instants: list[float] = []
        self.told: list[tuple[str, float | None]] = []
        self.lanes = Lanes(CEILING_MS, CEILING_MS)
        self.bucket = Bucket(redis, 7)
        self.pacer = Pacer("line", self.bucket, self.lanes, CEILING_MS, self._wait, self._listen)

    def _wait(self, instant: float, _: Hold | None) -> None:
        self.instants.append(instant)
        time.sleep(max(0.0, instant - time.monotonic()))

    def _listen(self, why: str, retry_after_s: float | None) -> None:
        self.told.append((why, retry_after_s))


@pytest.fixture
def line(redis: Redis) -> Line:
    return Line(redis)


def refuse(error: Exception) -> Callable[[Line], None]:
    def ask(line: Line) -> None:
        with pytest.raises(type(error)), line.pacer.turn():
            raise error

    return ask


def test_turns_keep_the_ceiling(line: Line) -> None:
    sent = []
    for _ in range(6):
        with line.pacer.turn():
            sent.append(time.monotonic())

    assert min(b - a for a, b in itertools.pairwise(sent)) >= (CEILING_MS + MARGIN_MS) / 1000 - 0.005


def test_a_turn_and_an_http_request_share_one_bucket(line: Line, redis: Redis) -> None:
    with line.pacer.turn():
        pass

    assert 30 < Bucket(redis, 7).take(60_000, 1.0) < 60 == Bucket(redis, 8).take(60_000, 1.0)


def test_a_refusal_inside_the_block_reaches_the_law_and_the_caller(line: Line) -> None:
    due = datetime.now(UTC) + timedelta(seconds=30)

    refuse(Throttled("too many simultaneous connections", retry_after=due))(line)

    ((why, asked),) = line.told
    assert why == "rate_limited"
    assert asked == pytest.approx(30, abs=2)
    assert line.lanes.next_send(time.monotonic()) - time.monotonic() > 25
    assert line.bucket.take(CEILING_MS, CEILING_MS) > 25


def test_a_failure_of_the_provider_is_no_refusal(line: Line) -> None:
    refuse(UpstreamError("the connection broke"))(line)

    assert line.told == []
    assert line.pacer.counts.sent


def test_a_fault_of_the_caller_teaches_nothing(line: Line) -> None:
    before = line.lanes.snapshot(0.0)

    refuse(KeyError("mine"))(line)

    assert line.told == []
    assert line.lanes.snapshot(0.0).get("refused") == before.get("refused")


def test_without_the_pacing_server_the_block_is_not_entered(line: Line) -> None:
    unreachable = Line(connect("redis://127.0.0.1:1/0", 0.2))

    with pytest.raises(PacerUnavailableError), unreachable.pacer.turn():
        pytest.fail("nothing may be sent")
