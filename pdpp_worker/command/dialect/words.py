"""A connector's own words for why something is missing, as reasons of our list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pdpp_worker.protocol.messages import STREAM_FAILED, HintAction
from pdpp_worker.protocol.reasons import Reason, RecoveryKind, known_reason

BY_HINT: Mapping[HintAction, Reason] = {
    "not_retriable": Reason.PARSE_FAILED,
    "update_selector": Reason.PARSE_FAILED,
    "retry_on_connector_upgrade": Reason.PARSE_FAILED,
    "refresh_credentials": Reason.CREDENTIALS_EXPIRED,
    "manual_action_required": Reason.CHALLENGED,
    "retry_by_runtime": Reason.UPSTREAM_ERROR,
    "upstream_unblock": Reason.UPSTREAM_ERROR,
}
"""`unknown` says nothing."""

BY_WORD: tuple[tuple[frozenset[str], Reason], ...] = (
    (
        frozenset({"parse", "shape", "schema", "template", "selector", "unsupported", "wiring", "csv"}),
        Reason.PARSE_FAILED,
    ),
    (frozenset({"auth", "login", "session", "credential"}), Reason.CREDENTIALS_EXPIRED),
    (frozenset({"challenge", "captcha", "otp"}), Reason.CHALLENGED),
)

OF_GAPS: Mapping[str, Reason] = {
    "rate_limited": Reason.RATE_LIMITED,
    "http_429": Reason.RATE_LIMITED,
    "upstream_pressure": Reason.UPSTREAM_PRESSURE,
    "upstream_pressure_deferred": Reason.UPSTREAM_PRESSURE,
    "run_cap_deferred": Reason.RUN_BUDGET_DEFERRED,
    "retry_exhausted": Reason.RETRY_EXHAUSTED,
}

_WORDS = re.compile(r"[a-z]+")


def reason_of_skip(word: str, hint: HintAction | None, kind: RecoveryKind | None = None) -> Reason:
    """The reason of a skip: by its recovery kind or hint, by a reason that is known, by its words, else upstream."""
    known, hinted = known_reason(word), BY_HINT.get(hint) if hint is not None else None
    if kind is None and hinted is not None:
        kind = hinted.kind
    if known is not None and kind in (None, known.kind):
        return known
    if hinted is not None and hinted.kind is kind:
        return hinted
    if kind is not None:
        return Reason.PARSE_FAILED if kind is RecoveryKind.UPGRADE else Reason.UPSTREAM_ERROR
    return Reason.UPSTREAM_ERROR if word == STREAM_FAILED else _by_words(word)


def reason_of_gap(word: str, *, retryable: bool) -> Reason:
    """The reason of a missing detail."""
    known = OF_GAPS.get(word) or known_reason(word)
    return known or (Reason.UPSTREAM_ERROR if retryable else Reason.PARSE_FAILED)


def own_words(word: str, reason: Reason, text: str) -> str:
    """The connector's text, with its own word for the reason where that is another."""
    return text if word == reason.value else ": ".join(part for part in (word, text) if part)


def _by_words(word: str) -> Reason:
    said = _WORDS.findall(word.lower())
    for words, reason in BY_WORD:
        if any(one.startswith(known) for one in said for known in words):
            return reason
    return Reason.UPSTREAM_ERROR
