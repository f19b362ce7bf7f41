"""The practice world of this connector: a small directory such as the tool keeps, and an eye on who opens what.

Faults are given by the interpreter's audit hook, so that they hit whoever may read every file, too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pdpp_worker.conformance.world import Fault, Piece, Request, World

_PROJECT = "-home-owner-garden"
_SESSIONS = 5
_LINES = 4
_LISTS = ("os.listdir", "os.scandir")
_watching: list[Logs] = []


class Logs(World):
    """Transcripts, tool results, notes, a skill and a slash command."""

    faults = frozenset({Fault.FAILING, Fault.GARBLED, Fault.GONE})
    can_change = True

    def __init__(self, home: Path) -> None:
        self._home = home
        self._root = home / "projects"
        self.settings = {"projects_dir": str(self._root), "claude_dir": str(home)}
        self._pieces: list[Piece] = []
        self._requests: list[Request] = []
        self._failing: frozenset[Path] = frozenset()
        self._kept: dict[Path, tuple[bytes, os.stat_result]] = {}
        for number in range(_SESSIONS):
            self._write_session(number)
        self._write_document(
            f"projects/{_PROJECT}/memory/habits.md", "memory_notes", f"memory_notes:{_PROJECT}/habits.md"
        )
        self._write_document("skills/review/SKILL.md", "skills", "skills:review")
        self._write_document("commands/ship.md", "slash_commands", "commands:ship")

    def truth(self) -> Sequence[Piece]:
        """What was written."""
        return self._pieces

    def requests(self) -> Sequence[Request]:
        """Files that were opened and directories that were listed, in this process."""
        return self._requests

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        """Let files not open, hold something else, or be gone."""
        paths = [self._root / name for name in resources]
        if fault is Fault.FAILING:
            self._failing = frozenset(paths)
            return
        for path in paths:
            self._kept[path] = path.read_bytes(), path.stat()
            if fault is Fault.GONE:
                path.unlink()
            else:
                path.write_bytes(b'{"type": "no end\n' * 2)

    def mend(self) -> None:
        """As it was."""
        self._failing = frozenset()
        for path, (content, stat) in self._kept.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self._kept = {}

    def change(self) -> None:
        """A session goes on, another begins."""
        self._append(_session(0), _session(0), _LINES, 2)
        self._write_session(_SESSIONS)

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take down what is asked of the directory.

        Raises:
            OSError: the file is failing.
        """
        if (event != "open" and event not in _LISTS) or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = Path(os.fsdecode(arguments[0]))
        if not path.is_relative_to(self._home):
            return
        name = path.relative_to(self._root if path.is_relative_to(self._root) else self._home).as_posix()
        is_list = event in _LISTS
        self._requests.append(Request(f"{event} {name}", frozenset() if is_list else frozenset({name})))
        if path in self._failing:
            raise OSError(EIO, os.strerror(EIO))

    def _write_session(self, number: int) -> None:
        session = _session(number)
        self._pieces.append(Piece("sessions", frozenset({session}), f"{_PROJECT}/{session}.jsonl"))
        self._append(session, session, 0, _LINES)
        if number == 1:
            self._append(session, f"{session}/subagents/agent-a1", 50, 2)
            name = f"{_PROJECT}/{session}/tool-results/toolu_1.txt"
            self._write(self._root / name, b"12 files changed\n")
            self._pieces.append(Piece("attachments", frozenset({name}), name))

    def _append(self, session: str, transcript: str, first: int, count: int) -> None:
        """Lines of a transcript, as the tool writes them: turns, and one summary."""
        place = f"{_PROJECT}/{transcript}"
        lines = [_line(session, number) for number in range(first, first + count)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self._write(self._root / f"{place}.jsonl", text.encode())
        for stream, kinds in (("messages", ("user", "assistant")), ("attachments", ("summary",))):
            keys = frozenset(f"{place}#{line['uuid']}" for line in lines if line["type"] in kinds)
            self._pieces.append(Piece(stream, keys, f"{place}.jsonl"))

    def _write_document(self, name: str, stream: str, key: str) -> None:
        self._write(self._home / name, b"---\nname: sample\n---\n\nRun the tests first.\n")
        self._pieces.append(Piece(stream, frozenset({key})))

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)


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
    return line | (
        {"summary": "Tests"} if kind == "summary" else {"message": {"role": kind, "content": f"No. {number}"}}
    )


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for logs in _watching:
        logs.look(event, arguments)


@contextmanager
def world() -> Iterator[World]:
    """The directory, while it is there."""
    if not _audit.__dict__.get("is_set"):
        sys.addaudithook(_audit)
        _audit.__dict__["is_set"] = True
    with TemporaryDirectory(prefix="pdpp-practice-") as directory:
        logs = Logs(Path(directory).resolve())
        _watching.append(logs)
        try:
            yield logs
        finally:
            _watching.remove(logs)
