"""The closed list of reasons for which something can be missing, and who retries it."""

from __future__ import annotations

from enum import StrEnum


class RecoveryKind(StrEnum):
    """The party that retries a gap, and the time of it."""

    RUNTIME = "retry_by_runtime"
    UPGRADE = "retry_on_connector_upgrade"
    STRUCTURAL = "permanent_structural"
    FILTER = "filter_applied"


RETRYABLE_KINDS = frozenset({RecoveryKind.RUNTIME, RecoveryKind.UPGRADE})


class Reason(StrEnum):
    """Why something expected was not obtained. Each has one recovery kind and one sentence for the owner."""

    kind: RecoveryKind
    sentence: str

    def __new__(cls, value: str, kind: RecoveryKind, sentence: str) -> Reason:
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind = kind
        member.sentence = sentence
        return member

    RATE_LIMITED = (
        "rate_limited",
        RecoveryKind.RUNTIME,
        "The provider refused because requests came too fast; it is asked again later.",
    )
    UPSTREAM_ERROR = (
        "upstream_error",
        RecoveryKind.RUNTIME,
        "The provider answered with an error of its own; it is asked again later.",
    )
    NETWORK_ERROR = (
        "network_error",
        RecoveryKind.RUNTIME,
        "The connection to the provider broke; it is asked again later.",
    )
    TIMED_OUT = (
        "timed_out",
        RecoveryKind.RUNTIME,
        "The provider did not answer in time; it is asked again later.",
    )
    CHALLENGED = (
        "challenged",
        RecoveryKind.RUNTIME,
        "The provider shows a bot check; open the account yourself (connection login, or a browser), then recover.",
    )
    CREDENTIALS_EXPIRED = (
        "credentials_expired",
        RecoveryKind.RUNTIME,
        "The sign-in no longer works; renew it (connection login or connection secret), and it goes on.",
    )
    ANOTHER_ACCOUNT = (
        "another_account",
        RecoveryKind.RUNTIME,
        "The source is signed in to another account than before; sign in to the old one, or add a connection for this.",
    )
    SOURCE_PARTITION_FAILED = (
        "source_partition_failed",
        RecoveryKind.RUNTIME,
        "One part of the source could not be read; it is tried again later.",
    )
    STORAGE_FULL = (
        "storage_full",
        RecoveryKind.RUNTIME,
        "There is no room for its files: make room, or raise PDPP_CONNECTION_FILES_MB; it is tried again later.",
    )
    UPSTREAM_PRESSURE = (
        "upstream_pressure",
        RecoveryKind.RUNTIME,
        "Put off because the provider was refusing requests; it is fetched later.",
    )
    RUN_BUDGET_DEFERRED = (
        "run_budget_deferred",
        RecoveryKind.RUNTIME,
        "Put off because the run had used its budget; it is fetched later.",
    )
    RETRY_EXHAUSTED = (
        "retry_exhausted",
        RecoveryKind.RUNTIME,
        "Several tries in a row failed; it is tried again later.",
    )
    RANGE_SHORTENED = (
        "range_shortened",
        RecoveryKind.RUNTIME,
        "The source gave a shorter period than promised; the rest is asked for again later.",
    )
    TEMPLATE_UNKNOWN = (
        "template_unknown",
        RecoveryKind.UPGRADE,
        "This version does not know the document's layout; a newer version will read it.",
    )
    PARSE_FAILED = (
        "parse_failed",
        RecoveryKind.UPGRADE,
        "This version could not read the content; it looks once more after a day, then a newer version will.",
    )
    SHAPE_CHANGED = (
        "shape_changed",
        RecoveryKind.UPGRADE,
        "The provider's answers have a shape this version does not know; after one more look, a newer version will.",
    )
    EXPORT_NOT_WIRED = (
        "export_not_wired",
        RecoveryKind.UPGRADE,
        "This version cannot work the export of this part yet; a newer version will.",
    )
    SCOPE_NOT_SUPPORTED = (
        "scope_not_supported",
        RecoveryKind.UPGRADE,
        "This version cannot narrow its work as asked, so it left it; a newer version may.",
    )
    STATE_TOO_LARGE = (
        "state_too_large",
        RecoveryKind.UPGRADE,
        "The connector's cursor is too large to keep; a newer version will keep a smaller one.",
    )
    RECORD_REJECTED = (
        "record_rejected",
        RecoveryKind.UPGRADE,
        "The record breaks its declared shape; it is kept as it came, and a newer version will read it.",
    )


def known_reason(value: str) -> Reason | None:
    """The reason of that name, or None for a word of the connector's own."""
    return next((reason for reason in Reason if reason.value == value), None)


PRESSURE = frozenset({Reason.RATE_LIMITED, Reason.UPSTREAM_PRESSURE})
"""Reasons that speak of the provider's limits; only these hold back other work of the connection."""

MAY_HAVE_PASSED = frozenset({Reason.PARSE_FAILED, Reason.SHAPE_CHANGED})
"""Reasons that the same version looks at once more before a newer one does: the source may have been half written."""

NEEDS_OWNER = frozenset({Reason.CHALLENGED, Reason.CREDENTIALS_EXPIRED, Reason.ANOTHER_ACCOUNT})
"""Reasons that time alone does not fix: the owner has to act first."""
