"""What a provider's answer means, translated once, so that connectors never do arithmetic on status codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from pdpp_worker.errors import AuthExpired, Challenged, Gone, ProviderError, Throttled, UpstreamError
from pdpp_worker.protocol.reasons import Reason

_AUTH = frozenset({401, 403})
_GONE = frozenset({404, 410})
_CHALLENGE_TITLE = b"<title>just a moment"
_TITLE_BYTES = 4096
_LONGEST_PAUSE = timedelta(days=1)
"""A longer pause is taken for a mistake: after a day one request asks again."""
"""A longer one is a mistake of the provider's."""


def outcome_of(response: httpx.Response, now: datetime) -> ProviderError | None:
    """The typed failure that an answer stands for, or None when the connector should read it.

    The body of a 403 must have been read.
    """
    place = f"{response.request.method} {response.request.url.path}"
    status = response.status_code
    if _is_challenge(response):
        return Challenged(f"{place} answered with a bot check; pass it once in the browser", status=status)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        due = retry_after(response.headers.get("retry-after"), now)
        return Throttled(f"{place} was refused for the rate", retry_after=due)
    if status in _AUTH:
        return AuthExpired(f"{place} answered {status}: the credentials are not accepted", status=status)
    if status in _GONE:
        return Gone(f"{place} answered {status}: no such resource", status=status)
    if status == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in response.headers:
        due = retry_after(response.headers["retry-after"], now)
        return Throttled(f"{place} asked for a pause", status=status, retry_after=due)
    if status == httpx.codes.REQUEST_TIMEOUT or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return UpstreamError(f"{place} answered {status}", status=status)
    return None


@contextmanager
def network_errors(request: httpx.Request) -> Iterator[None]:
    """Translate every failure of the connection into an UpstreamError with its reason."""
    place = f"{request.method} {request.url.path}"
    try:
        yield
    except httpx.TimeoutException as error:
        raise UpstreamError(f"{place}: no answer in time", reason=Reason.TIMED_OUT.value) from error
    except (httpx.RequestError, httpx.InvalidURL) as error:  # a redirect may lead to what is no address
        raise UpstreamError(f"{place}: {type(error).__name__}", reason=Reason.NETWORK_ERROR.value) from error


def retry_after(value: str | None, now: datetime) -> datetime | None:
    """When a Retry-After header says to come back, in a day at most; None when it cannot be read.

    Delta seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=int(text[:9])), _LONGEST_PAUSE)
    try:
        due = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return min(max(due if due.tzinfo else due.replace(tzinfo=UTC), now), now + _LONGEST_PAUSE)


def _is_challenge(response: httpx.Response) -> bool:
    if response.headers.get("cf-mitigated") == "challenge":
        return True
    is_refusal = response.status_code in (403, 503)
    is_page = "text/html" in response.headers.get("content-type", "")
    return is_refusal and is_page and _CHALLENGE_TITLE in response.content[:_TITLE_BYTES].lower()
