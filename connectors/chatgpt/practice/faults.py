"""Chooses the requests that go wrong, by the seed and the number of the request."""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate

from connectors.chatgpt.practice.options import FaultOptions
from pdpp_worker.conformance.seeding import fraction

NOT_FOUND = 404


class Fault(StrEnum):
    """A fault that a request can meet."""

    CHALLENGE = "challenge"
    ERROR = "error"
    CUT = "cut"
    MAINTENANCE = "maintenance"
    SLOW = "slow"


def fixed_detail(status: int, conversation_id: str | None, options: FaultOptions) -> object:
    """The reason of a fixed status: of a single conversation the platform says by a code that it is not there."""
    if status == NOT_FOUND and conversation_id in options.status_by_id:
        return {"message": f"Can't load conversation {conversation_id}", "code": options.not_found_code}
    return "Fixed by the fault options"


class FaultPlan:
    """The faults of one run of the server."""

    def __init__(self, options: FaultOptions, seed: int) -> None:
        self.options = options
        self._seed = seed
        self._bounds = list(zip(map(Fault, options.shares), accumulate(options.shares.values()), strict=True))

    def choose(self, number: int) -> Fault | None:
        """The fault that request `number` meets, if any."""
        position = fraction(self._seed, "fault", number)
        return next((fault for fault, bound in self._bounds if position < bound), None)

    def fixed_status(self, kind: str, conversation_id: str | None) -> int | None:
        """The status that this resource is always answered with, if one is set."""
        by_id = self.options.status_by_id.get(conversation_id or "")
        return by_id or self.options.status_by_kind.get(kind)
