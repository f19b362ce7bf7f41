"""Types the refusals NO, BAD and BYE by their response code (RFC 5530) or, where there is none, by their words."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pdpp_worker.connector import (
    AuthExpired,
    Challenged,
    ProviderError,
    Reason,
    ShapeError,
    StorageFull,
    Throttled,
    UpstreamError,
)

APP_PASSWORD = "create an app password (for Gmail: myaccount.google.com/apppasswords) or renew the OAuth token"  # noqa: S105

_WORDS = 200
"""Characters of a server's sentence that are kept."""
_LONGEST = 2_000
"""Characters of a server's answer that are looked at."""
_CODE = re.compile(r"\[([A-Z0-9-]+)", re.IGNORECASE)
_BACKOFF = re.compile(r"backoff time:?\s*(\d{1,9})\s*(ms|milli)?", re.IGNORECASE)
_LONGEST_PAUSE = timedelta(days=1)

_CHALLENGE = re.compile(r"webalert|web login required|log ?in via your web browser", re.IGNORECASE)
_THROTTLE = re.compile(
    r"throttl|too many (simultaneous|concurrent|connections)|maximum number of connections"
    r"|rate.?limit|bandwidth limit|exceeded command|backoff time",
    re.IGNORECASE,
)
_SIGN_IN = re.compile(r"application-specific password|invalid credentials|account.*disabled", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"\[NONEXISTENT\]|unknown mailbox|no such mailbox|mailbox (does not|doesn't) exist", re.IGNORECASE
)
_OUTAGE = re.compile(r"temporar|try again|lookup failed|system error", re.IGNORECASE)


class RefusedError(UpstreamError):
    """The server said NO or BAD to one command; others may still succeed."""


class OutageError(RefusedError):
    """The server says that something of its own failed: a message or a mailbox perhaps, perhaps everything."""


_ONE_COMMAND = ("LIMIT", "OVERQUOTA")
"""Codes that may be about one command alone (RFC 5530), where its label says that it asks for mail."""
_FOR_MAIL = ("FETCH", "SEARCH")
_BY_CODE: dict[str, type[ProviderError]] = {
    "AUTHENTICATIONFAILED": AuthExpired,
    "AUTHORIZATIONFAILED": AuthExpired,
    "EXPIRED": AuthExpired,
    "WEBALERT": Challenged,
    "THROTTLED": Throttled,
    "OVERQUOTA": Throttled,
    "LIMIT": Throttled,
    "UNAVAILABLE": OutageError,
}
_BY_WORDS = ((_CHALLENGE, Challenged), (_THROTTLE, Throttled), (_SIGN_IN, AuthExpired), (_OUTAGE, OutageError))


class LostError(UpstreamError):
    """The connection broke, or stayed silent for too long."""


class SilentError(ShapeError):
    """The server told less than it has. It may tell all of it the next time: nobody has to wait for a newer version."""

    slug = "silent"
    reason = "upstream_error"


class HungUpError(LostError):
    """The server signs in and opens the mailbox, and twice hung up on this one command: it is the command's fault."""


OF_ONE = (RefusedError, ShapeError, HungUpError, StorageFull)
"""Failures that may be about one text or file alone: the others are read."""


def typed(said: str, label: str) -> ProviderError | None:
    """The outcome that a server's words stand for; None when they are about this one command only."""
    code = code_of(said)
    kind = _BY_CODE.get(code)
    if code in _ONE_COMMAND and label.startswith(_FOR_MAIL):
        kind = OutageError
    # A connection limit may hide behind a code that says nothing but "not now".
    if kind is None or kind is OutageError:
        kind = next((one for pattern, one in _BY_WORDS if pattern.search(said)), kind)
    if kind is None:
        return None
    sentence = f"{label}: {quoted(said)}"
    if kind is Throttled:
        return Throttled(sentence, retry_after=_pause(said))
    if kind is AuthExpired:
        return AuthExpired(f"{sentence}; {APP_PASSWORD}")
    if kind is Challenged:
        return Challenged(f"{sentence}; sign in once in the browser")
    return kind(sentence)


def code_of(said: str) -> str:
    """The response code in a server's words, in capitals; empty: there is none."""
    found = _CODE.search(said)
    return found.group(1).upper() if found else ""


def is_unknown_mailbox(refusal: ProviderError) -> bool:
    """Whether the server says in words that it has no such mailbox."""
    return isinstance(refusal, RefusedError) and _UNKNOWN.search(str(refusal)) is not None


def quoted(said: str) -> str:
    """A server's words on one line, shortened."""
    return " ".join(said.split())[:_WORDS]


def words_of(error: Exception) -> str:
    """The server's words, out of the wrapping that the library puts around them."""
    text = str(error)[:_LONGEST]
    found = re.search(r"(?:b'|b\")(.*?)(?:'\]?|\"\]?)$", text)
    return found.group(1) if found else text


@contextmanager
def lost_connections(label: str, last_words: Callable[[], str] = str) -> Iterator[None]:
    """Turn a broken connection into a typed outcome; what the server said in parting decides which.

    Raises:
        ProviderError: `LostError`, or what the server's last words stand for.
    """
    try:
        yield
    except imaplib.IMAP4.abort as error:
        said = last_words() or words_of(error)
        raise typed(said, label) or _lost(f"{label}: {quoted(said)}") from None
    except TimeoutError:
        raise LostError(f"{label}: no answer in time", reason=Reason.TIMED_OUT.value) from None
    except OSError as error:
        raise _lost(f"{label}: {error.strerror or type(error).__name__}") from None


def _lost(text: str) -> LostError:
    return LostError(text, reason=Reason.NETWORK_ERROR.value)


def _pause(said: str) -> datetime | None:
    found = _BACKOFF.search(said)
    if found is None:
        return None
    pause = timedelta(milliseconds=int(found.group(1))) if found.group(2) else timedelta(seconds=int(found.group(1)))
    return datetime.now(UTC) + min(pause, _LONGEST_PAUSE)
