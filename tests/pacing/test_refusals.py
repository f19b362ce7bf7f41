"""Refusals for the rate, in the words of providers that do not say 429, and whom a 403 is about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.errors import AuthExpired, Forbidden, Gone, ProviderError, Throttled, UpstreamError
from pdpp_worker.pacing.outcomes import outcome_of
from pdpp_worker.pacing.refusals import LONGEST_PAUSE, error_texts, pause

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
REQUEST = httpx.Request("GET", "https://provider.example/things/7?token=secret")


def answer(status: int, body: Any = b"", **headers: str) -> httpx.Response:
    """An answer; underscores in the names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, headers=named, content=content, request=REQUEST)


def outcome(status: int, body: Any = b"", **headers: str) -> ProviderError | None:
    return outcome_of(answer(status, body, **headers), NOW)


def google(reason: str) -> dict[str, Any]:
    one = {"domain": "usageLimits", "reason": reason, "message": "See the console."}
    return {"error": {"errors": [one], "code": 403, "message": "See the console."}}


REFUSALS = {
    "420": (420, b"", {}),
    "403 with Retry-After": (403, b"", {"retry_after": "60"}),
    "403 with a Retry-After that cannot be read": (403, b"", {"retry_after": "soon"}),
    "403 with nothing left": (403, b"", {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(EPOCH + 60)}),
    "403 in words": (403, {"message": "A secondary rate limit was exceeded."}, {"x_ratelimit_remaining": "14"}),
    "403 for the user's rate": (403, google("userRateLimitExceeded"), {}),
    "403 for the project's rate": (403, google("rateLimitExceeded"), {}),
    "403 for the quota": (403, google("quotaExceeded"), {}),
    "403 for the day": (403, google("dailyLimitExceeded"), {}),
    "400 by its type": (400, {"__type": "com.provider.api#ThrottlingException", "message": "Rate exceeded"}, {}),
    "400 by its header": (400, b"", {"x_amzn_errortype": "ThrottlingException:http://provider.example/doc/"}),
    "400 by its code": (400, {"Error": {"Code": "RequestLimitExceeded", "Message": "later"}}, {}),
    "400 in XML": (400, b"<Response><Errors><Error><Code>Throttling</Code></Error></Errors></Response>", {}),
    "400 too many": (400, {"code": "TooManyRequestsException"}, {}),
    "503 slow down": (503, b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>", {}),
    "503 with Retry-After": (503, b"", {"retry_after": "30"}),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_for_the_rate_is_told_whatever_its_status(case: str) -> None:
    status, body, headers = REFUSALS[case]

    failure = outcome(status, body, **headers)

    assert type(failure) is Throttled
    assert failure.status == status
    assert "secret" not in str(failure)


OTHERS = {
    "a good answer that names a limit": (200, {"error": "ratelimited"}, None),
    "a good answer with nothing left": (200, b"", None),
    "a bad request": (400, {"message": "the field `rate limit` is no number"}, None),
    "a full disk": (403, google("storageQuotaExceeded"), AuthExpired),
    "a failure": (500, {"error": "throttle valve stuck"}, UpstreamError),
    "an unavailable server": (503, b"", UpstreamError),
    "nothing there": (404, {"message": "no rate limit of this name"}, Gone),
    "no sign-in": (401, {"message": "rate limit needs a token"}, AuthExpired),
}


@pytest.mark.parametrize("case", OTHERS)
def test_nothing_else_is_taken_for_one(case: str) -> None:
    status, body, kind = OTHERS[case]

    failure = outcome(status, body, ratelimit_remaining="0", ratelimit_reset="9") if status == 200 else None
    failure = failure or outcome(status, body)

    assert (failure is None) if kind is None else (type(failure) is kind)


ABOUT_THE_RESOURCE = {
    "a file": google("insufficientFilePermissions"),
    "a scope": google("insufficientPermissions"),
    "a status": {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}},
    "an item": {"error": {"code": "ErrorAccessDenied", "message": "denied"}},
    "a repository": {"message": "Resource not accessible by personal access token", "status": "403"},
    "a page": {"detail": "You do not have permission for this."},
    "an object": b"<Error><Code>AccessDenied</Code></Error>",
}
ABOUT_WHO_ASKS = {
    "nothing said": b"",
    "a page": b"<html>Forbidden</html>",
    "just forbidden": {"error": "forbidden"},
    "no sign-in": {"detail": "Authentication credentials were not provided."},
    "a token that has ended": {"error": {"code": "InvalidAuthenticationToken"}},
}


class TestForbidden:
    """A 403 signs the owner out only when it may be about who asks."""

    @pytest.mark.parametrize("case", ABOUT_THE_RESOURCE)
    def test_one_that_is_about_the_resource_is_that_resources_alone(self, case: str) -> None:
        failure = outcome(403, ABOUT_THE_RESOURCE[case])

        assert type(failure) is Forbidden
        assert (failure.status, failure.reason) == (403, "source_partition_failed")

    def test_a_scope_that_is_missing_is_told_in_the_header(self) -> None:
        assert type(outcome(403, www_authenticate='Bearer error="insufficient_scope"')) is Forbidden

    @pytest.mark.parametrize("case", ABOUT_WHO_ASKS)
    def test_any_other_is_about_who_asks(self, case: str) -> None:
        assert type(outcome(403, ABOUT_WHO_ASKS[case])) is AuthExpired


class TestPause:
    """When to come back, from whatever says so."""

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "2.5"}, 2.5),
            ({"retry-after-ms": "1500"}, 1.5),
            ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
            ({"x-ms-retry-after-ms": "250.5"}, 0.2505),
            ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
            ({"retry-after": format_datetime(NOW + timedelta(minutes=1), usegmt=True)}, 60),
            ({"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "99"}, 7),
            ({"x-ratelimit-reset": "30"}, 30),
            ({"x-ratelimit-reset": str(EPOCH + 30)}, 30),
            ({"x-ratelimit-reset": f"{EPOCH + 30}.25"}, 30.25),
            ({"x-ratelimit-reset": f"{EPOCH + 30}500"}, 30.5),
            ({"x-rate-limit-reset": str(EPOCH + 30)}, 30),
            ({"ratelimit-reset": "30"}, 30),
            ({"x-ratelimit-reset": str(EPOCH + 9), "x-ratelimit-reset-after": "0.75"}, 0.75),
            ({"ratelimit": '"second";r=0;t=1, "hour";r=0;t=600, "day";r=9;t=9999'}, 600),
            ({"x-ratelimit-reset": str(EPOCH - 30)}, 0),
            ({"x-ratelimit-reset": str(EPOCH + 10**7)}, LONGEST_PAUSE.total_seconds()),
            ({"retry-after-ms": "9" * 15}, LONGEST_PAUSE.total_seconds()),
        ],
    )
    def test_is_read(self, headers: dict[str, str], seconds: float) -> None:
        assert pause(httpx.Headers(headers), NOW) == NOW + timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "headers",
        [{}, {"x-ratelimit-reset": "soon"}, {"x-ratelimit-remaining": "14", "x-ratelimit-reset": "9"}],
        ids=["nothing", "junk", "another limit's reset"],
    )
    def test_is_not_made_up(self, headers: dict[str, str]) -> None:
        assert pause(httpx.Headers(headers), NOW) is None


@given(st.binary(max_size=300) | st.sampled_from([b"[" * 60000, b'{"a":' * 10000, b"<Code>" * 9000]))
def test_no_body_is_too_strange(body: bytes) -> None:
    assert len(list(error_texts(answer(400, body)))) < 10000
