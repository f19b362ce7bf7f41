"""The practice account of this connector: a small directory such as the tool keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from connectors.claude_code.practice.living import open_living_account
from pdpp_worker.conformance.account import PracticeAccount, RecordGroup
from pdpp_worker.conformance.files import FileAccount, watched
from pdpp_worker.conformance.planting import Counted, Plant, Planted

__all__ = ["open_account", "open_living_account"]

_PROJECT = "-home-owner-garden"
_SESSIONS = 5
_LINES = 4


class Logs(FileAccount):
    """Transcripts, a tool result, a note, a skill and a slash command."""

    can_change = True
    plants = frozenset({Plant.FIELD, Plant.MEMBER, Plant.TWIN})
    counted = (Counted("sessions", "message_count", "messages", "session_id"),)
    garbage = b'{"type": "no end\n'

    def __init__(self, home: Path) -> None:
        super().__init__(home, "projects")
        self.settings = {"projects_dir": str(self.base), "claude_dir": str(home)}
        self._groups: list[RecordGroup] = []
        for number in range(_SESSIONS):
            self._write_session(number)
        self._write_document(f"{_PROJECT}/memory/habits.md", "memory_notes", f"memory_notes:{_PROJECT}/habits.md")
        self._write_document("../skills/review/SKILL.md", "skills", "skills:review")
        self._write_document("../commands/ship.md", "slash_commands", "commands:ship")
        self._write_document("../plans/calm-fox.md", "documents", "documents:plans/calm-fox.md")
        prompt = b'{"display":"Run the tests","timestamp":1772442000000,"project":"/home/owner/garden"}'
        self.write("../history.jsonl", prompt + b"\n")
        key = blake2b(prompt, digest_size=10).hexdigest()
        self._groups.append(RecordGroup("prompts", frozenset({key})))

    def expected_records(self) -> Sequence[RecordGroup]:
        """The records written."""
        return self._groups

    def change(self) -> None:
        """A session goes on, another begins."""
        self._append(_session(0), _session(0), _LINES, 2)
        self._write_session(_SESSIONS)

    def plant(self, plant: Plant) -> Planted:
        """A session whose lines have a new field, or with two lines of one uuid; or a directory that nobody knows."""
        if plant is Plant.MEMBER:
            names = ("holograms/1.bin", "holograms/2.bin")
            for name in names:
                self.lend(f"../{name}", b"light")
            return Planted(names, count=len(names))
        session = _session(99)
        marks = ("a planted field",) if plant is Plant.FIELD else ("the first of two", "the second of two")
        lines = [_line(session, 0) | {"message": {"role": "user", "content": mark}} for mark in marks]
        if plant is Plant.FIELD:
            lines = [_line(session, number) | {"hologram": marks[0]} for number in range(_LINES)]
        self.lend(f"{_PROJECT}/{session}.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
        return Planted(marks, frozenset({"messages"}))

    def _write_session(self, number: int) -> None:
        session = _session(number)
        self._groups.append(RecordGroup("sessions", frozenset({session}), f"{_PROJECT}/{session}.jsonl"))
        self._append(session, session, 0, _LINES)
        if number == 1:
            self._append(session, f"{session}/subagents/agent-a1", 50, 2)
            name = f"{_PROJECT}/{session}/tool-results/toolu_1.txt"
            self.write(name, b"12 files changed\n")
            # Not by itself: a result is any text, so that none is garbled.
            key = name.removeprefix(f"{_PROJECT}/")
            self._groups.append(RecordGroup("attachments", frozenset({key})))
            self._write_subagent(session)

    def _write_subagent(self, session: str) -> None:
        name = f"{_PROJECT}/{session}/subagents/agent-a1.meta.json"
        self.write(name, b'{"agentType": "Explore", "toolUseId": "toolu_1"}')
        self._groups.append(RecordGroup("subagents", frozenset({f"{session}/a1"})))

    def _append(self, session: str, transcript: str, first: int, count: int) -> None:
        """Lines of a transcript, as the tool writes them: turns, and one summary."""
        place = f"{_PROJECT}/{transcript}"
        lines = [_line(session, number) for number in range(first, first + count)]
        self.write(f"{place}.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
        for stream, kinds in (("messages", ("user", "assistant")), ("attachments", ("summary",))):
            keys = frozenset(f"{transcript}#{line['uuid']}" for line in lines if line["type"] in kinds)
            self._groups.append(RecordGroup(stream, keys, f"{place}.jsonl"))
        answers = frozenset(line["message"]["id"] for line in lines if line["type"] == "assistant")
        self._groups.append(RecordGroup("usage", answers, f"{place}.jsonl"))

    def _write_document(self, name: str, stream: str, key: str) -> None:
        self.write(name, b"---\nname: sample\n---\n\nRun the tests first.\n")
        self._groups.append(RecordGroup(stream, frozenset({key})))


def _session(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def _line(session: str, number: int) -> dict[str, Any]:
    kind = ("user", "assistant", "assistant", "summary")[number % 4]
    line: dict[str, Any] = {
        "type": kind,
        "uuid": f"line-{number}",
        "sessionId": session,
        "timestamp": f"2026-03-02T09:{number:02d}:00.000Z",
        "cwd": "/home/owner/garden",
        "version": "2.0.14",
    }
    if kind == "summary":
        return line | {"summary": "Tests"}
    body: dict[str, Any] = {"role": kind, "content": f"No. {number}"}
    if kind == "assistant":
        body |= {"id": f"msg-{number}", "model": "claude-sample", "usage": {"input_tokens": 3, "output_tokens": number}}
    return line | {"message": body}


def open_account() -> AbstractContextManager[PracticeAccount]:
    """The directory, while it is there."""
    return watched(Logs)
