"""The toolbox of authors turns failures into the messages that say what is missing, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import pytest

from pdpp_worker.connector import (
    AuthExpired,
    Challenged,
    GapToClose,
    Message,
    Phase,
    Progress,
    ProviderError,
    Reason,
    Record,
    ResourceScope,
    SkipResult,
    Throttled,
    UpstreamError,
    closed_as_absent,
    closed_by,
    detail_coverage,
    gap_for,
    refuse_narrowed,
    run_phases,
    skip_for,
    still_missing,
)
from pdpp_worker.protocol.messages import Start, StartScope
from pdpp_worker.protocol.scope import StreamScope, TimeRange

LATER = datetime(2026, 5, 1, tzinfo=UTC)
SCOPE = ResourceScope(resource_id="n1")
KNOWN = GapToClose(gap_id="7", stream="notes", scope=SCOPE, reason="upstream_error", detail_locator={"page": 2})


class OddError(ProviderError):
    """A failure with a word of the connector's own."""

    reason = "moon_phase"


def yields(*messages: Message | ProviderError) -> Iterator[Message]:
    """The messages, then the failure if there is one."""
    for one in messages:
        if isinstance(one, ProviderError):
            raise one
        yield one


def phase(streams: str, *messages: Message | ProviderError) -> Phase:
    """A phase of these streams that does this."""
    return Phase(tuple(streams.split()), partial(yields, *messages))


def read(stream: str) -> Progress:
    """A sign that a phase has worked."""
    return Progress(stream=stream, count=1)


def skipped(messages: Iterator[Message]) -> list[tuple[str, str]]:
    """Stream and reason of each SKIP_RESULT."""
    return [(one.stream, one.reason) for one in messages if isinstance(one, SkipResult)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Throttled("slow down", retry_after=LATER), Reason.RATE_LIMITED),
        (AuthExpired("no more"), Reason.CREDENTIALS_EXPIRED),
        (UpstreamError("broke", reason="timed_out"), Reason.TIMED_OUT),
        (OddError("hm"), Reason.UPSTREAM_ERROR),
    ],
)
def test_a_skip_has_the_reason_the_kind_and_the_time_of_its_failure(error: ProviderError, reason: Reason) -> None:
    made = skip_for(error, "notes")

    assert (made.reason, made.recovery_kind, made.message) == (reason.value, reason.kind, str(error))
    assert made.retry_after == error.retry_after


def test_a_gap_keeps_what_is_needed_to_ask_again() -> None:
    made = gap_for(Throttled("slow down", retry_after=LATER), "notes", "n1", detail_locator={"page": 2})

    assert (made.reason, made.retry_after, made.last_error) == ("rate_limited", LATER, "slow down")
    assert (made.record_key, made.detail_locator, made.gap_id) == ("n1", {"page": 2}, None)


def test_a_gap_that_stays_open_is_the_same_gap() -> None:
    made = still_missing(UpstreamError("broke"), KNOWN)

    assert (made.gap_id, made.stream, made.record_key) == ("7", "notes", "n1")
    assert made.detail_locator == {"page": 2}


def test_a_gap_is_closed_by_the_record_or_because_there_is_nothing() -> None:
    record = Record(stream="notes", key="n1", data={"id": "n1"}, emitted_at=LATER)

    proven, absent = closed_by(record, KNOWN), closed_as_absent(KNOWN)

    assert (proven.gap_id, proven.record_key, proven.absent) == ("7", "n1", False)
    assert (absent.gap_id, absent.record_key, absent.absent) == ("7", "n1", True)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_detail_is_either_read_or_a_gap(is_read: bool) -> None:
    made = detail_coverage("bodies", "notes", "n1", is_read=is_read)

    assert made.required_keys == ["n1"]
    assert (made.hydrated_keys, made.gap_keys) == ((["n1"], []) if is_read else ([], ["n1"]))


def test_only_the_streams_of_which_a_part_is_asked_for_are_refused() -> None:
    streams = [
        StreamScope(name="whole"),
        StreamScope(name="some", resources=["a"]),
        StreamScope(name="recent", time_range=TimeRange(since="2026-01-01T00:00:00Z")),
        StreamScope(name="thin", fields=["id"]),
    ]
    start = Start(run_id="1", scope=StartScope(streams=streams))

    refused = list(refuse_narrowed(start))

    assert [one.stream for one in refused] == ["some", "recent", "thin"]
    assert {one.reason for one in refused} == {Reason.SCOPE_NOT_SUPPORTED.value}


def test_a_phase_that_fails_costs_its_own_streams_only() -> None:
    phases = [phase("a", read("a")), phase("b c", UpstreamError("broke")), phase("d", read("d"))]

    messages = list(run_phases(phases))

    assert skipped(iter(messages)) == [("b", "upstream_error"), ("c", "upstream_error")]
    assert [one.stream for one in messages if isinstance(one, Progress)] == ["a", "d"]


@pytest.mark.parametrize("error", [AuthExpired("no more"), Challenged("a check")])
def test_nothing_is_begun_after_a_failure_that_needs_the_owner(error: ProviderError) -> None:
    phases = [phase("a", read("a")), phase("b", error), phase("b c", read("c"))]

    messages = list(run_phases(phases))

    assert skipped(iter(messages)) == [("b", error.reason), ("c", error.reason)]
    assert [one.stream for one in messages if isinstance(one, Progress)] == ["a"]


def test_phases_without_streams_skip_those_that_are_named_otherwise() -> None:
    messages = run_phases([phase("", AuthExpired("no more"))], otherwise=["a", "b"])

    assert [stream for stream, _ in skipped(messages)] == ["a", "b"]


def test_with_an_ending_the_skips_come_after_it() -> None:
    phases = [phase("a", UpstreamError("broke")), phase("b", read("b"))]

    messages = list(run_phases(phases, finish=lambda failed: iter([Progress(stream="end", message=",".join(failed))])))

    assert [type(one).__name__ for one in messages] == ["Progress", "Progress", "SkipResult"]
    assert isinstance(messages[1], Progress)
    assert messages[1].message == "a"
