"""The meaning of a provider's answer, translated once, so that connectors never do arithmetic on status codes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx

from pdpp_worker.errors import AuthExpired, Challenged, Forbidden, Gone, ProviderError, Throttled, UpstreamError
from pdpp_worker.pacing.answer import TooLargeError
from pdpp_worker.pacing.refusals import error_code, is_about_the_resource, is_refusal, pause
from pdpp_worker.protocol.reasons import Reason

_GONE = frozenset({404, 410})
_CHALLENGE_TITLE = b"<title>just a moment"
_TITLE_BYTES = 4096


def outcome_of(response: httpx.Response, now: datetime) -> ProviderError | None:
    """The typed failure that an answer stands for, or None when the connector should read it.

    The body of an answer with an error's status must have been read.
    """
    place = f"{response.request.method} {response.request.url.path}"
    status = response.status_code
    if _is_challenge(response):
        return Challenged(f"{place} answered with a bot check; pass it once in the browser", status=status)
    if is_refusal(response, now):
        due = pause(response.headers, now)
        return Throttled(f"{place} was refused for the rate", status=status, retry_after=due)
    if status == httpx.codes.FORBIDDEN and is_about_the_resource(response):
        return Forbidden(f"{place} answered 403: this account may not read it", status=status)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return AuthExpired(f"{place} answered {status}: the credentials are not accepted", status=status)
    if status in _GONE:
        return Gone(f"{place} answered {status}: no such resource", status=status, code=error_code(response))
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
    except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise UpstreamError(f"{place} leads nowhere: {type(error).__name__}") from error
    except TooLargeError as error:
        raise UpstreamError(f"{place}: {error}", reason=Reason.PARSE_FAILED.value) from error
    except httpx.RequestError as error:
        raise UpstreamError(f"{place}: {_why(error)}", reason=Reason.NETWORK_ERROR.value) from error


def _why(error: BaseException) -> str:
    """The reason of a broken connection: the fault of a certificate, else the kind of the failure."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not accepted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _is_challenge(response: httpx.Response) -> bool:
    if response.headers.get("cf-mitigated") == "challenge":
        return True
    is_refusal = response.status_code in (403, 503)
    is_page = "text/html" in response.headers.get("content-type", "")
    return is_refusal and is_page and _CHALLENGE_TITLE in response.content[:_TITLE_BYTES].lower()
