"""Messages of connectors are put into the runtime's own words; one that cannot be taken says what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker.command.dialect.forms import Item, Reply
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.foreign import Assistance, Attempted, ForeignGap, Note, Refused, UnreadRecord
from pdpp_worker.protocol.messages import (
    DetailCoverage,
    DetailGapRecovered,
    Done,
    Interaction,
    Inventory,
    Progress,
    Record,
    SkipResult,
    SourceMember,
    State,
)
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, TimeRange
from tests.command.conftest import NOW, POST_BOX, reader

Read = Callable[..., list[Item]]
RECORD: dict[str, Any] = {"type": "RECORD", "stream": "letters", "key": "L-1", "emitted_at": "2026-03-02T00:00:00Z"}
SKIP: dict[str, Any] = {"type": "SKIP_RESULT", "stream": "letters"}
GAP: dict[str, Any] = {"type": "DETAIL_GAP", "stream": "scans"}
COVERAGE: dict[str, Any] = {
    "type": "DETAIL_COVERAGE",
    "reference_only": True,
    "stream": "scans",
    "state_stream": "letters",
    "required_keys": ["L-1", 31],
    "hydrated_keys": ["L-1"],
    "gap_keys": ["31"],
}


def part_of(item: Item, kind: type) -> Any:
    """The item, which has to be of this kind."""
    assert isinstance(item, kind), item
    return item


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-03-02T01:02:03", datetime(2026, 3, 2, 1, 2, 3, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02T01:02:03+01:00", datetime(2026, 3, 2, 0, 2, 3, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_utc(read: Read, given: str, moment: datetime) -> None:
    [record] = read(**{**RECORD, "data": {}, "emitted_at": given})

    assert part_of(record, Record).emitted_at == moment


@pytest.mark.parametrize(("key", "text"), [(12, "12"), (0, "0"), (1.5, "1.5"), (["a", 2], ["a", "2"])])
def test_a_number_as_key_is_its_text(read: Read, key: Any, text: str | list[str]) -> None:
    [record] = read(**{**RECORD, "key": key, "data": {"sent_at": None}})

    assert part_of(record, Record).key == text


def test_a_deletion_needs_no_data(read: Read) -> None:
    [record] = read(**RECORD, op="delete")

    assert part_of(record, Record).data == {}


@pytest.mark.parametrize(
    ("members", "key", "field"),
    [
        ({"key": None, "data": {}}, None, "key"),
        ({"key": "", "data": {}}, None, "key"),
        ({"key": True, "data": {}}, None, "key"),
        ({"data": None}, "L-1", "data"),
        ({"data": ["x"]}, "L-1", "data"),
        ({"data": {}, "emitted_at": "soon"}, "L-1", "emitted_at"),
        ({"data": {}, "emitted_at": None}, "L-1", "emitted_at"),
        ({"data": {}, "op": "insert"}, "L-1", "op"),
        ({"data": {"id": "L-2"}}, "L-1", "key"),
    ],
)
def test_a_record_that_cannot_be_read_is_kept_as_a_rejection(
    read: Read, members: dict[str, Any], key: str | None, field: str
) -> None:
    [item] = read(**{**RECORD, **members})

    unread = part_of(item, UnreadRecord)
    assert (unread.stream, unread.key, unread.field) == ("letters", key, field)


def test_a_record_of_no_stream_may_be_one_of_any(read: Read) -> None:
    [item] = read(type="RECORD", key="a", data={}, emitted_at="2026-03-02")

    assert part_of(item, Refused).withholds == ("letters", "parcels", "scans", "stamps", "tracking")


@pytest.mark.parametrize("cursor", [None, ...])
def test_a_state_without_cursor_changes_nothing(read: Read, cursor: Any) -> None:
    assert read(type="STATE", stream="parcels", **({} if cursor is ... else {"cursor": cursor})) == []


def test_a_cursor_that_is_no_object_is_not_kept(read: Read) -> None:
    [item] = read(type="STATE", stream="parcels", cursor=[1])

    assert (part_of(item, Refused).unkept, part_of(item, Refused).withholds) == ("parcels", ())


def test_the_cursor_of_a_child_is_taken(read: Read) -> None:
    [item] = read(type="STATE", stream="stamps", cursor={"page": 4})

    assert part_of(item, State).stream == "stamps"


@pytest.mark.parametrize(
    ("members", "scopes"),
    [
        ({"scope": {"resource_id": "a"}, "resource_ids": ["b"]}, [ResourceScope(resource_id="a")]),
        ({"resource_ids": ["a", 7]}, [ResourceScope(resource_id="a"), ResourceScope(resource_id="7")]),
        ({"resources": ["a"], "diagnostics": {"id": "b"}}, [ResourceScope(resource_id="a")]),
        ({"diagnostics": {"id": "b"}, "time_range": {"since": "2026-01-01"}}, [ResourceScope(resource_id="b")]),
        (
            {"time_range": {"since": "2026-01-01"}},
            [BatchScope(partition={}, range=TimeRange(since="2026-01-01"))],
        ),
        ({"diagnostics": {"issues": []}}, [WHOLE_STREAM]),
        ({}, [WHOLE_STREAM]),
    ],
)
def test_a_skip_without_scope_says_it_otherwise(read: Read, members: dict[str, Any], scopes: list[Scope]) -> None:
    assert [part_of(item, SkipResult).scope for item in read(**SKIP, **members)] == scopes


@pytest.mark.parametrize(
    ("members", "again"),
    [
        ({"diagnostics": {"id": "L-4", "retained": True}}, False),
        (
            {
                "continuation": {
                    "boundary": "page",
                    "slice_start": 0,
                    "slice_end": 50,
                    "considered": 50,
                    "covered": 50,
                    "remaining": True,
                    "owner": "runtime",
                }
            },
            True,
        ),
        ({"stream": None}, False),
    ],
)
def test_a_skip_of_nothing_is_a_note(read: Read, members: dict[str, Any], again: bool) -> None:
    [item] = read(**{**SKIP, "reason": "r", **members})

    assert part_of(item, Note).again_soon is again


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"reason": "rate_limited"}, "rate_limited"),
        ({"reason": "shape_check_failed"}, "parse_failed"),
        ({"reason": "csv_parse_error"}, "parse_failed"),
        ({"reason": "session_expired"}, "credentials_expired"),
        ({"reason": "captcha_shown"}, "challenged"),
        ({"reason": "maintenance"}, "upstream_error"),
        ({}, "upstream_error"),
        ({"reason": "session_expired", "recovery_hint": "retry_by_runtime"}, "upstream_error"),
        ({"reason": "x", "recovery_hint": "refresh_credentials"}, "credentials_expired"),
        ({"reason": "x", "recovery_hint": {"action": "update_selector", "retryable": False}}, "parse_failed"),
        ({"reason": "rate_limited", "recovery_hint": "not_retriable"}, "parse_failed"),
        ({"reason": "x", "recovery_kind": "retry_on_connector_upgrade"}, "parse_failed"),
        ({"reason": "stream_collection_failed"}, "stream_collection_failed"),
    ],
)
def test_a_reason_of_its_own_is_one_of_ours(read: Read, members: dict[str, Any], reason: str) -> None:
    [item] = read(**SKIP, **members)

    assert part_of(item, SkipResult).reason == reason


def test_a_reason_that_its_manifest_explains_is_told_in_these_words() -> None:
    one = reader(manifest=POST_BOX.model_copy(update={"reasons": {"odd": "The drawer is locked"}}))

    [skip] = one.read(json.dumps({**SKIP, "reason": "odd"}).encode())
    [gap] = one.read(json.dumps({**GAP, "reason": "odd", "record_key": "a"}).encode())

    assert part_of(skip, SkipResult).message == "odd: The drawer is locked"
    assert part_of(gap, ForeignGap).last_error == "odd: The drawer is locked"


@pytest.mark.parametrize("hint", [{}, "soon", {"action": "unknown", "more": 1}, 7])
def test_a_malformed_hint_costs_the_whole_stream(read: Read, hint: Any) -> None:
    [item] = read(**SKIP, reason="stream_collection_failed", recovery_hint=hint)

    assert part_of(item, Refused).misses == "letters"


def test_a_gap_keeps_its_key_its_words_and_how_long_to_wait(read: Read) -> None:
    pressure = {"error_class": "busy", "retry_after_ms": 90000}
    error = {"class": "busy", "http_status": 503, "network_pressure": pressure}
    [item] = read(**GAP, record_key=31, reason="temporary", last_error=error, parent_stream="letters")

    gap = part_of(item, ForeignGap)
    assert (gap.record_key, gap.scope) == (31, ResourceScope(resource_id="31"))
    assert gap.last_error == "temporary: busy (answered 503)"
    assert gap.retry_after == NOW + timedelta(seconds=90)


def test_a_gap_without_key_is_named_by_its_locator(read: Read) -> None:
    [item] = read(**GAP, detail_locator={"drawer": 2})

    assert part_of(item, ForeignGap).scope == BatchScope(partition={"drawer": 2})


@pytest.mark.parametrize(
    ("reason", "retryable", "ours"),
    [
        ("http_429", True, "rate_limited"),
        ("upstream_pressure_deferred", True, "upstream_pressure"),
        ("run_cap_deferred", True, "run_budget_deferred"),
        ("retry_exhausted", True, "retry_exhausted"),
        ("odd", True, "upstream_error"),
        ("odd", False, "parse_failed"),
    ],
)
def test_the_reason_of_a_gap_is_one_of_ours(read: Read, reason: str, retryable: bool, ours: str) -> None:
    [item] = read(**GAP, record_key="a", reason=reason, retryable=retryable)

    assert part_of(item, ForeignGap).reason == ours


@pytest.mark.parametrize(
    ("members", "gap_id"),
    [
        ({"record_key": "L-9", "gap_id": "g-41", "lease_id": "l-41"}, "g-41"),
        ({"record_key": "L-9", "gap_id": "g-41"}, "g-41"),
        ({"record_key": "L-9", "parent_stream": "letters"}, "g-41"),
        ({"record_key": "L-8"}, None),
    ],
)
def test_a_gap_that_was_handed_over_is_put_off_again(read: Read, members: dict[str, Any], gap_id: str | None) -> None:
    [item] = read(**GAP, **members)

    assert part_of(item, ForeignGap).gap_id == gap_id


@pytest.mark.parametrize("members", [{"gap_id": "g-41", "lease_id": "l-40"}, {"gap_id": "g-42"}])
def test_a_lease_of_another_hand_over_withholds_the_parent(read: Read, members: dict[str, str]) -> None:
    [item] = read(**GAP, record_key="L-9", parent_stream="letters", **members)

    assert "letters" in part_of(item, Refused).withholds


def test_what_is_said_of_a_gap_that_was_not_handed_over_leaves_it(read: Read) -> None:
    recovered = {"type": "DETAIL_GAP_RECOVERED", "stream": "scans", "reference_only": True}
    attempted = {**recovered, "type": "DETAIL_GAP_ATTEMPTED"}

    for message in ({**recovered, "gap_id": "g-99"}, {**attempted, "gap_id": "g-41", "lease_id": "l-40"}):
        [item] = read(**message)
        assert (part_of(item, Refused).withholds, part_of(item, Refused).misses) == ((), None)


def test_a_gap_is_recovered_and_attempted_under_its_lease(read: Read) -> None:
    handed = {"gap_id": "g-41", "lease_id": "l-41", "stream": "scans", "reference_only": True}
    [attempted] = read(type="DETAIL_GAP_ATTEMPTED", **handed)
    [recovered] = read(type="DETAIL_GAP_RECOVERED", **handed)

    assert part_of(attempted, Attempted).gap_id == "g-41"
    assert part_of(recovered, DetailGapRecovered).record_key == "L-9"


def test_keys_of_details_are_compared_as_text(read: Read) -> None:
    [item] = read(**COVERAGE)

    assert part_of(item, DetailCoverage).unaccounted_keys == []


@pytest.mark.parametrize(
    "members",
    [
        {"gap_keys": ["L-1"]},
        {"hydrated_keys": ["L-1", "L-1"]},
        {"required_keys": ["L-1", "31", 31]},
        {"hydrated_keys": ["L-7"]},
        {"optional_skip_keys": ["L-1"]},
        {"reference_only": None},
        {"reference_only": False},
        {"state_stream": "elsewhere", "stream": "tracking"},
    ],
)
def test_an_account_that_does_not_add_up_withholds_its_cursor(read: Read, members: dict[str, Any]) -> None:
    [item] = read(**{**COVERAGE, **members})

    assert "letters" in part_of(item, Refused).withholds


@pytest.mark.parametrize(("takes_skips", "left"), [(False, ["31"]), (True, [])])
def test_optional_details_may_be_left_out_if_the_owner_allows_it(takes_skips: bool, left: list[str]) -> None:
    message = {**COVERAGE, "gap_keys": [], "optional_skip_keys": [31]}
    [item] = reader(takes_skips=takes_skips).read(json.dumps(message).encode())

    assert part_of(item, DetailCoverage).unaccounted_keys == left


def test_a_request_for_more_gaps_is_always_answered(read: Read) -> None:
    request = {"type": "DETAIL_GAPS_PAGE_REQUEST", "request_id": "p", "reference_only": True}
    [answer] = read(**request)
    replied, refused = read(**request, max_bytes=-1)

    assert part_of(answer, Reply).message["detail_gaps"] == []
    assert part_of(replied, Reply).message == part_of(answer, Reply).message
    assert part_of(refused, Refused).field == "max_bytes"


def test_a_question_that_cannot_be_asked_is_answered(read: Read) -> None:
    replied, refused = read(type="INTERACTION", request_id="q", kind="passphrase", message="m")

    assert part_of(replied, Reply).message["status"] == "cancelled"
    assert part_of(refused, Refused).field == "kind"


def test_a_question_is_asked(read: Read) -> None:
    [item] = read(type="INTERACTION", request_id="q", kind="otp", message="m", timeout_seconds=5, stream="letters")

    assert part_of(item, Interaction).timeout_seconds == 5


def test_of_flawed_progress_and_assistance_what_is_good_is_taken(read: Read) -> None:
    [progress] = read(type="PROGRESS", message=7, stream="elsewhere", count=2.5, total=-1)
    [assistance] = read(type="ASSISTANCE", message="Confirm", timeout_seconds="long", owner_action=3)

    assert part_of(progress, Progress) == Progress(message="", count=2)
    assert part_of(assistance, Assistance).message == "Confirm"
    assert part_of(assistance, Assistance).timeout_s is None


def test_an_unknown_type_withholds_the_stream_that_it_names(read: Read) -> None:
    [named], [unnamed] = read(type="PARCEL_SEEN", stream="parcels"), read(type="odd one")

    assert (part_of(named, Refused).name, part_of(named, Refused).withholds) == ("PARCEL_SEEN.type", ("parcels",))
    assert (part_of(unnamed, Refused).name, part_of(unnamed, Refused).withholds) == ("unknown.type", ())


@pytest.mark.parametrize("line", [b"Starting up...", b"[1]", b'"text"', b'{"type":', b'{"x":"\xff"}'])
def test_a_line_that_is_no_object_is_counted(read: Read, line: bytes) -> None:
    [item] = read(line)

    assert part_of(item, Refused).name == "line.line"


def test_a_lost_record_is_shown_by_the_count(read: Read) -> None:
    read(b'{"type":"RECORD",')

    with pytest.raises(ProtocolViolation, match=r"0 came; lines that are no JSON object: 1$"):
        read(type="DONE", status="succeeded", records_emitted=1)


def test_without_a_count_a_lost_line_withholds_everything(read: Read) -> None:
    read(b"{")
    refused, done = read(type="DONE", status="succeeded")

    assert len(part_of(refused, Refused).withholds) == 5
    assert part_of(done, Done).status == "succeeded"


def test_refused_records_count_as_emitted(read: Read) -> None:
    read(**{**RECORD, "key": None})
    read(**{**RECORD, "stream": "elsewhere", "data": {}})

    [done] = read(type="DONE", status="succeeded", records_emitted=2)
    assert part_of(done, Done).status == "succeeded"


FAILED = {"type": "DONE", "status": "failed", "records_emitted": 0}


@pytest.mark.parametrize(
    ("members", "code", "hint"),
    [
        ({"error": {"message": "m", "code": "stream_collection_failed"}}, "stream_collection_failed", None),
        ({"error": {"message": "m", "code": "stream_collection_failed"}, "records_emitted": 3}, None, None),
        ({"error": {"message": "m", "code": "stream_collection_failed"}, "records_emitted": None}, None, None),
        ({"error": {"message": "m", "code": "stream_collection_failed", "recovery_hint": {}}}, None, None),
        ({"error": {"message": "m", "code": "Bad Code!", "recovery_hint": "unknown"}}, None, "unknown"),
        (
            {"error": {"message": "m", "code": "gate_shut", "recovery_hint": {"action": "unknown"}}},
            "gate_shut",
            "unknown",
        ),
    ],
)
def test_a_failure_tells_what_is_good_of_it(
    read: Read, members: dict[str, Any], code: str | None, hint: str | None
) -> None:
    [item] = read(**{**FAILED, **members})

    error = part_of(item, Done).error
    assert error is not None
    assert (error.message, error.code, error.hint_action) == ("m", code, hint)


def test_an_error_beside_success_is_dropped(read: Read) -> None:
    [item] = read(type="DONE", status="succeeded", records_emitted=0, error={"message": "m"})

    assert part_of(item, Done).error is None


MEMBER: dict[str, Any] = {"kind": "files", "name": "todos/*.json", "disposition": "unknown"}


def members_of(read: Read, *members: Any) -> list[SourceMember]:
    """The members of the part that these come to."""
    [inventory] = read(type="INVENTORY", part="archive", members=list(members))
    return list(part_of(inventory, Inventory).members)


def test_an_inventory_is_taken_as_it_stands(read: Read) -> None:
    given = {**MEMBER, "disposition": "collected", "streams": ["letters"], "count": 3, "bytes": 9, "more": 1}

    [member] = members_of(read, given)

    assert (member.disposition, member.streams, member.count, member.bytes) == ("collected", ["letters"], 3, 9)


@pytest.mark.parametrize("given", [{"disposition": "new"}, {"disposition": None}, {"disposition": "collected"}])
def test_a_member_of_which_it_is_not_clear_where_it_goes_is_unknown(read: Read, given: dict[str, Any]) -> None:
    [member] = members_of(read, {**MEMBER, **given, "streams": ["no stream of ours", 1]})

    assert (member.disposition, member.streams) == ("unknown", [])


def test_a_declared_member_may_leave_out_its_reason(read: Read) -> None:
    [member] = members_of(read, {**MEMBER, "disposition": "declared"})

    assert member.reason == "the connector gives no reason"


@pytest.mark.parametrize("count", [-1, "12", True, 1.5, 10**16])
def test_a_count_of_members_that_is_none_is_dropped(read: Read, count: Any) -> None:
    [member] = members_of(read, {**MEMBER, "count": count, "bytes": count})

    assert (member.count, member.bytes) == (None, None)


@pytest.mark.parametrize("members", [None, "a", [1], [{}], [{**MEMBER, "name": ""}], [MEMBER] * 1001])
def test_an_inventory_that_is_none_costs_itself_alone(read: Read, members: Any) -> None:
    [refused] = read(type="INVENTORY", part="archive", members=members)

    found = part_of(refused, Refused)
    assert (found.name, found.withholds, found.misses) == ("INVENTORY.members", (), None)


DEEP = "[" * 5000 + "]" * 5000


def line(kind: str, members: str) -> bytes:
    """A message as text, so that it can hold what no library writes."""
    return f'{{"type":"{kind}","stream":"letters",{members}}}'.encode()


@pytest.mark.parametrize("value", [DEEP, "9" * 5000, "1e999", "NaN", '"\\ud800"'])
def test_a_record_with_a_strange_value_is_known_by_its_key(read: Read, value: str) -> None:
    [item] = read(line("RECORD", f'"key":"L-1","emitted_at":"2026-03-02","data":{{"x":{value}}}'))

    assert isinstance(item, Record | UnreadRecord)
    assert (item.stream, item.key) == ("letters", "L-1")


@pytest.mark.parametrize("key", ["1e999", "-1e999", "9" * 5000, '["a", 1e999]'])
def test_a_number_that_has_no_text_is_no_key(read: Read, key: str) -> None:
    [item] = read(line("RECORD", f'"key":{key},"emitted_at":"2026-03-02","data":{{}}'))

    assert part_of(item, UnreadRecord).field == "key"


def test_a_key_of_any_text_is_a_key(read: Read) -> None:
    [item] = read(line("RECORD", '"key":"a\\ud800b","emitted_at":"2026-03-02","data":{}'))

    assert part_of(item, Record).key == "a\ud800b"


def test_a_deep_locator_costs_no_gap(read: Read) -> None:
    members = f'"record_key":"L-1","reason":"timed_out","retryable":true,"detail_locator":{{"x":{DEEP}}}'

    [item] = read(line("DETAIL_GAP", members))

    assert part_of(item, ForeignGap).record_key == "L-1"


def test_a_deep_cursor_is_not_kept(read: Read) -> None:
    [item] = read(line("STATE", f'"cursor":{{"x":{DEEP}}}'))

    assert part_of(item, Refused).unkept == "letters"
