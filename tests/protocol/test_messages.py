"""Every rule of a message has one clear refusal, which names the field and never repeats the content."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import (
    MOST_MEMBERS,
    DetailCoverage,
    DetailGap,
    HintAction,
    Inventory,
    Message,
    Record,
    SkipResult,
    SourceMember,
    Start,
    parse_message,
)
from pdpp_worker.protocol.reasons import RETRYABLE_KINDS, Reason, RecoveryKind
from pdpp_worker.protocol.scope import BatchScope, ResourceScope
from tests.support.nesting import nested

CONTENT = "the owner's own words"
AT = "2026-01-01T00:00:00Z"

VALID: dict[str, dict[str, Any]] = {
    "SOURCE_ACCOUNT": {"identity": "U1", "label": "ada@example.org"},
    "RECORD": {"stream": "items", "key": "a", "data": {"id": "a"}, "emitted_at": AT},
    "STATE": {"stream": "items", "cursor": {"at": 1}},
    "SKIP_RESULT": {
        "stream": "items",
        "reason": "rate_limited",
        "scope": {"resource_id": "a"},
        "recovery_kind": "retry_by_runtime",
    },
    "DETAIL_GAP": {"stream": "items", "record_key": "a", "reason": "timed_out"},
    "DETAIL_GAP_RECOVERED": {"gap_id": "1", "stream": "items", "record_key": "a"},
    "DETAIL_COVERAGE": {
        "reference_only": True,
        "stream": "details",
        "state_stream": "items",
        "required_keys": ["a", "b"],
        "hydrated_keys": ["a"],
        "gap_keys": ["b"],
    },
    "INVENTORY": {
        "part": "archive",
        "members": [{"kind": "files", "name": "todos/*.json", "disposition": "unknown", "count": 12}],
    },
    "PROGRESS": {"message": "half way", "stream": "items", "count": 1, "total": 2},
    "INTERACTION": {"request_id": "1", "kind": "otp", "message": "The code, please", "timeout_seconds": 60},
    "DONE": {"status": "succeeded", "records_emitted": 1},
}


def message(kind: str, /, without: str | None = None, **changed: Any) -> dict[str, Any]:
    """A valid message of a type, with some fields changed and perhaps one left out."""
    whole = {"type": kind, **VALID[kind], **changed}
    return {name: value for name, value in whole.items() if name != without}


def refusal(raw: Any) -> str:
    """The refusal of a message."""
    with pytest.raises(ProtocolViolation) as caught:
        parse_message(raw)
    return str(caught.value)


@pytest.mark.parametrize("kind", VALID)
def test_the_same_message_is_read_from_an_object_from_text_and_from_bytes(kind: str) -> None:
    raw = message(kind)

    read = parse_message(raw)

    assert read.type == kind
    assert read == parse_message(json.dumps(raw)) == parse_message(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "data",
    [
        {"half a pair": "\ud800"},
        {"NUL": "\x00"},
        {"long": 10**4000},
        {"deep": nested(600, "leaf")},
    ],
    ids=lambda data: next(iter(data)),
)
def test_whatever_json_can_say_is_read(data: dict[str, Any]) -> None:
    read = parse_message(json.dumps(message("RECORD", data=data)))

    assert isinstance(read, Record)
    assert read.data == data


@pytest.mark.parametrize("kind", VALID)
def test_unknown_fields_are_ignored(kind: str) -> None:
    assert parse_message(message(kind, invented_later=CONTENT)) == parse_message(message(kind))


def test_a_null_stands_for_a_field_that_is_left_out() -> None:
    nulls = {"type": "RECORD", **VALID["RECORD"], "op": None, "partial": None}

    assert parse_message(json.dumps(nulls)) == parse_message({"type": "RECORD", **VALID["RECORD"]})


@pytest.mark.parametrize("kind", ["START", "RECORDS", "record", ""])
def test_unknown_types_are_refused_by_name(kind: str) -> None:
    text = refusal({"type": kind, **VALID["RECORD"]})

    assert text.startswith(f"unknown message type {kind}; expected one of 'RECORD', 'STATE'")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({}, "type"),
        ([], "dictionary"),
        (None, "dictionary"),
        ("", "Invalid JSON"),
        ('{"type": "RECORD"', "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        ("\ud800", "unicode"),
    ],
)
def test_what_is_no_message_at_all_is_refused_as_such(raw: Any, sentence: str) -> None:
    text = refusal(raw)

    assert text.startswith("not a message: ")
    assert sentence in text


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("RECORD", "stream"),
        ("RECORD", "key"),
        ("RECORD", "data"),
        ("RECORD", "emitted_at"),
        ("STATE", "stream"),
        ("STATE", "cursor"),
        ("SKIP_RESULT", "stream"),
        ("SKIP_RESULT", "reason"),
        ("DETAIL_GAP", "stream"),
        ("DETAIL_GAP", "record_key"),
        ("DETAIL_GAP", "reason"),
        ("DETAIL_GAP_RECOVERED", "gap_id"),
        ("DETAIL_GAP_RECOVERED", "stream"),
        ("DETAIL_GAP_RECOVERED", "record_key"),
        ("DETAIL_COVERAGE", "stream"),
        ("DETAIL_COVERAGE", "state_stream"),
        ("DETAIL_COVERAGE", "required_keys"),
        ("DETAIL_COVERAGE", "hydrated_keys"),
        ("INTERACTION", "request_id"),
        ("INTERACTION", "kind"),
        ("INTERACTION", "message"),
        ("DONE", "status"),
    ],
)
def test_a_field_that_is_required_is_named_when_it_is_missing(kind: str, field: str) -> None:
    assert refusal(message(kind, without=field)) == f"{kind}.{field}: Field required"


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("RECORD", "stream", ""),
        ("RECORD", "key", ""),
        ("RECORD", "key", []),
        ("RECORD", "key", True),
        ("RECORD", "data", [CONTENT]),
        ("RECORD", "data", CONTENT),
        ("RECORD", "emitted_at", CONTENT),
        ("RECORD", "emitted_at", "2026-01-01T00:00:00"),
        ("RECORD", "emitted_at", "0001-01-01T00:00:00+14:00"),
        ("RECORD", "emitted_at", "9999-12-31T23:59:59-14:00"),
        ("DETAIL_GAP", "retry_after", "9999-12-31T23:59:59-12:00"),
        ("SKIP_RESULT", "retry_after", "9999-12-31T23:59:59-12:00"),
        ("RECORD", "op", CONTENT),
        ("RECORD", "partial", CONTENT),
        ("RECORD", "partial", "yes"),
        ("DETAIL_GAP", "retryable", "yes"),
        ("DETAIL_GAP", "retryable", 1),
        ("DETAIL_GAP_RECOVERED", "absent", "true"),
        ("SKIP_RESULT", "recovery_hint", {"action": "unknown", "retryable": "no"}),
        ("STATE", "stream", ""),
        ("SKIP_RESULT", "reason", ""),
        ("SKIP_RESULT", "recovery_kind", CONTENT),
        ("SKIP_RESULT", "retry_after", CONTENT),
        ("SKIP_RESULT", "retry_after", "2026-01-01T00:00:00"),
        ("SKIP_RESULT", "scope", CONTENT),
        ("SKIP_RESULT", "scope", {}),
        ("SKIP_RESULT", "scope", {"resource_id": ""}),
        ("SKIP_RESULT", "scope", {"resource_id": "a", "partition": {}}),
        ("SKIP_RESULT", "scope", {"range": {"since": AT}}),
        ("DETAIL_GAP", "record_key", ""),
        ("DETAIL_GAP", "retryable", CONTENT),
        ("DETAIL_GAP", "detail_locator", CONTENT),
        ("DETAIL_GAP_RECOVERED", "record_key", ""),
        ("DETAIL_COVERAGE", "reference_only", False),
        ("DETAIL_COVERAGE", "required_keys", CONTENT),
        ("PROGRESS", "count", -1),
        ("PROGRESS", "total", -1),
        ("PROGRESS", "count", CONTENT),
        ("INTERACTION", "kind", CONTENT),
        ("INTERACTION", "timeout_seconds", 0),
        ("DONE", "status", CONTENT),
        ("DONE", "records_emitted", -1),
        ("DONE", "error", CONTENT),
        ("DONE", "error", {"code": CONTENT}),
    ],
)
def test_a_field_with_a_wrong_value_is_named_without_the_value(kind: str, field: str, value: Any) -> None:
    text = refusal(message(kind, **{field: value}))

    assert text.startswith(f"{kind}.{field}")
    assert CONTENT not in text
    assert "[" not in text.partition(":")[0]


class TestRecord:
    """RECORD."""

    def test_is_an_upsert_of_the_whole_record_unless_it_says_otherwise(self) -> None:
        read = parse_message(message("RECORD"))

        assert isinstance(read, Record)
        assert (read.op, read.partial) == ("upsert", False)

    def test_has_a_key_of_one_or_several_parts(self) -> None:
        read = parse_message(message("RECORD", key=["mailbox", "7"]))

        assert isinstance(read, Record)
        assert read.key == ["mailbox", "7"]


class TestSkipResult:
    """SKIP_RESULT: names a reason, a scope, and who goes back."""

    def test_without_a_scope_is_refused(self) -> None:
        assert refusal(message("SKIP_RESULT", without="scope")) == (
            "SKIP_RESULT: scope is missing; a skip names what it skipped"
        )

    def test_that_certifies_the_failure_of_a_stream_needs_no_scope(self) -> None:
        raw = message("SKIP_RESULT", without="scope", reason="stream_collection_failed")

        assert parse_message(raw).type == "SKIP_RESULT"

    def test_with_neither_kind_nor_hint_is_refused(self) -> None:
        assert refusal(message("SKIP_RESULT", without="recovery_kind")) == (
            "SKIP_RESULT: recovery_kind is missing; a skip says who retries it"
        )

    def test_of_what_can_never_be_had_belongs_in_the_manifest(self) -> None:
        text = refusal(message("SKIP_RESULT", recovery_kind="permanent_structural"))

        assert "recovery_kind permanent_structural of stream 'items' may not be emitted" in text
        assert "the manifest's availability" in text

    def test_of_what_the_scope_excluded_is_no_skip(self) -> None:
        text = refusal(message("SKIP_RESULT", recovery_kind="filter_applied"))

        assert "it is not a skip" in text

    @pytest.mark.parametrize("reason", list(Reason))
    def test_whose_kind_contradicts_its_reason_is_refused(self, reason: Reason) -> None:
        (other,) = RETRYABLE_KINDS - {reason.kind}

        text = refusal(message("SKIP_RESULT", reason=reason.value, recovery_kind=other.value))

        assert f"recovery_kind of reason {reason.value} is {reason.kind.value}, not {other.value}" in text

    def test_may_have_a_reason_of_the_connectors_own(self) -> None:
        read = parse_message(message("SKIP_RESULT", reason="moon_phase"))

        assert isinstance(read, SkipResult)
        assert read.reason == "moon_phase"

    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            ({"resource_id": "69d7"}, ResourceScope(resource_id="69d7")),
            ({"partition": {"account": 1}}, BatchScope(partition={"account": 1})),
            ({"partition": {}}, BatchScope(partition={})),
        ],
    )
    def test_is_about_one_resource_or_one_batch(self, scope: Any, expected: Any) -> None:
        read = parse_message(message("SKIP_RESULT", scope=scope))

        assert isinstance(read, SkipResult)
        assert read.scope == expected


class TestRecoveryHint:
    """`recovery_hint`: a bare action, or an object with one."""

    @pytest.mark.parametrize("action", get_args(HintAction))
    def test_both_forms_mean_the_same(self, action: str) -> None:
        bare = parse_message(message("SKIP_RESULT", without="recovery_kind", recovery_hint=action))
        whole = parse_message(message("SKIP_RESULT", recovery_hint={"action": action, "retryable": True}))

        assert isinstance(bare, SkipResult)
        assert isinstance(whole, SkipResult)
        assert bare.hint_action == whole.hint_action == action

    def test_an_absent_hint_has_no_action(self) -> None:
        read = parse_message(message("SKIP_RESULT"))

        assert isinstance(read, SkipResult)
        assert read.hint_action is None

    @pytest.mark.parametrize("hint", [{}, CONTENT, 7, [], {"action": CONTENT}, {"retryable": True}])
    @pytest.mark.parametrize("kind", ["SKIP_RESULT", "DONE"])
    def test_a_malformed_hint_is_a_violation(self, kind: str, hint: Any) -> None:
        changed = (
            {"recovery_hint": hint} if kind == "SKIP_RESULT" else {"error": {"message": "x", "recovery_hint": hint}}
        )

        text = refusal(message(kind, **changed))

        place = text.partition(":")[0]
        assert place.startswith(f"{kind}.recovery_hint" if kind == "SKIP_RESULT" else "DONE.error.recovery_hint")
        assert "[" not in place
        assert CONTENT not in text


class TestDetailCoverage:
    """DETAIL_COVERAGE: the books of a parent's details."""

    @pytest.mark.parametrize("field", ["required_keys", "hydrated_keys", "gap_keys"])
    def test_no_key_comes_twice(self, field: str) -> None:
        assert refusal({**message("DETAIL_COVERAGE"), field: ["a", "a", "b"]}) == (
            f"DETAIL_COVERAGE: {field} holds a key twice"
        )

    @pytest.mark.parametrize("field", ["hydrated_keys", "gap_keys"])
    def test_only_required_keys_are_accounted_for(self, field: str) -> None:
        assert refusal({**message("DETAIL_COVERAGE"), field: [CONTENT]}) == (
            f"DETAIL_COVERAGE: {field} holds a key that required_keys does not"
        )

    def test_tells_which_keys_nobody_accounts_for(self) -> None:
        read = parse_message(message("DETAIL_COVERAGE", required_keys=["c", "a", "b", "d"]))

        assert isinstance(read, DetailCoverage)
        assert read.unaccounted_keys == ["c", "d"]


def test_a_detail_gap_is_about_one_resource() -> None:
    read = parse_message(message("DETAIL_GAP"))

    assert isinstance(read, DetailGap)
    assert read.scope == ResourceScope(resource_id="a")


def test_every_kind_of_message_is_among_these() -> None:
    assert {type(parse_message(message(kind))) for kind in VALID} == set(get_args(Message))


@pytest.mark.parametrize("kind", VALID)
def test_every_message_is_immutable(kind: str) -> None:
    read = parse_message(message(kind))

    with pytest.raises((AttributeError, ValidationError)):
        read.type = "DONE"  # type: ignore[misc]


class TestStart:
    """START, as the runtime makes it."""

    def start(self, *streams: dict[str, Any], **fields: Any) -> Start:
        return Start.model_validate({"run_id": "1", "scope": {"streams": list(streams)}, **fields})

    def test_asks_for_at_least_one_stream(self) -> None:
        with pytest.raises(ValueError, match="at least 1 item"):
            self.start()

    @pytest.mark.parametrize("name", ["*", "mail*"])
    def test_knows_no_wildcards(self, name: str) -> None:
        with pytest.raises(ValueError, match="wildcards are not allowed"):
            self.start({"name": name})

    def test_hands_over_the_cursors_that_it_has(self) -> None:
        start = self.start({"name": "items"}, {"name": "others"}, state={"items": {"at": 7}})

        assert (start.cursor("items"), start.cursor("others")) == ({"at": 7}, None)
        assert self.start({"name": "items"}).cursor("items") is None

    def test_wants_the_streams_in_its_scope_only(self) -> None:
        start = self.start({"name": "items"})

        assert start.wants("items")
        assert not start.wants("others")

    @pytest.mark.parametrize("budget", [{"seconds": 0}, {"requests": 0}, {"items": -1}, {"requests": 0.5}])
    def test_a_budget_is_positive_or_absent(self, budget: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"budget.{next(iter(budget))}"):
            self.start({"name": "items"}, budget=budget)


def test_a_number_as_a_key_is_its_text() -> None:
    sent = {"type": "RECORD", "stream": "items", "data": {}, "emitted_at": "2026-01-01T00:00:00Z"}
    by_number, by_parts = (parse_message({**sent, "key": key}) for key in (42, [7, "x"]))
    missing = parse_message({"type": "DETAIL_GAP", "stream": "items", "record_key": 42, "reason": "timed_out"})

    assert isinstance(by_number, Record)
    assert isinstance(by_parts, Record)
    assert isinstance(missing, DetailGap)
    assert (by_number.key, by_parts.key, missing.record_key) == ("42", ["7", "x"], "42")


def test_structural_and_filtered_misses_are_no_skips() -> None:
    assert {RecoveryKind.RUNTIME, RecoveryKind.UPGRADE} == RETRYABLE_KINDS


def test_an_absent_record_is_a_deletion_and_nothing_else() -> None:
    deletion = parse_message(message("RECORD", op="delete", ground="absent"))

    assert isinstance(deletion, Record)
    assert deletion.ground == "absent"
    assert "ground 'absent' is the ground of a deletion" in refusal(message("RECORD", ground="absent"))


def test_a_deletion_without_a_ground_is_stated() -> None:
    deletion = parse_message(message("RECORD", op="delete"))

    assert isinstance(deletion, Record)
    assert deletion.ground == "stated"


@pytest.mark.parametrize("changed", [{"identity": ""}, {"identity": "x" * 501}, {"label": "x" * 501}])
def test_an_account_is_named_shortly(changed: dict[str, Any]) -> None:
    assert refusal(message("SOURCE_ACCOUNT", **changed)).startswith("SOURCE_ACCOUNT.")


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"kind": ""},
        {"count": -1},
        {"bytes": -1},
        {"disposition": "forgotten"},
        {"disposition": "collected"},
        {"disposition": "declared"},
    ],
)
def test_a_member_of_a_source_says_what_becomes_of_it(changed: dict[str, Any]) -> None:
    member = {"kind": "files", "name": CONTENT, "disposition": "unknown", **changed}

    said = refusal(message("INVENTORY", members=[member]))

    assert said.startswith("INVENTORY.members.0")


def test_an_inventory_has_a_bounded_number_of_members() -> None:
    member = {"kind": "files", "name": "a", "disposition": "unknown"}

    assert isinstance(parse_message(message("INVENTORY", members=[member] * MOST_MEMBERS)), Inventory)
    assert refusal(message("INVENTORY", members=[member] * (MOST_MEMBERS + 1))).startswith("INVENTORY.members")


def test_a_long_name_of_a_member_is_cut() -> None:
    member = SourceMember(kind="file", name="x" * 600, disposition="unknown")

    assert (len(member.name), member.name[-1]) == (500, "…")
