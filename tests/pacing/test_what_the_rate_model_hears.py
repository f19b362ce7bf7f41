"""The rate model is told of an answer in one order: the limits first, then one verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from pdpp_worker import metrics
from pdpp_worker.errors import ProviderError, Throttled, UpstreamError
from pdpp_worker.pacing import typed
from pdpp_worker.pacing.announced import Announced
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.pacing.retry import RetryingTransport
from pdpp_worker.pacing.transport import PacedTransport
from pdpp_worker.pacing.typed import Judge


class OpenPacer(Pacer):
    """Admits at once."""

    def admit(self, *_: Any, **__: Any) -> None:
        """Nothing to wait for."""


class Law(Lanes):
    """Writes down what it hears."""

    def __init__(self) -> None:
        super().__init__(1.0, 1.0)
        self.heard: list[object] = []

    def on_announced(self, now: float, limits: Sequence[Announced], lane: str = "") -> None:
        self.heard.append(list(limits))
        super().on_announced(now, limits, lane)

    def on_success(self, now: float, lane: str = "") -> None:
        self.heard.append("success")
        super().on_success(now, lane)

    def on_throttle(self, now: float, retry_after_s: float | None = None, lane: str = "") -> None:
        self.heard.append("refusal")
        super().on_throttle(now, retry_after_s, lane)

    def on_upstream_error(self, now: float, lane: str = "", **options: Any) -> None:
        self.heard.append("error")
        super().on_upstream_error(now, lane, **options)


def client_of(
    law: Law, answer: Callable[[httpx.Request], httpx.Response], judge: Judge | None = None, attempts: int = 1
) -> ProviderClient:
    pacer = OpenPacer("test", Mock(spec=Bucket), law, 1.0, lambda *_: None, lambda *_: None)
    paced = PacedTransport(httpx.MockTransport(answer), pacer, judge=judge)
    sending = RetryingTransport(paced, metrics.RETRIED.labels("test"), attempts)
    return ProviderClient(sending, base_url="https://site.example", timeout_s=1.0)


LIMITS = {"ratelimit-limit": "100", "ratelimit-remaining": "7", "ratelimit-reset": "30"}
ONE_LIMIT = [Announced(7, 30, 100)]


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, "success"), (400, "success"), (404, "success"), (429, "refusal"), (500, "error")]
)
def test_announced_limits_are_heard_before_the_verdict(status: int, verdict: str) -> None:
    law = Law()

    with contextlib.suppress(ProviderError):
        client_of(law, lambda _: httpx.Response(status, headers=LIMITS)).get("/")

    assert law.heard == [ONE_LIMIT, verdict]


def test_an_answer_that_announces_nothing_is_heard_once() -> None:
    law = Law()

    client_of(law, lambda _: httpx.Response(200)).get("/")

    assert law.heard == ["success"]


def test_a_resource_that_the_account_may_not_read_is_an_answer() -> None:
    law = Law()

    with pytest.raises(ProviderError):
        client_of(law, lambda _: httpx.Response(403, json={"code": "PermissionDenied"})).get("/")

    assert law.heard == ["success"]


def refused_in_words(response: httpx.Response) -> ProviderError | None:
    """A judge: the provider says 200 and means it only without this."""
    slow = response.json() == {"slow": "down"}
    return Throttled("slow down", retry_after=datetime(2026, 1, 1, tzinfo=UTC)) if slow else None


def test_a_judge_turns_a_good_answer_into_a_refusal_before_it_counts() -> None:
    law = Law()

    with pytest.raises(Throttled, match="slow down"):
        client_of(law, lambda _: httpx.Response(200, json={"slow": "down"}), refused_in_words).get("/")

    assert law.heard == ["refusal"]


def test_what_a_judge_lets_pass_is_a_success() -> None:
    law = Law()

    answer = client_of(law, lambda _: httpx.Response(200, json={"items": []}), refused_in_words).get("/")

    assert answer.json() == {"items": []}
    assert law.heard == ["success"]


def test_a_judge_is_not_asked_about_what_is_a_failure_already() -> None:
    asked: list[httpx.Response] = []

    with pytest.raises(UpstreamError):
        client_of(Law(), lambda _: httpx.Response(500), asked.append).get("/")

    assert asked == []


def test_a_judge_that_breaks_breaks_the_run_and_teaches_nothing() -> None:
    law = Law()

    with pytest.raises(ValueError, match="Expecting value"):
        client_of(law, lambda _: httpx.Response(200, content=b"junk"), refused_in_words).get("/")

    assert law.heard == []


def test_a_redirect_that_leads_away_costs_one_request_and_teaches_no_failure() -> None:
    law = Law()

    with pytest.raises(UpstreamError, match="leads away"):
        client_of(law, lambda _: httpx.Response(302, headers={"location": "https://evil.example"}), attempts=2).get("/")

    assert law.heard == ["success"]


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_failure_is_tried_as_often_as_was_said(attempts: int) -> None:
    law = Law()

    with pytest.raises(UpstreamError):
        client_of(law, lambda _: httpx.Response(500), attempts=attempts).get("/")

    assert law.heard == ["error"] * attempts


def test_an_answer_that_is_too_large_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "LARGEST_ANSWER_BYTES", 10)
    law = Law()

    with pytest.raises(UpstreamError, match="larger than"):
        client_of(law, lambda _: httpx.Response(200, content=b"x" * 11), attempts=2).get("/")

    assert law.heard == ["error"]
