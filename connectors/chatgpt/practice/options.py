"""Choices for the practice server: when it starts, or while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pdpp_worker.conformance.quota.options import QuotaOptions, require


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """Faults, as shares of all requests in [0, 1]; a request meets one fault at most.

    Raises ValueError for a value that has no meaning.
    """

    error_share: float = 0.0
    error_status: int = 503
    slow_share: float = 0.0
    slow_s: float = 1.0
    cut_share: float = 0.0
    """The connection closes in the middle of the body."""
    challenge_share: float = 0.0
    """A bot check instead of the answer: 403 and an HTML page."""
    maintenance_share: float = 0.0
    """An HTML page with status 200 instead of JSON."""
    token_requests: int | None = None
    """The access token expires after this many requests; None: never."""
    status_by_id: Mapping[str, int] = field(default_factory=dict)
    """Conversations whose details are always answered with this status; a batch leaves them out."""
    not_found_code: str = "conversation_not_found"
    """The code that comes with a 404 of `status_by_id`."""
    status_by_kind: Mapping[str, int] = field(default_factory=dict)
    """Kinds of request (`list`, `gizmos`, `shares` …) that are always answered with this status."""

    list_order: str = "updated"
    """The order of the lists of conversations: `updated`, `shuffled`, or `stray` (an old one among new ones)."""
    list_page: int | None = None
    """Most items of a page of these lists, however many are asked for."""
    list_repeats: bool = False
    """They answer with their first page, whatever the offset."""
    list_surplus: int = 0
    """So many more than there are do they count."""
    list_misses: bool = False
    """They say that they miss conversations."""
    new_field: str | None = None
    """A text that every item has in a field which the platform never sent, with the name of its kind."""

    def __post_init__(self) -> None:
        require(self.list_order in ("updated", "shuffled", "stray"), "list_order must be updated, shuffled or stray")
        require(self.list_page is None or self.list_page > 0, "list_page must be positive")
        require(all(0 <= share <= 1 for share in self.shares.values()), "every share must be in [0, 1]")
        require(sum(self.shares.values()) <= 1, "the shares must not add up to more than 1")
        require(500 <= self.error_status <= 599, "error_status must be a 5xx status")
        require(self.slow_s >= 0, "slow_s must not be negative")
        fixed = (*self.status_by_id.values(), *self.status_by_kind.values())
        require(all(400 <= status <= 599 for status in fixed), "a fixed status must be a 4xx or 5xx status")

    @property
    def shares(self) -> dict[str, float]:
        """Fault to share, in the order in which they are tried."""
        return {
            "challenge": self.challenge_share,
            "error": self.error_share,
            "cut": self.cut_share,
            "maintenance": self.maintenance_share,
            "slow": self.slow_share,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the account between two visits; counts of conversations."""

    updates: int = 0
    new: int = 0
    deleted: int = 0
    seed: int = 0
    hidden: int = 0
    """So many leave their list, though they can still be read; the next change brings them back."""

    def __post_init__(self) -> None:
        require(min(self.updates, self.new, self.deleted, self.hidden) >= 0, "a count must not be negative")


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """The account and the server; the account depends on `seed`, `conversations` and `state` alone."""

    seed: int = 7
    conversations: int = 300
    port: int = 0
    """0: a free port."""
    token: str = "demo-token"  # noqa: S105 - opens a made-up account on loopback
    session_token: str = "demo-session"  # noqa: S105 - likewise
    log: Path | None = None
    ready_file: Path | None = None
    state: Path | None = None
    """The file that keeps each `advance`, so that a restart shows the same account."""
    watch_stdin: bool = False
    """Stop when standard input ends: a child with a pipe from its parent never outlives it."""
    quota: QuotaOptions = field(default_factory=QuotaOptions)
    faults: FaultOptions = field(default_factory=FaultOptions)

    def __post_init__(self) -> None:
        require(self.conversations >= 0, "conversations must not be negative")
