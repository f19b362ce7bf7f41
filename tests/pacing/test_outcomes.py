"""The meaning of a provider's answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pdpp_worker.errors import AuthExpired, Challenged, Gone, ProviderError, Throttled, UpstreamError
from pdpp_worker.pacing.answer import TooLargeError
from pdpp_worker.pacing.outcomes import network_errors, outcome_of
from pdpp_worker.pacing.refusals import retry_after
from pdpp_worker.protocol.reasons import known_reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
REQUEST = httpx.Request("GET", "https://provider.example/conversations/7?token=secret")
HTML = {"content-type": "text/html; charset=utf-8"}
CHALLENGE = b"<html><head><TITLE>Just a moment...</TITLE></head></html>"


def answer(status: int, headers: dict[str, str] | None = None, content: bytes = b"") -> ProviderError | None:
    """The outcome of an answer."""
    return outcome_of(httpx.Response(status, headers=headers, content=content, request=REQUEST), NOW)


def expected(status: int) -> type[ProviderError] | None:
    """The table of statuses."""
    special = {
        401: AuthExpired,
        403: AuthExpired,
        404: Gone,
        408: UpstreamError,
        410: Gone,
        420: Throttled,
        429: Throttled,
    }
    return special.get(status) or (UpstreamError if status >= 500 else None)


class TestStatus:
    """Every status has one meaning."""

    @pytest.mark.parametrize("status", [*HTTPStatus, 419, 420, 499, 520, 521, 599], ids=int)
    def test_is_one_kind_of_failure_or_the_connectors_to_read(self, status: int) -> None:
        failure = answer(int(status))

        wanted = expected(int(status))
        assert (failure is None) if wanted is None else (type(failure) is wanted)

    @pytest.mark.parametrize("status", [401, 404, 408, 429, 500])
    def test_a_failure_names_the_path_and_the_status_and_no_query(self, status: int) -> None:
        failure = answer(status)

        assert failure is not None
        assert failure.status == status
        assert "GET /conversations/7" in str(failure)
        assert "secret" not in str(failure)

    def test_unavailable_with_a_time_to_come_back_is_a_pause(self) -> None:
        failure = answer(503, {"retry-after": "30"})

        assert isinstance(failure, Throttled)
        assert (failure.status, failure.retry_after) == (503, NOW + timedelta(seconds=30))

    def test_a_refusal_for_the_rate_need_not_say_when(self) -> None:
        failure = answer(429)

        assert isinstance(failure, Throttled)
        assert failure.retry_after is None

    def test_a_success_may_carry_a_retry_after(self) -> None:
        assert answer(200, {"retry-after": "30"}) is None


class TestChallenge:
    """A bot check is told from a refusal."""

    @pytest.mark.parametrize("status", [200, 403, 429, 503])
    def test_by_its_header(self, status: int) -> None:
        assert type(answer(status, {"cf-mitigated": "challenge"})) is Challenged

    @pytest.mark.parametrize("status", [403, 503])
    def test_by_its_page(self, status: int) -> None:
        assert type(answer(status, HTML, CHALLENGE)) is Challenged

    @pytest.mark.parametrize(
        ("status", "headers", "content"),
        [
            (200, HTML, CHALLENGE),
            (403, HTML, b"<title>Forbidden</title>"),
            (403, {"content-type": "application/json"}, CHALLENGE),
            (403, HTML, b" " * 5000 + CHALLENGE),
        ],
        ids=["a good page", "another page", "no page", "far down"],
    )
    def test_nothing_else_is_taken_for_one(self, status: int, headers: dict[str, str], content: bytes) -> None:
        assert type(answer(status, headers, content)) is not Challenged


class TestRetryAfter:
    """`Retry-After`: seconds or a date."""

    @pytest.mark.parametrize("value", ["0", "1", "120", " 120 ", "86400"])
    def test_seconds_are_kept_exactly(self, value: str) -> None:
        assert retry_after(value, NOW) == NOW + timedelta(seconds=int(value))

    def test_fractions_of_a_second_are_kept(self) -> None:
        assert retry_after("1.5", NOW) == NOW + timedelta(seconds=1.5)

    @given(st.integers(0, 86400))
    def test_a_date_is_kept_exactly(self, seconds: int) -> None:
        due = NOW + timedelta(seconds=seconds)

        assert retry_after(format_datetime(due, usegmt=True), NOW) == due

    @pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", "UTC"])
    def test_a_date_without_a_zone_is_universal_time(self, zone: str) -> None:
        assert retry_after(f"Thu, 01 Jan 2026 00:01:00 {zone}", NOW) == NOW + timedelta(minutes=1)

    def test_a_date_in_another_zone_is_that_instant(self) -> None:
        assert retry_after("Thu, 01 Jan 2026 02:01:00 +0200", NOW) == NOW + timedelta(minutes=1)

    def test_a_date_that_is_past_is_now(self) -> None:
        assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", NOW) == NOW

    @pytest.mark.parametrize(
        "value", ["9" * 12, "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"], ids=["seconds", "digits", "date"]
    )
    def test_an_absurd_pause_is_a_day(self, value: str) -> None:
        assert retry_after(value, NOW) == NOW + DAY

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "soon",
            "-5",
            "1.",
            ".5",
            "1,5",
            "1e9",
            "inf",
            "nan",
            "²",
            "0x10",
            "Thu, 99 Jan 2026 00:00:00 GMT",
            "2026-01-01T00:00:00Z",
        ],
    )
    def test_what_cannot_be_read_is_none(self, value: str | None) -> None:
        assert retry_after(value, NOW) is None

    @given(st.text())
    @example(f"Thu, 01 Jan {'9' * 20} 00:00:00 GMT")
    @example(f"Thu, 01 Jan 2026 00:00:00 +{'9' * 20}")
    @example("Thu, 01 Jan 2026 00:00:00 +9999")
    @example("Mon, 01 Jan 0001 00:00:00 +1200")
    def test_no_header_is_too_strange(self, value: str) -> None:
        due = retry_after(value, NOW)

        assert due is None or NOW <= due <= NOW + DAY


def family(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    """A class and all that come from it."""
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


FAILURES = [kind for kind in family(httpx.HTTPError) if kind not in (httpx.HTTPError, httpx.HTTPStatusError)]


@pytest.mark.parametrize("kind", FAILURES, ids=lambda kind: kind.__name__)
def test_every_failure_of_a_request_has_a_reason(kind: type[Any]) -> None:
    with pytest.raises(UpstreamError) as caught, network_errors(REQUEST):
        raise kind("the library's own words", request=REQUEST)

    reasons = {
        httpx.TimeoutException: "timed_out",
        httpx.TooManyRedirects: "upstream_error",
        TooLargeError: "parse_failed",
    }
    expected_reason = next((reason for base, reason in reasons.items() if issubclass(kind, base)), "network_error")
    assert caught.value.reason == expected_reason
    assert known_reason(caught.value.reason) is not None
    assert isinstance(caught.value.__cause__, kind)
    assert "GET /conversations/7" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_mistakes_of_our_own_are_not_taken_for_the_network() -> None:
    with pytest.raises(ZeroDivisionError), network_errors(REQUEST):
        raise ZeroDivisionError


class _Garbled(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"junk")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_body_that_cannot_be_decoded_is_a_failure_of_the_network() -> None:
    with HTTPServer(("127.0.0.1", 0), _Garbled) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        request = httpx.Request("GET", f"http://127.0.0.1:{server.server_port}/")
        with httpx.HTTPTransport() as transport, pytest.raises(UpstreamError), network_errors(request):
            transport.handle_request(request).read()
