"""A failure of code that runs in a child, raised again in the worker as it would have been there."""

from __future__ import annotations

import traceback
from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import ValidationError

from pdpp_worker.errors import (
    AuthExpired,
    Challenged,
    ConfigurationError,
    Forbidden,
    Gone,
    NeedsOwner,
    PdppError,
    ProtocolViolation,
    ProviderError,
    ShapeError,
    StorageFull,
    Throttled,
    UpstreamError,
)
from pdpp_worker.protocol.messages import describe

LONGEST_TEXT = 20_000
"""Characters of an error's text, and of its traceback."""
_KNOWN: dict[str, type[PdppError]] = {
    kind.__name__: kind
    for kind in (
        *(PdppError, ConfigurationError, ProtocolViolation, ProviderError, Throttled, NeedsOwner, Challenged),
        *(AuthExpired, Forbidden, Gone, ShapeError, UpstreamError, StorageFull),
    )
}
_FIELDS = ("status", "retry_after", "reason", "code", "field")
_Text = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]


class Raised(msgspec.Struct, array_like=True):
    """An exception; `number` is that of a failure of the system, what follows are the fields of our own ones."""

    name: _Text
    text: _Text
    traceback: _Text
    number: int | None = None
    status: int | None = None
    retry_after: datetime | None = None
    reason: str | None = None
    code: str | None = None
    field: str | None = None


class _InTheChildError(Exception):
    """The traceback of an exception, as the child saw it."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def told(error: Exception) -> Raised:
    """An exception as it can be sent."""
    if isinstance(error, ValidationError):
        return told(PdppError(describe(error)))
    trace = _shown("".join(traceback.format_exception(error))[-LONGEST_TEXT:])
    if isinstance(error, OSError):
        return Raised("OSError", _shown(error.strerror or str(error)), trace, error.errno)
    name = next((kind.__name__ for kind in type(error).__mro__ if _KNOWN.get(kind.__name__) is kind), "")
    if not name:
        return Raised(type(error).__name__, _shown(str(error)), trace)
    return Raised(name, _shown(str(error)), trace, **{one: getattr(error, one, None) for one in _FIELDS})


def again(raised: Raised) -> Exception:
    """The exception to raise; of a kind that is nobody's to catch, one of the same name."""
    error = _made(raised)
    error.__cause__ = _InTheChildError(raised.traceback)
    return error


def _made(raised: Raised) -> Exception:
    if raised.name == "OSError":
        return OSError(raised.text) if raised.number is None else OSError(raised.number, raised.text)
    kind = _KNOWN.get(raised.name)
    if kind is None:
        foreign: Exception = type(raised.name if raised.name.isidentifier() else "Failure", (Exception,), {})(
            raised.text
        )
        return foreign
    error: PdppError = kind.__new__(kind, raised.text)
    for name in _FIELDS:
        setattr(error, name, getattr(raised, name))
    return error


def _shown(text: str) -> str:
    """The text in characters that can be sent."""
    return text[:LONGEST_TEXT].encode(errors="backslashreplace").decode()[:LONGEST_TEXT]
