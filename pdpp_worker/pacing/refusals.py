"""Which answers refuse for the rate, whatever their status, and for how long they ask to wait. `docs/refusals.md`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from pdpp_worker.pacing.announced import Announced, announced, is_used_up, reset_alone

LONGEST_PAUSE = timedelta(days=1)
"""A longer pause is taken for a mistake of the provider's: after a day one request asks again."""

_ALWAYS = frozenset({420, 429})
"""420 is what some sent before 429 had a name."""
_RATE_CODES = frozenset(
    {
        "accountratelimitexceeded",
        "bandwidthlimitexceeded",
        "dailylimitexceeded",
        "dailylimitexceededunreg",
        "ec2throttledexception",
        "provisionedthroughputexceeded",
        "provisionedthroughputexceededexception",
        "quotaexceeded",
        "ratelimit",
        "ratelimited",
        "ratelimiterror",
        "ratelimitexceeded",
        "ratelimitreached",
        "requestlimitexceeded",
        "requestthrottled",
        "requestthrottledexception",
        "resourceexhausted",
        "slowdown",
        "throttled",
        "throttledexception",
        "throttling",
        "throttlingexception",
        "toomanyrequests",
        "toomanyrequestsexception",
        "userratelimitexceeded",
        "userratelimitexceededunreg",
    }
)
_RATE_WORDS = re.compile(r"rate limit|too many requests", re.IGNORECASE)
_RESOURCE_CODES = frozenset(
    {
        "accessdenied",
        "accessdeniedexception",
        "erroraccessdenied",
        "insufficientfilepermissions",
        "insufficientpermissions",
        "insufficientscope",
        "permissiondenied",
    }
)
_RESOURCE_WORDS = re.compile(
    r"not accessible by|not have (sufficient |the )?permission|insufficient permission", re.IGNORECASE
)

_LARGEST_ERROR_BYTES = 64 * 1024
_DEEPEST = 5
_MOST_TEXTS = 200
_XML_CODE = re.compile(rb"<Code>\s*([^<]{1,100}?)\s*</Code>")
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)


def is_refusal(response: httpx.Response, now: datetime) -> bool:
    """Whether an answer refuses for the rate. The body of one with an error's status must have been read."""
    status, headers = response.status_code, response.headers
    if status in _ALWAYS:
        return True
    if status < httpx.codes.BAD_REQUEST:
        return False
    if asks_for_a_pause(headers) and (status == httpx.codes.FORBIDDEN or response.is_server_error):
        return True
    if status == httpx.codes.FORBIDDEN and is_used_up(headers, now):
        return True
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        return False
    texts = list(error_texts(response))
    if not _RATE_CODES.isdisjoint(map(_code, texts)):
        return True
    return status == httpx.codes.FORBIDDEN and any(map(_RATE_WORDS.search, texts))


def is_about_the_resource(response: httpx.Response) -> bool:
    """Whether a 403 says that it is about what was asked for, and not about who asks."""
    texts = list(error_texts(response))
    challenge = response.headers.get("www-authenticate", "")
    if "insufficient_scope" in challenge:  # RFC 6750, 3.1
        return True
    return not _RESOURCE_CODES.isdisjoint(map(_code, texts)) or any(map(_RESOURCE_WORDS.search, texts))


def asks_for_a_pause(headers: httpx.Headers) -> bool:
    """Whether an answer names a time to come back, readable or not."""
    return any(name in headers for name in ("retry-after", *_MILLISECONDS))


_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def pause(headers: httpx.Headers, now: datetime) -> datetime | None:
    """When a refusal says to come back, in a day at most; None when it does not say so, or not readably.

    That is `retry-after-ms` or its like, then Retry-After, then the last reset of the limits that are used up.
    """
    for name in _MILLISECONDS:
        milliseconds = headers.get(name, "").strip()
        if _SECONDS.fullmatch(milliseconds):
            return _in(float(milliseconds) / 1000, now)
    due = retry_after(headers.get("retry-after"), now)
    if due is not None:
        return due
    reset_s = _reset(announced(headers, now), reset_alone(headers, now))
    return None if reset_s is None else _in(reset_s, now)


def retry_after(value: str | None, now: datetime) -> datetime | None:
    """When a Retry-After header says to come back, in a day at most; None when it cannot be read.

    Delta seconds or an HTTP date (RFC 9110, 10.2.3); fractions of a second, which some send, are kept.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return _in(float(text), now)
    try:
        due = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return min(max(due if due.tzinfo else due.replace(tzinfo=UTC), now), now + LONGEST_PAUSE)


def error_texts(response: httpx.Response) -> Iterator[str]:
    """The short texts in which an error says what it is: of a header, of a JSON body at any depth, of an XML code."""
    if (named := response.headers.get("x-amzn-errortype")) is not None:
        yield named
    if len(response.content) > _LARGEST_ERROR_BYTES:
        return
    for code in _XML_CODE.findall(response.content):
        yield code.decode(errors="replace")
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        yield response.content[:1000].decode(errors="replace")
        return
    found = _texts(body, _DEEPEST)
    yield from (text for text, _ in zip(found, range(_MOST_TEXTS), strict=False))


def error_code(response: httpx.Response) -> str | None:
    """The `code` of an error's JSON body, at its top or one level below; None where there is none."""
    try:
        body = json.loads(response.content[:_LARGEST_ERROR_BYTES])
    except (ValueError, RecursionError):
        return None
    levels = [body, *body.values()] if isinstance(body, dict) else []
    found = (one.get("code") for one in levels if isinstance(one, dict))
    return next((code for code in found if isinstance(code, str)), None)


def _texts(body: Any, deep: int) -> Iterator[str]:
    if isinstance(body, str):
        yield body[:1000]
    elif isinstance(body, dict | list) and deep:
        for one in body.values() if isinstance(body, dict) else body:
            yield from _texts(one, deep - 1)


def _code(text: str) -> str:
    """The bare code of `prefix#ThrottlingException:http://…`, however it is written."""
    name = text.rpartition("#")[2].partition(":")[0]
    return "".join(filter(str.isalnum, name)).lower()


def _reset(limits: Sequence[Announced], alone: float | None) -> float | None:
    if not limits:
        return alone
    return max((one.reset_s for one in limits if one.remaining == 0), default=None)


def _in(seconds: float, now: datetime) -> datetime:
    return now + timedelta(seconds=min(seconds, LONGEST_PAUSE.total_seconds()))
