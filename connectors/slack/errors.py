"""Failures beyond those that every connector meets."""

from __future__ import annotations

from pdpp_worker.connector import ProviderError, Reason, ShapeError


class ScopeMissing(ProviderError):  # noqa: N818 - named as Slack names it
    """The token may not be used for this; the owner has to grant the scope."""

    slug = "scope_missing"
    reason = "credentials_expired"


class Refused(ProviderError):  # noqa: N818 - named as the field names it
    """Slack refuses one conversation or thread to this account for now."""

    slug = "refused"
    reason = "source_partition_failed"


class NamelessError(ShapeError):
    """Items of an answer have nothing by which they could be kept; the others were given."""


class Unreadable(ProviderError):  # noqa: N818 - it says what a row is
    """A row of the archive is not a JSON object."""

    slug = "unreadable"
    reason = "parse_failed"


class ArchiveError(Exception):
    """The archive cannot be read; says why, without a path."""

    def __init__(self, text: str, reason: Reason = Reason.SOURCE_PARTITION_FAILED) -> None:
        super().__init__(text)
        self.reason = reason
