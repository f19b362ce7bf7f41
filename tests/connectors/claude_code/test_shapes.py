"""Records: queryable, and nothing of the line is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.claude_code.shapes import (
    LineOrigin,
    attachment_record,
    is_message,
    iso_time,
    message_record,
    milliseconds,
    record_id,
)
from tests.connectors.claude_code.logs import PROJECT, A, B, manifest, said

PLACE = LineOrigin(f"{PROJECT}/{A}.jsonl", A, is_forced=False)
NAMES = {"uuid": "uuid", "parent_uuid": "parentUuid", "is_sidechain": "isSidechain", "user_type": "userType"}
NAMES |= {"agent_id": "agentId", "timestamp": "timestamp"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TIMES = st.sampled_from(["2026-03-01T10:00:00.000Z", "2026-03-01", "never", 5, None])
PARTS = st.lists(st.one_of(JSON, st.fixed_dictionaries({"type": st.just("text"), "text": JSON})), max_size=3)
BODIES = st.one_of(JSON, st.dictionaries(st.sampled_from(["role", "content", "id"]), st.one_of(JSON, PARTS)))
LINES = st.fixed_dictionaries(
    {"type": st.one_of(st.sampled_from(["user", "assistant", "system", "new kind"]), JSON)},
    optional={
        "uuid": st.one_of(st.text(max_size=5), JSON),
        "parentUuid": JSON,
        "sessionId": st.one_of(st.just(B), JSON),
        "timestamp": TIMES,
        "isSidechain": JSON,
        "message": BODIES,
        "content": JSON,
        "hookName": JSON,
        "attachment": st.one_of(
            JSON, st.dictionaries(st.sampled_from(["hookName", "toolUseID", "content", "x"]), JSON)
        ),
        "toolUseResult": JSON,
    },
)


def parts_of(record: dict[str, Any]) -> list[Any]:
    """The parts of the message that a record was made from."""
    spoken = [part for part in record["parts"] if isinstance(part, dict) and part.get("type") == "text"]
    if len(spoken) != 1 or "text" in spoken[0] or not record["content"]:
        return list(record["parts"])
    return [part | {"text": record["content"]} if part is spoken[0] else part for part in record["parts"]]


def line_of(record: dict[str, Any]) -> dict[str, Any]:
    """The line that a record was made from."""
    line = dict(record.get("extra", {}))
    line |= {line_name: record[name] for name, line_name in NAMES.items() if name in record}
    if "role" in record:
        line["type"] = record["role"]
        if "message" in record:
            spoken = parts_of(record) if "parts" in record else record.get("content")
            line["message"] = record["message"] | ({} if spoken is None else {"content": spoken})
        return line
    line |= {} if record["event_type"] == "untyped" else {"type": record["event_type"]}
    lifted = {"hook_name": "hookName", "tool_use_id": "toolUseID", "content": "content"}
    given = {line_name: record[name] for name, line_name in lifted.items() if name in record}
    return line | ({"attachment": record["attachment"] | given} if "attachment" in record else given)


@given(LINES)
def test_the_line_can_be_made_again_from_its_record(line: dict[str, Any]) -> None:
    record = (message_record if is_message(line) else attachment_record)(line, PLACE, b"")

    again = line_of(record)
    if record["session_id"] == line.get("sessionId"):
        again["sessionId"] = record["session_id"]
    if "timestamp" in record:
        again["timestamp"] = line["timestamp"]
    assert again == line


@given(LINES)
def test_every_record_has_the_shape_the_manifest_declares(line: dict[str, Any]) -> None:
    is_turn = is_message(line)
    declared = manifest().stream("messages" if is_turn else "attachments")
    assert declared is not None
    record = (message_record if is_turn else attachment_record)(line, PLACE, b"")

    jsonschema_rs.validator_for(declared.schema_).validate(record)


def test_a_message_is_kept_whole_with_all_its_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "x" * 20_000},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
        {"type": "text", "text": "second"},
    ]
    line = said("u1", parts) | {"toolUseResult": {"stdout": "a"}}

    record = message_record(line, PLACE, b"")

    assert record["content"] == "x" * 20_000 + "\nsecond"
    assert record["parts"] == parts
    assert record["message"] == {"role": "user"}
    assert record["extra"]["toolUseResult"] == {"stdout": "a"}


def test_the_text_of_the_only_text_part_is_held_once() -> None:
    thought, call = {"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "id": "t1", "input": {"text": "x"}}
    line = said("u1", [thought, {"type": "text", "text": "hello", "citations": []}, call])

    record = message_record(line, PLACE, b"")

    assert record["content"] == "hello"
    assert record["parts"] == [thought, {"type": "text", "citations": []}, call]


def test_the_key_names_the_transcript_and_the_uuid() -> None:
    assert message_record(said("u1"), PLACE, b"")["id"] == f"{A}#u1"


def test_lines_without_a_uuid_are_told_apart_by_their_bytes_wherever_they_stand() -> None:
    line = {"type": "summary", "summary": "s"}
    keys = [attachment_record(line, PLACE, raw)["id"] for raw in (b"a", b"b", b"a\n")]

    assert keys[0] == keys[2] != keys[1]


def test_a_key_that_is_too_long_or_not_ascii_stands_as_its_digest() -> None:
    assert len(record_id("x" * 1000)) == 32
    assert record_id("caf\udce9").isascii()
    assert record_id("plain") == "plain"


def test_the_path_overrules_the_line_in_a_session_directory() -> None:
    forced = LineOrigin(f"{PROJECT}/{A}/subagents/agent-1.jsonl", A, is_forced=True)
    record = message_record(said("u1", session=B), forced, b"")

    assert record["session_id"] == A
    assert record["extra"]["sessionId"] == B


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("2026-03-01T10:00:00.123Z", "2026-03-01T10:00:00.123Z"),
        ("2026-03-01T12:00:00.123456+02:00", "2026-03-01T10:00:00.123Z"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds_and_the_original_is_kept(text: str, exact: str) -> None:
    record = message_record(said("u1") | {"timestamp": text}, PLACE, b"")

    assert record["timestamp"] == exact
    assert record["extra"].get("timestamp", exact) == text if text != exact else "timestamp" not in record["extra"]


@pytest.mark.parametrize("value", ["2026-03-01T10:00:00", "soon", 17, None, {}, "0001-01-01T00:00:00+23:59"])
def test_what_is_not_a_moment_is_no_time(value: Any) -> None:
    assert milliseconds(value) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_survive_the_way_through_the_cursor(moment: datetime) -> None:
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert iso_time(milliseconds(text)) == text
