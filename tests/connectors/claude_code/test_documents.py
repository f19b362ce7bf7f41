"""Notes, skills and commands: whole, when they change, each with its own place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from pdpp_worker.connector import Reason
from tests.connectors.claude_code.logs import PROJECT, run, to_close

Drop = Callable[[], AbstractContextManager[None]]
STREAMS = ("memory_notes", "skills", "slash_commands")
HEADER = '---\nname: review\ndescription: "Look twice"\n---\n\nText.\n'


def place(path: Path, text: str) -> Path:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_each_kind_is_found_in_its_place(root: Path) -> None:
    place(root / PROJECT / "memory" / "deep" / "note.md", "a note")
    place(root.parent / "skills" / "review" / "SKILL.md", HEADER)
    place(root.parent / "commands" / "git" / "tidy.md", "tidy up")
    place(root.parent / "commands" / "git" / "tidy.txt", "no command")

    outcome = run(root, None, STREAMS)

    assert outcome.ids("memory_notes") == [f"memory_notes:{PROJECT}/deep/note.md"]
    assert outcome.ids("skills") == ["skills:review"]
    assert outcome.ids("slash_commands") == ["commands:git/tidy"]


def test_a_document_is_kept_whole_and_its_header_is_read(root: Path) -> None:
    place(root.parent / "skills" / "review" / "SKILL.md", HEADER + "x" * 50_000)

    data = run(root, None, ("skills",)).records[0].data

    assert (data["name"], data["description"]) == ("review", "Look twice")
    assert data["content"] == HEADER + "x" * 50_000


def test_only_changed_documents_come_again(root: Path) -> None:
    one = place(root.parent / "commands" / "one.md", "1")
    place(root.parent / "commands" / "two.md", "2")
    state = run(root, None, STREAMS).state
    one.write_text("changed")

    assert [record.key for record in run(root, state, STREAMS).records] == ["commands:one"]


def test_an_unreadable_document_is_a_gap_that_closes_when_it_is_read(open_root: Path, as_plain_user: Drop) -> None:
    path = place(open_root.parent / "commands" / "one.md", "1")
    path.chmod(0)
    with as_plain_user():
        first = run(open_root, None, ("slash_commands",))
    path.chmod(0o644)
    second = run(open_root, first.state, ("slash_commands",))
    alone = run(open_root, None, ("slash_commands",), gaps=[to_close(first.gaps[0])], recovery_only=True)

    assert [(gap.record_key, gap.reason) for gap in first.gaps] == [("commands:one", Reason.SOURCE_PARTITION_FAILED)]
    assert second.closed == {("slash_commands", "commands:one")}
    assert [message.type for message in alone.sent] == ["RECORD", "DETAIL_GAP_RECOVERED"]


def test_an_unlisted_directory_is_a_gap_that_closes(open_root: Path, as_plain_user: Drop) -> None:
    place(open_root.parent / "commands" / "deep" / "one.md", "1")
    state = run(open_root, None, ("slash_commands",)).state
    deep = open_root.parent / "commands" / "deep"
    deep.chmod(0)
    with as_plain_user():
        first = run(open_root, state, ("slash_commands",))
    deep.chmod(0o755)
    second = run(open_root, first.state, ("slash_commands",))

    assert [gap.record_key for gap in first.gaps] == ["commands/deep"]
    assert second.closed == {("slash_commands", "commands/deep")}
    assert second.records == []


def test_no_skills_is_no_miss_but_no_home_is(root: Path) -> None:
    assert run(root, None, ("skills",)).skips == []

    skips = run(root, None, ("skills",), claude_dir=str(root / "nowhere")).skips
    assert [one.stream for one in skips] == ["skills"]
    assert "claude_dir" in skips[0].message
