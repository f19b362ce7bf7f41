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

from pdpp_worker import metrics
from pdpp_worker.demo.provider.options import FaultOptions, ProviderOptions, QuotaOptions
from pdpp_worker.demo.provider.process import ProviderProcess
from pdpp_worker.errors import PacerUnavailableError, Throttled, UpstreamError
from pdpp_worker.pacing.bucket import Bucket, connect
from pdpp_worker.pacing.controller import Controller
from pdpp_worker.pacing.pacer import MARGIN_MS, Pacer
from pdpp_worker.pacing.retry import ATTEMPTS, BUDGET_FLOOR, RetryingTransport
from pdpp_worker.pacing.transport import PacedTransport

CEILING_MS = 60.0
TOKEN = "token"
RESOLUTION_S = 0.03
"""How late a busy machine may write an arrival down. Requests that are not paced come within a few ms."""


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    """An account of fifty conversations, without a quota."""
    with ProviderProcess(ProviderOptions(conversations=50, token=TOKEN)) as process:
        yield process


class Client:
    """A paced client, and what it was told and asked to wait for."""

    def __init__(self, redis: Redis, base_url: str) -> None:
        self.waits: list[float] = []
        self.told: list[tuple[str, float | None]] = []
        self.controller = Controller(CEILING_MS, CEILING_MS)
        self.pacer = Pacer("test", Bucket(redis, 1), self.controller, CEILING_MS, self._wait, self._listen)
        transport = RetryingTransport(PacedTransport(httpx.HTTPTransport(), self.pacer), metrics.RETRIED.labels("test"))
        headers = {"authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(transport=transport, base_url=base_url, headers=headers, follow_redirects=True)

    def _wait(self, instant: float, _: datetime) -> None:
        left = instant - time.monotonic()
        self.waits.append(left)
        time.sleep(max(0.0, min(left, 0.2)))

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


def test_second_tries_have_a_budget(client: Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(error_share=1.0))

    for _ in range(5):
        with pytest.raises(UpstreamError):
            client.http.get("/conversations")

    assert provider.stats().requests == 5 + BUDGET_FLOOR


def test_a_request_that_changes_something_is_sent_once(client: Client, provider: ProviderProcess) -> None:
    provider.set_faults(FaultOptions(error_share=1.0))

    with pytest.raises(UpstreamError):
        client.http.post("/conversations/batch", json={"conversation_ids": []})

    assert provider.stats().requests == 1


def test_a_refusal_is_told_once_and_not_sent_again(client: Client, provider: ProviderProcess) -> None:
    provider.set_quota(QuotaOptions(law="bucket", rate_per_s=0.001, burst=1, scope="all"))
    client.http.get("/conversations")

    with pytest.raises(Throttled):
        client.http.get("/conversations")

    assert provider.stats().requests == 2
    assert client.told == [("rate_limited", None)]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed_once_and_never_added_to_the_pacing(
    client: Client, provider: ProviderProcess, redis: Redis, form: str
) -> None:
    quota = QuotaOptions(law="fixed", rate_per_s=1 / 60, retry_after=form, scope="all")  # type: ignore[arg-type]
    provider.set_quota(quota)
    client.http.get("/conversations")

    with pytest.raises(Throttled) as refused:
        client.http.get("/conversations")
    asked = refused.value.retry_after
    assert asked is not None
    left = (asked - datetime.now(UTC)).total_seconds()
    held = Bucket(redis, 1).reserve(CEILING_MS)

    assert left - 1.5 <= held <= max(left, client.controller.next_send(time.monotonic()) - time.monotonic()) + 1.5
    assert datetime.now(UTC) + timedelta(seconds=held) >= asked - timedelta(seconds=1.5)


def test_without_the_pacing_server_nothing_is_sent(provider: ProviderProcess) -> None:
    unreachable = connect("redis://127.0.0.1:1/0", 0.2)
    client = Client(unreachable, provider.base_url)

    with client.http, pytest.raises(PacerUnavailableError):
        client.http.get("/conversations")

    assert provider.stats().requests == 0


def test_jitter_never_sets_the_rate(redis: Redis) -> None:
    controller = SimpleNamespace(spacing_ms=lambda _: 250.0, next_send=lambda now: now)
    pacer = Pacer("test", Bucket(redis, 2), controller, 250.0, lambda *_: None, lambda *_: None)  # type: ignore[arg-type]

    drawn = [pacer._draw_interval(0.0) for _ in range(1000)]

    assert min(drawn) >= 250.0 + MARGIN_MS
    assert max(drawn) <= (250.0 + MARGIN_MS) * 1.01
    assert len(set(drawn)) > 1


@given(st.floats(250.0, 3_600_000.0))
def test_jitter_stays_far_below_the_learned_interval(learned_ms: float) -> None:
    controller = SimpleNamespace(spacing_ms=lambda _: learned_ms)
    pacer = Pacer("test", None, controller, 1.0, lambda *_: None, lambda *_: None)  # type: ignore[arg-type]

    jitter = pacer._draw_interval(0.0) - learned_ms

    assert 0 <= jitter <= min(150.0, 0.01 * learned_ms) + 1e-6


def test_jitter_is_part_of_the_one_instant_that_is_waited_for(redis: Redis) -> None:
    waits: list[float] = []
    controller = SimpleNamespace(spacing_ms=lambda _: 60_000.0, next_send=lambda now: now)

    def wait(instant: float, _: datetime) -> None:
        waits.append(instant - time.monotonic())

    pacer = Pacer("test", Bucket(redis, 2), controller, 250.0, wait, lambda *_: None)  # type: ignore[arg-type]
    pacer.admit()

    [waited] = waits
    assert waited <= 60.0 + 0.15
