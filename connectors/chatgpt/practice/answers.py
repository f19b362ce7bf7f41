"""Answers in the forms that the platform gives them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

from pdpp_worker.conformance.quota.options import RetryAfterForm

JSON = "application/json"
HTML = "text/html; charset=UTF-8"

CHALLENGE_PAGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title><meta name="robots" content="noindex,nofollow"></head>
<body><noscript>Enable JavaScript and cookies to continue</noscript>
<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script></body></html>
"""
MAINTENANCE_PAGE = b"""<!DOCTYPE html>
<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>
"""
SIGN_IN_PAGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>Sign in</title><link rel="icon" href="data:,"></head>
<body><form method="post" action="/auth/callback"><button>Sign in</button></form></body></html>
"""
HOME_PAGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>Chat</title><link rel="icon" href="data:,"></head><body>Signed in.</body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers of an answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A request that is answered with an error: its status and `detail`."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail = status, detail


def json_answer(value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """200 with a JSON body; half surrogate pairs and NUL travel as escapes."""
    return Answer(200, json.dumps(value).encode(), headers=headers or {})


def html_answer(page: bytes) -> Answer:
    """200 with a page for people."""
    return Answer(200, page, HTML)


def error_answer(status: int, detail: object) -> Answer:
    """An error with its reason under `detail`."""
    return Answer(status, json.dumps({"detail": detail}).encode())


def too_many_requests(form: RetryAfterForm, now: float, wait_s: float) -> Answer:
    """429 at `now` (Unix s), with or without the time to come back, in whole seconds rounded up."""
    forms = {"seconds": str(math.ceil(wait_s)), "date": formatdate(math.ceil(now + wait_s), usegmt=True)}
    headers = {"Retry-After": forms[form]} if form in forms else {}
    return Answer(429, b'{"detail":"Too many requests"}', headers=headers)


def challenge() -> Answer:
    """The bot check in front of the platform."""
    return Answer(403, CHALLENGE_PAGE, HTML, {"cf-mitigated": "challenge", "cf-ray": "0", "Server": "cloudflare"})


def maintenance() -> Answer:
    """A page for people where a program expects JSON, as if all were well."""
    return Answer(200, MAINTENANCE_PAGE, HTML)
