"""The closed list of reasons."""

from __future__ import annotations

import pytest

from pdpp_worker.errors import (
    AuthExpired,
    Challenged,
    Gone,
    PdppError,
    ProviderError,
    Throttled,
    UpstreamError,
)
from pdpp_worker.protocol.reasons import NEEDS_OWNER, PRESSURE, RETRYABLE_KINDS, Reason, RecoveryKind, known_reason

TRANSIENT = {
    "rate_limited",
    "upstream_error",
    "network_error",
    "timed_out",
    "another_account",
    "challenged",
    "credentials_expired",
    "source_partition_failed",
    "storage_full",
    "upstream_pressure",
    "run_budget_deferred",
    "retry_exhausted",
    "range_shortened",
}
WAITS_FOR_A_VERSION = {
    "template_unknown",
    "parse_failed",
    "shape_changed",
    "export_not_wired",
    "scope_not_supported",
    "state_too_large",
    "record_rejected",
}


def test_every_reason_is_mended_by_one_kind_of_retry() -> None:
    kinds = {reason.value: reason.kind for reason in Reason}

    assert {name for name, kind in kinds.items() if kind is RecoveryKind.RUNTIME} == TRANSIENT
    assert {name for name, kind in kinds.items() if kind is RecoveryKind.UPGRADE} == WAITS_FOR_A_VERSION
    assert set(kinds.values()) == RETRYABLE_KINDS


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_one_sentence_for_the_owner(reason: Reason) -> None:
    assert reason.sentence[0].isupper()
    assert reason.sentence.endswith(".")
    assert reason.sentence.count(".") == 1


def test_no_two_reasons_say_the_same() -> None:
    assert len({reason.sentence for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_is_known_by_its_name(reason: Reason) -> None:
    assert known_reason(reason.value) is reason


@pytest.mark.parametrize("word", ["", "RATE_LIMITED", "rate limited", "stream_collection_failed"])
def test_a_word_of_the_connectors_own_is_no_known_reason(word: str) -> None:
    assert known_reason(word) is None


def test_our_own_budget_is_not_taken_for_pressure_of_the_source() -> None:
    assert {Reason.RATE_LIMITED, Reason.UPSTREAM_PRESSURE} == PRESSURE
    assert Reason.RUN_BUDGET_DEFERRED not in PRESSURE


def test_what_waits_for_the_owner_is_otherwise_transient() -> None:
    assert {Reason.CHALLENGED, Reason.CREDENTIALS_EXPIRED, Reason.ANOTHER_ACCOUNT} == NEEDS_OWNER
    assert {reason.kind for reason in NEEDS_OWNER} == {RecoveryKind.RUNTIME}


@pytest.mark.parametrize(
    "failure",
    [
        ProviderError("x"),
        Throttled("x"),
        Challenged("x"),
        AuthExpired("x"),
        Gone("x"),
        UpstreamError("x"),
        UpstreamError("x", reason="timed_out"),
    ],
)
def test_what_a_provider_answers_leads_to_a_known_reason(failure: ProviderError) -> None:
    assert known_reason(failure.reason) is not None
    assert isinstance(failure, PdppError)
