"""The paced client against a real provider, judged by the provider's own log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker import metrics
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.errors import PacerUnavailableError, Throttled, UpstreamError
from pdpp_worker.pacing.bucket import Bucket, connect
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.pacing.retry import ATTEMPTS, BUDGET_FLOOR, RetryingTransport
from pdpp_worker.pacing.transport import PacedTransport

CEILING_MS = 60.0
TOKEN = "token"
LONGEST_WAIT_S = 20.0
RESOLUTION_S = 0.03
"""How late a busy machine may write an arrival down. Requests that are not paced come within a few ms."""


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    """An account of fifty conversations, without a quota."""
    with ProviderProcess(ProviderOptions(conversations=50, token=TOKEN)) as process:
        yield process


class Client:
    """A paced client, and what it was told and asked to wait for."""

    def __init__(self, redis: Redis, base_url: str, failures_weigh: float = 1.0) -> None:
        self.waits: list[float] = []
        self.told: list[tuple[str, float | None]] = []
        self.lanes = Lanes(CEILING_MS, CEILING_MS)
        self.pacer = Pacer(
            "test", Bucket(redis, 1), self.lanes, CEILING_MS, self._wait, self._listen, failures_weigh=failures_weigh
        )
        transport = RetryingTransport(PacedTransport(httpx.HTTPTransport(), self.pacer), metrics.RETRIED.labels("test"))
        headers = {"authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(transport=transport, base_url=base_url, headers=headers, follow_redirects=True)

    def _wait(self, instant: float, hold: Hold | None) -> None:
        left = instant - time.monotonic()
        self.waits.append(left)
        assert left < LONGEST_WAIT_S, hold
        time.sleep(max(0.0, left))

    def _listen(self, why: str, retry_after_s: float | None) -> None:
        self.told.append((why, retry_after_s))


@pytest.fixture
def client(redis: Redis, provider: ProviderProcess) -> Iterator[Client]:
    """A client of the provider."""
    made = Client(redis, provider.base_url)
    with made.http:
        yield made


def smallest_gap_s(provider: ProviderProcess) -> float:
    gap = provider.stats().smallest_gap_s
    assert gap is not None
    return gap


def test_no_two_arrivals_are_closer_than_the_ceiling(client: Client, provider: ProviderProcess) -> None:
    for _ in range(20):
        client.http.get("/conversations")

    assert provider.stats().requests == 20
    assert smallest_gap_s(provider) >= CEILING_MS / 1000 - RESOLUTION_S


def test_losing_the_bucket_does_not_break_the_ceiling(client: Client, provider: ProviderProcess, redis: Redis) -> None:
    for _ in range(10):
        client.http.get("/conversations")
        redis.flushall()

    assert smallest_gap_s(provider) >= CEILING_MS / 1000 - RESOLUTION_S


def test_two_clients_of_one_connection_share_one_rate(client: Client, redis: Redis, provider: ProviderProcess) -> None:
    other = Client(redis, provider.base_url)

    for _ in range(8):
        client.http.get("/conversations")
        client.pacer.close()
        other.http.get("/conversations")
        other.pacer.close()
    other.http.close()

    assert smallest_gap_s(provider) >= CEILING_MS / 1000 - RESOLUTION_S


def test_a_second_try_is_paced_like_any_other_request(client: Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(error_share=1.0))

    with pytest.raises(UpstreamError):
        client.http.get("/conversations")

    assert provider.stats().requests == ATTEMPTS
    assert smallest_gap_s(provider) >= CEILING_MS / 1000 - RESOLUTION_S


def test_an_outage_is_three_requests_that_fail_and_not_their_second_tries(
    client: Client, provider: ProviderProcess
) -> None:
    provider.set_faults(FaultOptions(error_share=1.0))

    for _ in range(2):
        with pytest.raises(UpstreamError):
            client.http.get("/conversations")
    held_before = client.lanes.hold(time.monotonic())
    with pytest.raises(UpstreamError):
        client.http.post("/conversations/batch", json={"conversation_ids": []})

    assert held_before is None
    assert client.lanes.hold(time.monotonic()) is not None


def test_second_tries_have_a_budget(redis: Redis, provider: ProviderProcess) -> None:
    client = Client(redis, provider.base_url, failures_weigh=0.0)
    provider.set_faults(FaultOptions(error_share=1.0))

    for _ in range(5):
        with pytest.raises(UpstreamError):
            client.http.get("/conversations")
    client.http.close()

    assert provider.stats().requests == 5 + BUDGET_FLOOR


def test_a_request_that_changes_something_is_sent_once(client: Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(error_share=1.0))

    with pytest.raises(UpstreamError):
        client.http.post("/conversations/batch", json={"conversation_ids": []})

    assert provider.stats().requests == 1


def test_a_refusal_is_told_once_and_not_sent_again(client: Client, provider: ProviderProcess) -> None:
    provider.set_quota(QuotaOptions(model="bucket", rate_per_s=0.001, burst=1, scope="all"))
    client.http.get("/conversations")

    with pytest.raises(Throttled):
        client.http.get("/conversations")

    assert provider.stats().requests == 2
    assert client.told == [("rate_limited", None)]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed_once_and_never_added_to_the_pacing(
    client: Client, provider: ProviderProcess, redis: Redis, form: str
) -> None:
    quota = QuotaOptions(model="fixed", rate_per_s=1 / 60, retry_after=form, scope="all")  # type: ignore[arg-type]
    provider.set_quota(quota)
    client.http.get("/conversations")

    with pytest.raises(Throttled) as refused:
        client.http.get("/conversations")
    asked = refused.value.retry_after
    assert asked is not None
    left = (asked - datetime.now(UTC)).total_seconds()
    held = Bucket(redis, 1).take(CEILING_MS, CEILING_MS)

    assert left - 1.5 <= held <= max(left, client.lanes.next_send(time.monotonic()) - time.monotonic()) + 1.5
    assert datetime.now(UTC) + timedelta(seconds=held) >= asked - timedelta(seconds=1.5)


def test_without_the_pacing_server_nothing_is_sent(provider: ProviderProcess) -> None:
    unreachable = connect("redis://127.0.0.1:1/0", 0.2)
    client = Client(unreachable, provider.base_url)

    with client.http, pytest.raises(PacerUnavailableError):
        client.http.get("/conversations")

    assert provider.stats().requests == 0


class VirtualLine:
    """A pacer in virtual time over a bucket that always admits; waits are as exact as the clock."""

    def __init__(self, learned_ms: float) -> None:
        self.now = 1000.0
        self.lanes = Lanes(1.0, learned_ms)
        bucket = SimpleNamespace(take=lambda *_: 0.0)
        self.pacer = Pacer("test", bucket, self.lanes, 1.0, self._wait, lambda *_: None, clock=lambda: self.now)  # type: ignore[arg-type]

    def _wait(self, instant: float, _: Hold | None) -> None:
        self.now = max(self.now, instant)

    def send(self) -> float:
        """One request that is answered at once; returns when it went out."""
        with self.pacer.turn():
            return self.now


@given(st.floats(20.0, 3_600_000.0))
def test_jitter_makes_a_request_late_by_a_hundredth_of_the_interval_at_most(learned_ms: float) -> None:
    line = VirtualLine(learned_ms)
    first = line.send()
    due = max(line.lanes.next_send(line.now), first + (1.0 + 1.0) / 1000)

    late_s = line.send() - due

    assert -1e-9 <= late_s <= min(0.15, 0.01 * learned_ms / 1000) + 1e-9


def test_jitter_differs_from_request_to_request() -> None:
    line = VirtualLine(60_000.0)
    late = []
    for _ in range(20):
        line.send()
        due = line.lanes.next_send(line.now)
        late.append(line.send() - due)

    assert len(set(late)) > 1


def test_a_request_that_need_not_wait_is_not_made_late() -> None:
    line = VirtualLine(1000.0)
    line.send()
    line.now += 3600

    assert line.send() == pytest.approx(4600.0)
