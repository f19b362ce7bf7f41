"""The quota that a practice provider has: which model, how fast, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ModelName = Literal["none", "bucket", "sliding", "fixed"]
RetryAfterForm = Literal["none", "seconds", "date"]
QuotaScope = Literal["details", "all"]

_MODELS = ("none", "bucket", "sliding", "fixed")
_RETRY_AFTER = ("none", "seconds", "date")
_SCOPES = ("details", "all")


def require(condition: bool, message: str) -> None:
    """Refuse options that have no meaning; raises ValueError with the message."""
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class QuotaOptions:
    """The number of requests that the provider admits.

    A window admits `rate_per_s * window_s` requests, at least one; `burst` belongs to the bucket alone.
    Raises ValueError for a value that has no meaning.
    """

    model: ModelName = "none"
    rate_per_s: float = 1.0
    burst: float = 10.0
    window_s: float = 60.0
    steps: tuple[tuple[float, float], ...] = ()
    """Drift: (seconds after the quota began, requests per second from then on), in order of time."""
    retry_after: RetryAfterForm = "none"
    scope: QuotaScope = "details"
    """`details` charges single and batched conversation reads; `all` charges every request."""
    penalty_refusals: int = 0
    """Refusals within 60 s that close the account for `penalty_s`; 0: no penalty."""
    penalty_s: float = 600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple((float(after), float(rate)) for after, rate in self.steps))
        require(self.model in _MODELS, f"model must be one of {_MODELS}")
        require(self.retry_after in _RETRY_AFTER, f"retry_after must be one of {_RETRY_AFTER}")
        require(self.scope in _SCOPES, f"scope must be one of {_SCOPES}")
        require(min(self.rate_per_s, *(rate for _, rate in self.steps), 1) > 0, "every rate must be above 0")
        require(self.burst >= 1, "burst must be at least 1")
        require(self.window_s > 0 and self.penalty_s > 0, "window_s and penalty_s must be above 0")
        require(self.penalty_refusals >= 0, "penalty_refusals must not be negative")
        require(list(self.steps) == sorted(self.steps), "steps must be in order of time")
