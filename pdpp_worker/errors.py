"""The error tree.

PdppError
├── ConfigurationError     a setting, manifest or argument is wrong; the owner can correct it
│   ├── ServerAwayError    a server cannot be reached
│   ├── SchemaMismatchError  the database schema is of another version
│   └── NotFoundError      the named connection, run, stream or connector does not exist
├── ProtocolViolation      a connector broke the Collection Profile
├── LeaseLostError         another worker holds the connection now; nothing more may be written
├── PacerUnavailableError  Redis cannot be reached, so no request may be sent
└── ProviderError          what a provider answered, as the connector sees it
    ├── Throttled          429, or a pause that the provider asked for
    ├── NeedsOwner         time alone does not fix it: the owner has to act first
    │   ├── Challenged     a bot check that only the owner can pass
    │   └── AuthExpired    the credentials no longer work
    ├── Forbidden          the account may not read this one resource
    ├── Gone               the resource does not exist at the provider
    ├── ShapeError         an answer of a shape that this version does not know
    └── UpstreamError      5xx, 408, a broken or silent connection
        └── StorageFull    no more files of this connection are kept
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class PdppError(Exception):
    """An error that a person can be told about; `slug` is stable for logs and rows."""

    slug: ClassVar[str] = "error"


class ConfigurationError(PdppError):
    """A setting, manifest or argument is wrong."""

    slug = "configuration"


class ServerAwayError(ConfigurationError):
    """A server cannot be reached; it passes with time, or the owner corrects where it is looked for."""

    slug = "server_away"


class SchemaMismatchError(ConfigurationError):
    """The database schema is of a version that this code cannot work with."""

    slug = "schema_mismatch"


class NotFoundError(ConfigurationError):
    """A name, given by a person, of what does not exist."""

    slug = "not_found"


class ProtocolViolation(PdppError):  # noqa: N818 - the profile's own term
    """A connector sent what the Collection Profile does not allow; `field` is the member that is wrong."""

    slug = "protocol_violation"

    def __init__(self, message: str, *, field: str = "message") -> None:
        super().__init__(message)
        self.field = field


class LeaseLostError(PdppError):
    """The lease of the connection went to another worker."""

    slug = "lease_lost"


class PacerUnavailableError(PdppError):
    """The pacing server cannot be reached; no request is sent without it."""

    slug = "pacer_unavailable"


class ProviderError(PdppError):
    """A failed request; `reason` is the gap reason that it leads to, `retry_after` the time to come back, if told."""

    slug = "provider"
    reason: str = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: datetime | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        if reason is not None:
            self.reason = reason


class Throttled(ProviderError):  # noqa: N818 - named as the field names it
    """The provider refused for the rate; `retry_after` is when it said to come back, if it said."""

    slug = "throttled"
    reason = "rate_limited"

    def __init__(self, message: str, *, status: int = 429, retry_after: datetime | None = None) -> None:
        super().__init__(message, status=status, retry_after=retry_after)


class NeedsOwner(ProviderError):  # noqa: N818 - named as a state, not as a failure of ours
    """The owner has to act before anything further is asked for."""

    slug = "needs_owner"


class Challenged(NeedsOwner):
    """The provider shows a bot check; only the owner can pass it."""

    slug = "challenged"
    reason = "challenged"


class AuthExpired(NeedsOwner):
    """The provider no longer accepts the credentials."""

    slug = "credentials_expired"
    reason = "credentials_expired"


class Forbidden(ProviderError):  # noqa: N818 - named as the field names it
    """The provider accepts the credentials, and refuses this resource to them."""

    slug = "forbidden"
    reason = "source_partition_failed"


class Gone(ProviderError):  # noqa: N818 - named as the field names it
    """The provider affirmed that the resource does not exist; `code` is its body's word for that, if it has one."""

    slug = "gone"

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message, status=status)
        self.code = code


class ShapeError(ProviderError):
    """An answer, a page or a file has a shape that this version of the connector does not know."""

    slug = "shape"
    reason = "shape_changed"


class UpstreamError(ProviderError):
    """The provider failed: 5xx, 408, a connection that broke or stayed silent."""

    slug = "upstream"


class StorageFull(UpstreamError):  # noqa: N818 - named as a state
    """The connection's files have reached their bound, or the disk is nearly full."""

    slug = "storage_full"
    reason = "storage_full"
