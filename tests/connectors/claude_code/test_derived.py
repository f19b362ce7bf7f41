"""Rows made from lines: usage of each answer, titles and models of sessions, subagents and their calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code import stream_counts
from tests.connectors.claude_code.logs import MAIN, PROJECT, A, B, Held, run, said, write

FILE = f"{PROJECT}/{A}.jsonl"
ALL = (*MAIN, "usage", "subagents")


def answered(uuid: str, message: str, output: int, **more: Any) -> dict[str, Any]:
    """One line of an answer."""
    usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 4000}
    body = {"id": message, "role": "assistant", "model": "claude-a", "content": [], "usage": usage}
    return said(uuid) | {"type": "assistant", "requestId": f"req_{message}", "message": body} | more


def held_after(root: Path, *states: int) -> Held:
    """The store after one run, and as many more as there are states."""
    held, state = Held(), None
    for _ in (0, *states):
        outcome = run(root, state, ALL)
        held.take(outcome.sent)
        state = outcome.state
    return held


def test_an_answer_on_several_lines_is_counted_once(root: Path) -> None:
    write(root / FILE, answered("l1", "m1", 1), said("u1"), answered("l2", "m1", 80), answered("l3", "m2", 5))

    rows = held_after(root)["usage"]

    assert {row["message_id"]: row["output_tokens"] for row in rows.values()} == {"m1": 80, "m2": 5}
    assert sum(row["cache_read_input_tokens"] for row in rows.values()) == 8000
    assert rows["m1:req_m1"]["model"] == "claude-a"
    assert (rows["m1:req_m1"]["cwd"], rows["m1:req_m1"]["git_branch"]) == ("/home/owner/site", "main")


def test_an_answer_that_a_resumed_session_repeats_is_counted_once(root: Path) -> None:
    write(root / FILE, answered("l1", "m1", 80))
    write(root / PROJECT / f"{B}.jsonl", answered("l1", "m1", 80, sessionId=B), answered("l2", "m2", 5, sessionId=B))

    assert sorted(held_after(root)["usage"]) == ["m1:req_m1", "m2:req_m2"]


def test_an_answer_is_whole_however_it_is_cut_into_states(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_counts, "RECORDS_PER_STATE", 1)
    write(root / FILE, *(answered(f"l{n}", f"m{n // 3}", n) for n in range(60)))

    rows = held_after(root)["usage"]

    assert [rows[f"m{n}:req_m{n}"]["output_tokens"] for n in range(20)] == [n * 3 + 2 for n in range(20)]


def test_lines_that_the_tool_wrote_itself_are_no_answers(root: Path) -> None:
    line = answered("l1", "m1", 0)
    line["message"]["model"] = "<synthetic>"
    write(root / FILE, line)

    held = held_after(root)

    assert held["usage"] == {}
    assert "models" not in held["sessions"][A]


def titles(**rows: Any) -> list[dict[str, Any]]:
    """Title lines by their kind."""
    names = {"custom": ("custom-title", "customTitle"), "generated": ("ai-title", "aiTitle")}
    return [{"type": names[kind][0], names[kind][1]: text, "sessionId": A} for kind, text in rows.items()]


@pytest.mark.parametrize("again", [False, True])
def test_a_session_is_called_by_its_custom_title_whatever_comes_later(root: Path, again: bool) -> None:
    write(root / FILE, said("u1"), *titles(custom="Mine"))
    held = Held().take((first := run(root, None, ALL)).sent)
    write(root / FILE, *titles(generated="Theirs"), append=True)
    row = (held.take(run(root, first.state, ALL).sent) if again else held_after(root))["sessions"][A]

    assert (row["title"], row["custom_title"], row["generated_title"]) == ("Mine", "Mine", "Theirs")


@pytest.mark.parametrize(("leaf", "expected"), [("u1", "Sum"), ("elsewhere", None)])
def test_a_summary_names_the_session_of_its_leaf(root: Path, leaf: str, expected: str | None) -> None:
    summary = {"type": "summary", "summary": "Sum", "leafUuid": leaf}
    write(root / FILE, summary, said("u0"), said("u1"))
    first = held_after(root)["sessions"][A].get("title")
    write(root / FILE, said("u0"), said("u1"), summary)

    assert (first, held_after(root)["sessions"][A].get("title")) == (expected, expected)


def test_a_session_lists_its_models_over_all_runs(root: Path) -> None:
    write(root / FILE, answered("l1", "m1", 1))
    first = run(root, None, ALL)
    other = answered("l2", "m2", 1)
    other["message"]["model"] = "claude.b/4,5"
    write(root / FILE, other, append=True)

    held = Held().take(first.sent).take(run(root, first.state, ALL).sent)

    assert held["sessions"][A]["models"] == ["claude-a", "claude.b/4,5"]
    assert held["sessions"][A]["cwd"] == "/home/owner/site"


def test_a_subagent_is_linked_to_the_call_that_started_it(root: Path) -> None:
    part = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
    result = {"agentId": "a1", "status": "completed", "totalTokens": 700, "totalToolUseCount": 3}
    write(root / FILE, said("u1") | {"message": {"role": "user", "content": [part]}, "toolUseResult": result})
    below = root / PROJECT / A / "subagents"
    write(below / "agent-a1.jsonl", said("s1", agentId="a1", isSidechain=True))
    (below / "agent-a1.meta.json").write_text('{"agentType":"Explore","description":"d","toolUseId":"toolu_1"}')

    row = held_after(root)["subagents"][f"{A}/a1"]

    assert (row["agent_type"], row["description"], row["tool_use_id"]) == ("Explore", "d", "toolu_1")
    assert (row["total_tokens"], row["file"]) == (700, f"{PROJECT}/{A}/subagents/agent-a1.jsonl")


@pytest.mark.parametrize("found", ["{", '{"x":[' + "0," * 2_200_000 + "0]}"], ids=["broken", "crowded"])
def test_a_description_of_a_subagent_that_cannot_be_read_is_a_gap_that_closes(root: Path, found: str) -> None:
    write(root / FILE, said("u1"))
    meta = root / PROJECT / A / "subagents" / "agent-a1.meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(found)
    first = run(root, None, ALL)
    meta.write_text('{"agentType":"Explore"}')
    second = run(root, first.state, ALL)

    assert [gap.stream for gap in first.gaps] == ["subagents"]
    assert ("subagents", first.gaps[0].record_key) in second.closed
