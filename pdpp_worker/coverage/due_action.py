"""The one thing that is asked of the owner about a connection. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.protocol.reasons import Reason


class Action(StrEnum):
    """An action of the owner."""

    ACCEPT_ACCOUNT = "accept_account"
    SIGN_IN = "sign_in"
    DECIDE = "decide"
    RESUME = "resume"
    RECOVER = "recover"
    RUN = "run"


def due_action(outlook: Outlook, streams: Sequence[StreamCoverage]) -> Action | None:
    """The action that comes first; None: nothing is asked of the owner, or no button does it."""
    if outlook.manifest is None:
        return None
    waiting = [one for one in streams if one.verdict is Verdict.WAITING_FOR_OWNER]
    reasons = {reason for one in waiting for reason in one.gaps_by_reason}
    if outlook.view.other_account is not None:
        return Action.ACCEPT_ACCOUNT
    if Reason.CREDENTIALS_EXPIRED in reasons:
        return Action.SIGN_IN
    if any(one.deletions_waiting for one in waiting):
        return Action.DECIDE
    if outlook.is_paused:
        return Action.RESUME
    if any(one.open_gaps for one in waiting):
        return Action.RECOVER
    return Action.RUN if outlook.view.next_run_at is None and outlook.waits.run is None else None
