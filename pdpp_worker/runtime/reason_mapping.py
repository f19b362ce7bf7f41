"""Maps a connector's reason, in the profile's words or its own, to a reason of our list."""

from __future__ import annotations

from collections.abc import Mapping

from pdpp_worker.protocol.messages import STREAM_FAILED, HintAction, SkipResult
from pdpp_worker.protocol.reasons import Reason, RecoveryKind, known_reason

_BY_HINT: Mapping[HintAction, Reason] = {
    "refresh_credentials": Reason.CREDENTIALS_EXPIRED,
    "manual_action_required": Reason.CHALLENGED,
    "retry_by_runtime": Reason.UPSTREAM_ERROR,
    "upstream_unblock": Reason.UPSTREAM_ERROR,
    "retry_on_connector_upgrade": Reason.PARSE_FAILED,
    "update_selector": Reason.PARSE_FAILED,
    "not_retriable": Reason.PARSE_FAILED,
}
_BY_KIND = {RecoveryKind.RUNTIME: Reason.UPSTREAM_ERROR, RecoveryKind.UPGRADE: Reason.PARSE_FAILED}


def reason_for_skip(skip: SkipResult) -> tuple[Reason, str]:
    """The reason of our list, and the connector's own words where it used others."""
    if (known := known_reason(skip.reason)) is not None:
        return known, ""
    if skip.reason == STREAM_FAILED:
        return Reason.SOURCE_PARTITION_FAILED, ""
    if (hinted := reason_by_hint(skip.hint_action)) is not None and skip.recovery_kind is not RecoveryKind.UPGRADE:
        return hinted, skip.reason
    return _BY_KIND[skip.recovery_kind or RecoveryKind.RUNTIME], skip.reason


def reason_by_hint(action: HintAction | None) -> Reason | None:
    """The reason that follows from the profile's hint of who has to act; None where the hint leaves that open."""
    return _BY_HINT.get(action) if action is not None else None
