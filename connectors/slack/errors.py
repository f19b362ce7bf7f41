"""Failures beyond those that every connector meets."""

from __future__ import annotations

from pdpp_worker.connector import ProviderError, Reason, ShapeError, UpstreamError


class ScopeMissing(ProviderError):  # noqa: N818 - named as Slack names it
    """The token may not be used for this; the owner has to grant the scope."""

    slug = "scope_missing"
    reason = "credentials_expired"


class Refused(ProviderError):  # noqa: N818 - named as the field names it
    """Slack refuses one conversation or thread to this account for now."""

    slug = "refused"
    reason = "source_partition_failed"


class OutOfSight(Refused):
    """Slack says that there is no such thing for this account, which it says of what the account may not see too."""


class NotOffered(UpstreamError):  # noqa: N818 - it says what became of it
    """The method does not exist where the connection asks."""


class CursorLost(UpstreamError):  # noqa: N818 - it says what became of it
    """Slack does not know the place in a list any more."""


class NamelessError(ShapeError):
    """Items of an answer have nothing by which they could be kept; the others were given."""


class DisorderError(Refused):
    """A list came in another order than its pages are cut by, so that parts of it may have been passed over."""


class ShortError(Refused):
    """A list is shorter than Slack itself counts it; what it named was given."""


class Unreadable(ProviderError):  # noqa: N818 - it says what a row is
    """A row of the archive is not a JSON object."""

    slug = "unreadable"
    reason = "parse_failed"


class ArchiveError(Exception):
    """The archive cannot be read; says why, without a path."""

    def __init__(self, text: str, reason: Reason = Reason.SOURCE_PARTITION_FAILED) -> None:
        super().__init__(text)
        self.reason = reason
