"""The budget that is left for a phase of a run."""

from __future__ import annotations

from typing import Literal

from pdpp_worker.protocol.messages import Budget
from pdpp_worker.store.batch import Spent

Phase = Literal["recover", "walk", "drain"]
"""A forward run retries known gaps first, within a share of its budget; then it walks; then it retries gaps with the
rest of its budget. A recovery run only retries gaps."""


class RemainingBudget:
    """The run's budget, less what its earlier slices spent; None is no limit."""

    def __init__(self, budget: Budget, spent: Spent, share: float = 1.0) -> None:
        """`share`, from 0 to 1, is the part of the budget that this phase may use."""
        self.seconds = _left(budget.seconds, spent.seconds, share)
        self._requests = _left(budget.requests, spent.requests, share)
        self._items = _left(budget.items, spent.items, share)

    @property
    def requests(self) -> int | None:
        """Requests that may still be sent."""
        return None if self._requests is None else int(self._requests)

    @property
    def items(self) -> int | None:
        """Gaps that may still be tried."""
        return None if self._items is None else int(self._items)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left of time, requests or items."""
        return any(left is not None and left < 1 for left in (self._requests, self._items)) or self.seconds == 0

    @property
    def as_budget(self) -> Budget:
        """The same, as START tells it."""
        return Budget(seconds=self.seconds or None, requests=self.requests or None, items=self.items or None)


def clamp(given: Budget, run_budget_s: float) -> Budget:
    """The budget that a run was given, with at most `run_budget_s` seconds."""
    seconds = run_budget_s if given.seconds is None else min(given.seconds, run_budget_s)
    return given.model_copy(update={"seconds": seconds})


def _left(limit: float | None, spent: float, share: float) -> float | None:
    return None if limit is None else max(0.0, limit * share - spent)
