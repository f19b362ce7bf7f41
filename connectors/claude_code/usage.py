"""Tokens that each answer of the API took.

One answer stands on several lines, one for each part of it, and every line repeats its usage; a resumed session repeats
them all in another file. So a row is known by the ids of the answer and of its request, and its counts are the largest.
"""

from __future__ import annotations

from typing import Any

from connectors.claude_code.shapes import LineOrigin, Obj, record_id, utc

_OPEN = 8
"""Answers of a transcript that are put together at a time; their lines stand close together."""
_COUNTS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_NESTED = (
    (
        "cache_creation",
        (
            ("ephemeral_5m_input_tokens", "cache_5m_input_tokens"),
            ("ephemeral_1h_input_tokens", "cache_1h_input_tokens"),
        ),
    ),
    (
        "server_tool_use",
        (("web_search_requests", "web_search_requests"), ("web_fetch_requests", "web_fetch_requests")),
    ),
)
_FROM_LINE = (("cwd", "cwd"), ("gitBranch", "git_branch"), ("version", "version"), ("agentId", "agent_id"))
NOT_FROM_THE_API = "<synthetic>"
"""The model of lines that the tool itself wrote."""


class Answers:
    """Answers of one transcript whose lines are put together."""

    def __init__(self) -> None:
        self._open: dict[str, Obj] = {}

    def add(self, line: Obj, origin: LineOrigin) -> Obj | None:
        """Take in a line; the row of an older answer that is complete by now."""
        row = usage_row(line, origin)
        if row is None:
            return None
        before = self._open.pop(row["id"], None)
        self._open[row["id"]] = row if before is None else _joined(before, row)
        return self._open.pop(next(iter(self._open))) if len(self._open) > _OPEN else None

    def take(self) -> list[Obj]:
        """The rows of all answers as far as they were read."""
        rows, self._open = list(self._open.values()), {}
        return rows


def usage_row(line: Obj, origin: LineOrigin) -> Obj | None:
    """The row of a line that holds an answer of the API; None of any other."""
    body = line.get("message") if line.get("type") == "assistant" else None
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(usage, dict) or body.get("model") == NOT_FROM_THE_API:
        return None
    answer, request, cost = _text(body.get("id")), _text(line.get("requestId")), line.get("costUSD")
    row: Obj = {
        "id": _answer_id(line, body, answer, request, origin),
        "message_id": answer,
        "request_id": request,
        "session_id": origin.session_of(line),
        "project_path": origin.file.partition("/")[0],
        "timestamp": utc(line.get("timestamp")),
        "model": _text(body.get("model")),
        "is_sidechain": line.get("isSidechain") is True,
        "usage": usage,
        "cost_usd": cost if isinstance(cost, int | float) and not isinstance(cost, bool) else None,
    }
    for name, field in _FROM_LINE:
        row[field] = _text(line.get(name))
    for name in _COUNTS:
        row[name] = _count(usage.get(name)) or 0
    for holder, counts in _NESTED:
        inner = usage.get(holder)
        for name, field in counts:
            row[field] = _count(inner.get(name)) if isinstance(inner, dict) else None
    return row


def _answer_id(line: Obj, body: Obj, answer: str | None, request: str | None, origin: LineOrigin) -> str:
    """The ids of an answer and its request, as far as they are there; else its line's, or its transcript and time."""
    if answer and request:
        return record_id(f"{answer}:{request}")
    own = answer if body.get("id") is not None else _text(line.get("uuid"))
    return record_id(":".join([one for one in (own, request) if one]) or f"{origin.prefix}@{line.get('timestamp')}")


def _joined(before: Obj, after: Obj) -> Obj:
    """Two lines of one answer: the facts of the first, the larger counts, the usage that counts most."""
    counts = [*_COUNTS, *(field for _, nested in _NESTED for _, field in nested), "cost_usd"]
    larger = {
        name: max((one for one in (before[name], after[name]) if one is not None), default=None) for name in counts
    }
    latest = after if after["output_tokens"] >= before["output_tokens"] else before
    return before | larger | {"usage": latest["usage"]}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
