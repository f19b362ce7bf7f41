"""Subagents, and the calls that started them.

Three places tell of one, so each gives a part of its row: the file beside its transcript, the
transcript itself, and the result of the call in the session's own transcript.
"""

from __future__ import annotations

from typing import Any

from connectors.claude_code.shapes import LineOrigin, Obj, record_id, utc

_FROM_RESULT = (
    ("status", "status", str),
    ("prompt", "prompt", str),
    ("totalTokens", "total_tokens", int),
    ("totalDurationMs", "total_duration_ms", int),
    ("totalToolUseCount", "tool_uses", int),
)
_FROM_META = (("agentType", "agent_type"), ("description", "description"), ("toolUseId", "tool_use_id"))


def agent_row(session: str, agent: str) -> Obj:
    """A subagent's key."""
    return {"id": record_id(f"{session}/{agent}"), "session_id": session, "agent_id": agent}


def meta_row(session: str, agent: str, meta: Obj) -> Obj:
    """Part of the row that the file beside the transcript gives: kind, task, and the call that started it."""
    row = agent_row(session, agent)
    rest = dict(meta)
    for name, field in _FROM_META:
        if isinstance(rest.get(name), str):
            row[field] = rest.pop(name)
    return row | {"extra": rest} if rest else row


def subagent_rows(line: Obj, origin: LineOrigin) -> list[Obj]:
    """Parts of rows that a line gives: the result of the call, or the first line of its own transcript."""
    rows = []
    if "toolUseResult" in line and (row := _call_row(line, origin)) is not None:
        rows.append(row)
    if "agentId" in line and (row := _first_line_row(line, origin)) is not None:
        rows.append(row)
    return rows


def _call_row(line: Obj, origin: LineOrigin) -> Obj | None:
    """Part of the row that the result of a call gives; None of any other line."""
    result = line.get("toolUseResult")
    agent = result.get("agentId") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(agent, str) or not agent:
        return None
    row = agent_row(origin.session_of(line), agent)
    call = _call_id(line.get("message"))
    if call is not None:
        row["tool_use_id"] = call
    for name, field, kind in _FROM_RESULT:
        if type(result.get(name)) is kind:
            row[field] = result[name]
    return row


def _first_line_row(line: Obj, origin: LineOrigin) -> Obj | None:
    """Part of the row that the first line of its transcript gives; None of any other line."""
    agent = line.get("agentId")
    if line.get("parentUuid") is not None or not isinstance(agent, str) or not agent:
        return None
    row = agent_row(origin.session_of(line), agent)
    return row | {"file": origin.file, "started_at": utc(line.get("timestamp"))}


def _call_id(body: Any) -> str | None:
    parts = body.get("content") if isinstance(body, dict) else None
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and part.get("type") == "tool_result" and isinstance(part.get("tool_use_id"), str):
            return str(part["tool_use_id"])
    return None
