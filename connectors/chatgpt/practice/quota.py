"""The quota of the practice server: a model with a clock, charged for some kinds of request."""

from __future__ import annotations

from collections.abc import Callable

from pdpp_worker.conformance.quota.combined import build_model
from pdpp_worker.conformance.quota.decisions import UNCHARGED, Decision
from pdpp_worker.conformance.quota.options import QuotaOptions


class Quota:
    """A quota model with a clock (seconds, never going back); the scope `details` charges those kinds only."""

    CHARGED_AS_DETAILS = frozenset({"detail", "batch"})

    def __init__(self, options: QuotaOptions, clock: Callable[[], float]) -> None:
        self.options = options
        self._clock = clock
        self._model = build_model(options, clock())

    def charge(self, kind: str) -> Decision:
        """Decide on a request of this kind, now."""
        if self.options.scope == "details" and kind not in self.CHARGED_AS_DETAILS:
            return UNCHARGED
        return self._model.admit(self._clock())
