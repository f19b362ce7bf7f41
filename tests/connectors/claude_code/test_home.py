"""Everything beside the transcripts: kept, declared with a reason, or named as unknown; nothing goes unnamed."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from connectors.claude_code.headers import header_fields
from pdpp_worker.connector import Inventory, SourceMember
from tests.connectors.claude_code.logs import MAIN, PROJECT, A, Outcome, encoded, run, said, write

ALL = (*MAIN, "usage", "subagents", "memory_notes", "skills", "slash_commands", "documents", "prompts")
PROMPT: dict[str, Any] = {"display": "old prompt", "timestamp": 1770000000000, "project": "/w/p", "sessionId": A}


def everything(root: Path, state: Any = None, **settings: Any) -> Outcome:
    """A run of all streams."""
    return run(root, state, ALL, **settings)


def members(outcome: Outcome) -> dict[str, SourceMember]:
    """The inventory, by name."""
    said = [message for message in outcome.sent if isinstance(message, Inventory)]
    return {one.name: one for inventory in said for one in inventory.members}


def test_texts_beside_the_transcripts_are_kept(root: Path) -> None:
    home, session = root.parent, root / PROJECT / A
    write(root / PROJECT / f"{A}.jsonl", said("u1"))
    for path in ("CLAUDE.md", "agents/reviewer.md", "plans/calm-fox.md", f"todos/{A}-agent-{A}.json"):
        write(home / path, b"---\nname: one\n---")
    write(session / "session-memory" / "summary.md", b"# Session Title")
    write(root / PROJECT / "sessions-index.json", b"{}")

    rows = {row.data["kind"]: row.data for row in everything(root).records if row.stream == "documents"}

    kinds = {"instructions", "agent", "plan", "todo", "session_memory", "sessions_index"}
    assert rows.keys() == kinds
    assert (rows["agent"]["name"], rows["session_memory"]["content"]) == ("one", "# Session Title\n")
    assert (rows["todo"]["session_id"], rows["session_memory"]["session_id"]) == (A, A)


def test_what_is_left_out_is_declared_and_what_is_not_known_is_named(root: Path) -> None:
    home = root.parent
    write(root / PROJECT / f"{A}.jsonl", said("u1"))
    for number in range(12):
        write(home / "newthing" / str(number) / "x.bin", b"1234567")
    for path in ("file-history/a@v1", "settings.json", ".credentials.json", "skills/s/run.py"):
        write(home / path, b"secret")
    write(root / PROJECT / A / "strange" / "y.dat", b"z")

    found = members(everything(root))

    assert found["newthing/**/*.bin"].model_dump(exclude_none=True) == {
        "kind": "files",
        "name": "newthing/**/*.bin",
        "disposition": "unknown",
        "streams": ["documents"],
        "count": 12,
        "bytes": 96,
    }
    assert found["<project>/<session>/strange/**/*.dat"].disposition == "unknown"
    declared = {name for name, one in found.items() if one.disposition == "declared"}
    assert declared == {"file-history", "settings.json", ".*", "skills/**"}


def test_every_file_is_counted_once(root: Path) -> None:
    home = root.parent
    write(root / PROJECT / f"{A}.jsonl", said("u1"))
    write(root / PROJECT / A / "tool-results" / "r.txt", b"r")
    write(root / PROJECT / "memory" / "MEMORY.md", b"m")
    write(root / PROJECT / A / "subagents" / "agent-a1.meta.json", b"{}")
    for path in (
        "history.jsonl",
        "plans/a.md",
        "plans/b.xyz",
        "commands/c.md",
        "skills/s/SKILL.md",
        "odd.txt",
        "cache/q",
    ):
        write(home / path, encoded(PROMPT).strip())

    counts = Counter[str]()
    for one in members(everything(root)).values():
        counts[one.disposition] += one.count or 0

    assert counts.total() == sum(1 for path in home.rglob("*") if path.is_file())
    assert counts["unknown"] == 2


def test_other_projects_of_the_directory_are_declared(root: Path) -> None:
    write(root / PROJECT / f"{A}.jsonl", said("u1"))
    elsewhere = root.parent / "elsewhere"
    shutil.copytree(root, elsewhere)

    assert members(everything(elsewhere))["projects"].disposition == "declared"


def test_a_recovery_run_says_nothing_of_the_source(root: Path) -> None:
    write(root / PROJECT / f"{A}.jsonl", said("u1"))

    assert members(run(root, None, ALL, recovery_only=True)) == {}


def test_prompts_outlive_their_sessions_and_only_new_ones_are_read(root: Path) -> None:
    path = write(root.parent / "history.jsonl", PROMPT, PROMPT, b"broken")
    first = everything(root)
    write(path, PROMPT | {"display": "new"}, append=True)
    second = everything(root, first.state)

    assert next(row.data for row in first.records if row.stream == "prompts") | {"id": ""} == {
        "id": "",
        "text": "old prompt",
        "timestamp": "2026-02-02T02:40:00.000Z",
        "project": "/w/p",
        "session_id": A,
    }
    assert len(set(first.ids("prompts"))) == 1
    assert [(gap.stream, gap.reason) for gap in first.gaps] == [("prompts", "parse_failed")]
    assert [row.data["text"] for row in second.records if row.stream == "prompts"] == ["new"]
    assert not second.gaps


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("description: >\n  Folds these\n  two lines.\n\n  And this.", "Folds these two lines.\nAnd this."),
        ("description: |-\n  Keeps\n    these", "Keeps\n  these"),
        ("description:\n  below", "below"),
        ('description: "said \\"so\\""', 'said "so"'),
        ("description: plain # a comment", "plain"),
        ("description: 'it''s'", "it's"),
        ("metadata:\n  description: inner\ndescription: outer", "outer"),
    ],
)
def test_a_description_is_read_in_each_form_that_yaml_has(header: str, expected: str) -> None:
    assert header_fields(f"---\nname: n\n{header}\n---\nText.")["description"] == expected
