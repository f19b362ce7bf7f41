"""Refusals whose form is unusual are still told as refusals, with the wait that they ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from pdpp_worker.errors import Throttled
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.pacing.outcomes import outcome_of
from pdpp_worker.pacing.typed import TypedTransport

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def answer(status: int, body: str = "{}", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, text=body, request=httpx.Request("GET", "https://site.example/x"))


@pytest.mark.parametrize(
    "refusal",
    [
        answer(403, x_ratelimit_remaining="0"),
        answer(403, "rate limit exceeded"),
        answer(500, retry_after="30"),
        answer(502, retry_after="30"),
        answer(529, retry_after="30"),
    ],
)
def test_a_refusal_blames_no_credentials(refusal: httpx.Response) -> None:
    assert isinstance(outcome_of(refusal, NOW), Throttled)


def test_a_missing_item_is_no_refusal_whatever_it_is_called() -> None:
    assert not isinstance(outcome_of(answer(404, '{"title": "Rate Limit"}'), NOW), Throttled)


@pytest.mark.parametrize("told", ["30", "1.5", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_judged_refusal_has_the_wait_that_its_headers_tell(told: str) -> None:
    inner = httpx.MockTransport(lambda _: httpx.Response(200, headers={"retry-after": told}))
    judged = TypedTransport(inner, judge=lambda _: Throttled("refused"))

    with pytest.raises(Throttled) as refused:
        judged.handle_request(httpx.Request("GET", "https://site.example/x"))

    assert refused.value.retry_after is not None
    assert refused.value.retry_after <= datetime.now(UTC) + timedelta(days=1, seconds=1)


def test_what_a_ceiling_above_an_hour_has_learned_is_kept() -> None:
    law = Lanes(7_200_000.0)
    law.on_send(1000.0)
    law.on_throttle(1000.0, 600.0)

    assert Lanes(7_200_000.0).restore(law.snapshot(1000.0), 1000.0, 0.0)


def test_failures_on_the_way_back_are_an_outage_across_slices() -> None:
    law = Lanes(250.0)
    for number in range(12):
        law.on_send(float(number))
        law.on_upstream_error(float(number), weight=0.25)
        kept = law.snapshot(float(number))
        law = Lanes(250.0)
        assert law.restore(kept, float(number), 0.0)

    assert law.hold(11.0) is not None
