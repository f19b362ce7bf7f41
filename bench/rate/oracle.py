"""The all-knowing client: it asks the provider's law itself, and sends the moment it would be admitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pdpp_worker.conformance.quota.models import QuotaModel
from pdpp_worker.pacing.announced import Announced

LOOK_S = 0.5
"""How far it trusts a law's wait: a quota that drifts may open sooner."""


class Oracle:
    """As fast as the law and the ceiling admit, without one refusal. The provider itself must not charge it again."""

    def __init__(self, law: QuotaModel, ceiling_s: float) -> None:
        self._law, self._ceiling = law, ceiling_s
        self._sent_at, self._granted_at = -math.inf, -math.inf

    def next_send(self, now: float) -> float:
        """When the law admits the next request."""
        at = max(now, self._sent_at + self._ceiling)
        if self._granted_at > self._sent_at:
            return max(at, self._granted_at)
        while (decision := self._law.admit(at)).verdict.refuses:
            at += min(decision.wait_s + 1e-9, max(LOOK_S, decision.wait_s / 20))
        self._granted_at = at
        return at

    def on_send(self, now: float) -> None:
        """Remember it for the ceiling."""
        self._sent_at = now

    def on_success(self, now: float) -> None:
        """Nothing to learn."""

    def on_announced(self, now: float, limits: Sequence[Announced]) -> None:
        """Do nothing: it knows the answer."""

    def on_throttle(self, now: float, retry_after_s: float | None) -> None:
        """Never happens."""

    def on_upstream_error(self, now: float) -> None:
        """Nothing to learn."""

    def snapshot(self, now: float) -> dict[str, Any]:  # noqa: ARG002
        """Do nothing: it needs no memory."""
        return {}

    def restore(self, snapshot: dict[str, Any], now: float, age_s: float) -> None:
        """Do nothing: it needs no memory."""
